# Both ends of TLS connections made one after the other.
#
# server CERTIFICATE KEY TICKETS: prints its port; ends when its input does. Without tickets it says
# nothing of its own after a handshake, so a small write waits for the first one's acknowledgement where
# somebody between has left Nagle's algorithm on.
# flood CERTIFICATE HOST PORT NAME WAY: prints the seconds that 1 GiB took, on one connection.
# client CERTIFICATE HOST PORT NAME COUNT WAY: prints the seconds that COUNT connections took. WAY is
# "direct", or "proxy": by CONNECT through the proxy that HTTPS_PROXY names.
import os
import socket
import ssl
import sys
import threading
import time
import urllib.parse

PIECE = bytes(256 << 10)
FLOOD_PIECES = (1 << 30) // len(PIECE)


def server(certificate, key, tickets):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = int(tickets)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    while True:
        stream, _ = listener.accept()
        try:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with context.wrap_socket(stream, server_side=True) as tls:
                asked = tls.recv(1)
                if asked == b"f":
                    for _ in range(FLOOD_PIECES):
                        tls.sendall(PIECE)
                else:
                    # A head and a body, as many servers write them: whoever is between and waits for
                    # more (Nagle) stalls the second one.
                    tls.sendall(asked)
                    tls.sendall(asked)
        except OSError:
            pass


def connect(host, port, way):
    if way == "direct":
        stream = socket.create_connection((host, port), 20)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return stream
    proxy = urllib.parse.urlsplit(os.environ.get("HTTPS_PROXY") or os.environ["https_proxy"])
    stream = socket.create_connection((proxy.hostname, proxy.port), 20)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    if proxy.username is not None:
        import base64

        word = f"{urllib.parse.unquote(proxy.username)}:{urllib.parse.unquote(proxy.password or '')}"
        head += "Proxy-Authorization: Basic " + base64.b64encode(word.encode()).decode() + "\r\n"
    stream.sendall((head + "\r\n").encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        # Nothing follows the head: the client speaks first.
        piece = stream.recv(4096)
        if not piece:
            break
        answer += piece
    if answer.split(b" ")[1:2] != [b"200"]:
        raise SystemExit(f"the proxy says: {answer.decode(errors='replace')}")
    return stream


def client(certificate, host, port, name, count, way):
    context = ssl.create_default_context(cafile=certificate)
    begin = time.perf_counter()
    for _ in range(int(count)):
        with context.wrap_socket(connect(host, int(port), way), server_hostname=name) as tls:
            tls.sendall(b"x")
            answer = tls.recv(1)
            if answer + tls.recv(1) != b"xx":
                raise SystemExit("no answer")
    print(time.perf_counter() - begin)


def flood(certificate, host, port, name, way):
    context = ssl.create_default_context(cafile=certificate)
    with context.wrap_socket(connect(host, int(port), way), server_hostname=name) as tls:
        begin = time.perf_counter()
        tls.sendall(b"f")
        into, left = bytearray(len(PIECE)), FLOOD_PIECES * len(PIECE)
        while left:
            length = tls.recv_into(into)
            if not length:
                raise SystemExit("too little came")
            left -= length
        print(time.perf_counter() - begin)


{"server": server, "client": client, "flood": flood}[sys.argv[1]](*sys.argv[2:])
