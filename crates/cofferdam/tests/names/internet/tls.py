"""Takes TLS off: a line with the address that was dialled, then TLS; the same line, then what was in it, to the HTTP server.

usage: tls.py CERTIFICATE KEY PORT; prints its own port; ends with its input.
"""
import os, select, socket, ssl, sys, threading

certificate, key, inner = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
context.set_alpn_protocols(["http/1.1"])


def serve(raw):
    raw.settimeout(20)
    line = b""
    while not line.endswith(b"\n") and len(line) < 100:
        line += raw.recv(1)
    try:
        tls = context.wrap_socket(raw, server_side=True)
    except (ssl.SSLError, OSError):
        raw.close()
        return
    plain = socket.create_connection(("127.0.0.1", int(inner)))
    plain.sendall(line)
    try:
        while True:
            ready = [tls] if tls.pending() else select.select([tls, plain], [], [], 20)[0]
            if not ready:
                break
            if tls in ready:
                data = tls.recv(65536)
                if not data:
                    break
                plain.sendall(data)
            if plain in ready:
                data = plain.recv(65536)
                if not data:
                    break
                tls.sendall(data)
    except OSError:
        pass
    try:
        tls.settimeout(1)
        tls.unwrap()
    except (OSError, ValueError):
        pass
    tls.close()
    plain.close()


def end():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end, daemon=True).start()
listener = socket.create_server(("127.0.0.1", 0), backlog=512)
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
