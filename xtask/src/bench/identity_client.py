# A client of requests that bear a credential, in TLS on one connection, which measures itself.
#
# down MIB: seconds that an answer of so much takes. up MIB: the same of a request.
# kept COUNT: seconds that COUNT requests take.
# What it bears is in API_KEY; without one, some other token of the same length. Whom to believe is what
# SSL_CERT_FILE says, as everywhere.
import hashlib
import http.client
import json
import os
import socket
import ssl
import sys
import time

NAME = "web.test"
TOKEN = os.environ.get("API_KEY", "sk-ant-api03-" + "z9Y8" * 12)
FIELDS = {
    "Authorization": f"Bearer {TOKEN}",
    "User-Agent": "client/1.27 (linux; x86_64) python/3.13",
    "Accept": "application/json, text/plain;q=0.9, */*;q=0.1",
    "Accept-Language": "en-US,en;q=0.8",
    "Content-Type": "application/json; charset=utf-8",
    "X-Stainless-Lang": "python",
    "X-Stainless-Package-Version": "0.39.0",
    "X-Stainless-Os": "Linux",
    "X-Stainless-Arch": "x64",
    "X-Stainless-Retry-Count": "0",
    "Anthropic-Version": "2023-06-01",
    "X-Request-Id": "0191b2c4-77aa-7d1e-9f27-3f6f7b1c2d3e",
    "Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "Referer": "https://web.test/a/page?of=it&and=more",
}


def records():
    lines, size = [], 0
    for number in range(1 << 20):
        token = hashlib.sha256(b"%d" % number).hexdigest()
        line = json.dumps({"id": number * 7919, "token": token, "text": f'a line\nof "text" {number}'})
        lines.append(line)
        size += len(line) + 1
        if size >= 1 << 20:
            break
    return "\n".join(lines).encode()[: 1 << 20]


def head(method, path, more=""):
    fields = "".join(f"{name}: {value}\r\n" for name, value in FIELDS.items())
    return f"{method} {path} HTTP/1.1\r\nHost: {NAME}\r\n{fields}{more}\r\n".encode()


def answer(tls):
    answer = http.client.HTTPResponse(tls)
    answer.begin()
    if answer.status != 200:
        raise SystemExit(f"the host says {answer.status}: {answer.read(600)}")
    return answer


def main(what, count):
    count = int(count)
    stream = socket.create_connection((NAME, 443), 20)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tls = ssl.create_default_context().wrap_socket(stream, server_hostname=NAME)
    block = records() if what == "up" else b""
    tls.sendall(head("GET", "/x"))
    answer(tls).read()
    begin = time.perf_counter()
    if what == "kept":
        asked = head("GET", "/x")
        for _ in range(count):
            tls.sendall(asked)
            if answer(tls).read() != b"hello\n":
                raise SystemExit("another answer")
    elif what == "up":
        tls.sendall(head("POST", "/swallow", f"Content-Length: {count << 20}\r\n"))
        for _ in range(count):
            tls.sendall(block)
        if int(answer(tls).read()) != count << 20:
            raise SystemExit("not all of it has come")
    else:
        tls.sendall(head("GET", f"/records/{count}"))
        body, got = answer(tls), 0
        while piece := body.read(256 << 10):
            got += len(piece)
        if got != count << 20:
            raise SystemExit(f"{got} bytes of {count << 20}")
    print(time.perf_counter() - begin)


main(*sys.argv[1:])
