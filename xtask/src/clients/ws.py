# One message by WebSocket (RFC 6455): straight, or through the proxy that the environment names.
import base64
import os
import socket
import ssl
import sys
import urllib.parse

url = urllib.parse.urlsplit(sys.argv[1])
port = 443 if url.scheme == "wss" else 80
proxy = os.environ.get("https_proxy")
if proxy:
    proxy = urllib.parse.urlsplit(proxy)
    stream = socket.create_connection((proxy.hostname, proxy.port), 20)
    stream.sendall(f"CONNECT {url.hostname}:{port} HTTP/1.1\r\nHost: {url.hostname}:{port}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += stream.recv(1) or sys.exit("no answer of the proxy")
    if head.split()[1] != b"200":
        sys.exit(head.decode())
else:
    stream = socket.create_connection((url.hostname, port), 20)
if url.scheme == "wss":
    context = ssl.create_default_context(cafile=os.environ["CA"])
    stream = context.wrap_socket(stream, server_hostname=url.hostname)
key = base64.b64encode(os.urandom(16)).decode()
stream.sendall(
    f"GET {url.path} HTTP/1.1\r\nHost: {url.hostname}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
)
file = stream.makefile("rb")
if b" 101 " not in file.readline():
    sys.exit("no WebSocket")
while file.readline().strip():
    pass
stream.sendall(bytes([0x81, 0x86]) + bytes(4) + b"python")
_, length = file.read(2)
print(file.read(length).decode())
