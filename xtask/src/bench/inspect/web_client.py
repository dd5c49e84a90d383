# A client of requests in TLS, which measures itself.
#
# new HOST PORT NAME COUNT: seconds that a connection with one request takes, the median of COUNT.
# kept HOST PORT NAME COUNT: seconds that a request on one connection takes, the median of COUNT.
# held HOST PORT NAME COUNT: opens COUNT connections with a request each, says `held` and waits for its end.
# Whom to believe is what SSL_CERT_FILE says, as everywhere.
import http.client
import socket
import ssl
import statistics
import sys
import time


def connect(context, host, port, name):
    stream = socket.create_connection((host, int(port)), 20)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(stream, server_hostname=name)


def ask(tls, name):
    tls.sendall(f"GET /x HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
    answer = http.client.HTTPResponse(tls)
    answer.begin()
    if answer.status != 200 or answer.read() != b"hello\n":
        raise SystemExit(f"the host says {answer.status}")


def main(what, host, port, name, count):
    context = ssl.create_default_context()
    times, kept = [], []
    if what == "kept":
        tls = connect(context, host, port, name)
        ask(tls, name)
    for _ in range(int(count)):
        begin = time.perf_counter()
        if what != "kept":
            tls = connect(context, host, port, name)
        ask(tls, name)
        times.append(time.perf_counter() - begin)
        if what == "held":
            kept.append(tls)
        elif what == "new":
            tls.close()
    if what == "held":
        print("held", flush=True)
        sys.stdin.read()
        return
    print(statistics.median(times))


main(*sys.argv[1:])
