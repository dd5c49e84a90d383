# `open_tls(name)` gives a socket with TLS to `name`: by the proxy where the variables say so.
# `answer(s)` gives status, fields and body of what comes, `ask(bytes)` the same on a connection of its
# own, `say(s, bytes)` what comes until the end or silence, `two(...)` a request of HTTP/2.
import gzip, http.client, json, os, re, socket, ssl, struct, subprocess, sys, threading, time

def open_tcp(name, port=443):
    proxy = re.match('http://([^:]*):([0-9]*)', os.environ.get('https_proxy') or os.environ.get('HTTPS_PROXY') or '')
    if not proxy: return socket.create_connection((name, port), 5)
    s = socket.create_connection((proxy[1], int(proxy[2])), 5); s.settimeout(5)
    s.sendall(f'CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n'.encode())
    head = b''
    while b'\r\n\r\n' not in head:
        part = s.recv(1)
        if not part: break
        head += part
    assert b' 200 ' in head, head
    return s

# Reading whom to believe takes longer than a handshake.
CONTEXTS = {}

def open_tls(name='new.test', alpn=('http/1.1',), sni=None, port=443):
    if alpn not in CONTEXTS:
        CONTEXTS[alpn] = ssl.create_default_context()
        if alpn: CONTEXTS[alpn].set_alpn_protocols(list(alpn))
    s = CONTEXTS[alpn].wrap_socket(open_tcp(name, port), server_hostname=sni or name)
    s.settimeout(5)
    return s

def say(s, data=b'', until=None, quiet=2):
    s.settimeout(quiet)
    out = b''
    try:
        if data: s.sendall(data)
        while until is None or until not in out:
            part = s.recv(65536)
            if not part: return out, True
            out += part
    except TimeoutError: return out, False
    except (ConnectionError, ssl.SSLError): return out, True
    return out, False

def answer(s, method='GET'):
    try:
        r = http.client.HTTPResponse(s, method=method)
        r.begin()
        return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()
    except (ConnectionError, ssl.SSLError, http.client.BadStatusLine, http.client.IncompleteRead): return 0, {}, b''

# A connection whose answers come one behind another.
class Kept:
    def __init__(self, s): self.f = s.makefile('rb')
    def makefile(self, *_): return self
    def close(self): pass
    def __getattr__(self, name): return getattr(self.f, name)

def get(path, host='new.test', more='', method='GET', body=b''):
    if body and 'Content-Length' not in more and 'Transfer-Encoding' not in more: more += f'Content-Length: {len(body)}\r\n'
    host = f'Host: {host}\r\n' if host else ''
    return f'{method} {path} HTTP/1.1\r\n{host}{more}\r\n'.encode('latin1') + body

def ask(data, name='new.test', **more):
    s = open_tls(name, **more)
    try: s.sendall(data)
    except (ConnectionError, ssl.SSLError): pass
    found = answer(s, data.split(b' ')[0].decode('latin1'))
    s.close()
    return found

# Status and refusal's name of each, a line.
def table(rows):
    for row in rows:
        status, fields, body = row() if callable(row) else ask(row)
        print(status, fields.get('x-cofferdam', '-'), flush=True)

# Fields of HTTP/2 as they are given, sound or not; status, fields and body, or 0 and the reset's number.
def two(path='/x', authority='new.test', more=(), method='GET', body=b'', name='new.test', s=None, scheme='https'):
    import h2.config, h2.connection, h2.events
    config = h2.config.H2Configuration(header_encoding='latin1', validate_outbound_headers=False, normalize_outbound_headers=False, validate_inbound_headers=False)
    c = h2.connection.H2Connection(config)
    s = s or open_tls(name, alpn=('h2',))
    c.initiate_connection()
    fields = [(':method', method), (':scheme', scheme), (':authority', authority), (':path', path)]
    fields = [one for one in fields if one[1] is not None] + list(more)
    c.send_headers(1, fields, end_stream=not body)
    if body: c.send_data(1, body, end_stream=True)
    status, found, out = 0, {}, b''
    try:
        s.sendall(c.data_to_send())
        while True:
            part = s.recv(65536)
            if not part: return status, found, out
            for event in c.receive_data(part):
                if isinstance(event, h2.events.ResponseReceived):
                    found = dict(event.headers); status = int(found[':status'])
                if isinstance(event, h2.events.DataReceived):
                    out += event.data; c.acknowledge_received_data(event.flow_controlled_length, 1)
                if isinstance(event, h2.events.TrailersReceived): found.update(event.headers)
                if isinstance(event, h2.events.StreamReset): return 0, {'reset': event.error_code}, out
                if isinstance(event, h2.events.ConnectionTerminated): return status, {**found, 'away': event.error_code}, out
                if isinstance(event, h2.events.StreamEnded):
                    s.close(); return status, found, out
            s.sendall(c.data_to_send())
    except (ConnectionError, ssl.SSLError, TimeoutError): return status, found, out

