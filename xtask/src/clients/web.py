# The site that clients of every language talk to: HTTP and HTTPS, a WebSocket echo at /ws, files of a
# folder elsewhere. Prints its two ports; ends when its input does.
#
# usage: web.py CERTIFICATE KEY FOLDER
import base64
import hashlib
import http.server
import os
import ssl
import sys
import threading

certificate, key, folder = sys.argv[1:]
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Site(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments):
        super().__init__(*arguments, directory=folder)

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path == "/ws":
            return self.websocket()
        if self.path != "/":
            return super().do_GET()
        body = f"hello from {self.headers['Host']}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def websocket(self):
        """One message of at most 125 bytes, sent back behind a greeting (RFC 6455)."""
        accept = hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + GUID).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(accept).decode())
        self.end_headers()
        self.wfile.flush()
        _, length = self.rfile.read(2)
        mask = self.rfile.read(4)
        said = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(length & 127)))
        answer = b"hello from " + said
        self.wfile.write(bytes([0x81, len(answer)]) + answer + bytes([0x88, 2]) + b"\x03\xe8")
        self.close_connection = True


plain = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
secret = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
# The handshake is the connection's own, not the listener's.
secret.socket = context.wrap_socket(secret.socket, server_side=True, do_handshake_on_connect=False)
for server in (plain, secret):
    threading.Thread(target=server.serve_forever, daemon=True).start()
print(plain.server_address[1], secret.server_address[1], flush=True)
sys.stdin.read()
os._exit(0)
