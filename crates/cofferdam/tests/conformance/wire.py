# Operations that need hosts; what comes before this is speaking.py, which opens connections and asks.

# Whoever does not speak to the proxy knows nothing of it.
PROXY = re.match('http://([^:]*):([0-9]*)', os.environ.get('https_proxy', ''))
for name in [name for name in os.environ if name.lower().endswith('_proxy')]: del os.environ[name]

def by_tls(error): return {'errno': (error.reason or 'TLS').replace('SSLV3_', '').replace('TLSV1_', '')}

# What a request came to, by HTTP of any version.
def came(status, fields):
    if 'x-cofferdam' in fields: return {'status': status, 'code': fields['x-cofferdam']}
    return {'ok': True} if 200 <= status < 300 or status == 101 else {'error': f'status {status}'}

def written(r, **more):
    fields = r.get('more', '').replace('$KEY', os.environ.get('API_KEY', 'sk-harmless-0123456789'))
    body = fields.split('\r\n\r\n', 1)
    fields, body = (body[0] + '\r\n' if body[0] else '', body[1].encode('latin1')) if len(body) == 2 else (fields, b'')
    target = r.get('target', '/x').replace('$KEY', os.environ.get('API_KEY', 'sk-harmless-0123456789'))
    return get(target, host=r.get('other', r['host']), more=fields, method=r.get('method', 'GET'), body=body)

def asked(r):
    try: status, fields, _ = ask(written(r), name=r['host'])
    except ssl.SSLError as e: return by_tls(e)
    return came(status, fields)

# One thing, asked in its own way each: the rule that decides is another one.
for name in ('request', 'request-method', 'request-path', 'request-target', 'request-slash', 'request-query', 'request-header', 'request-body-size',
             'request-body', 'request-graphql', 'request-git-read', 'request-git-write', 'request-git-other', 'request-not-git', 'request-denied-path',
             'request-trace', 'request-doh', 'request-upgrade', 'request-other-host', 'request-two-lengths', 'request-get-body', 'request-trailer',
             'bear-header', 'bear-none', 'bear-foreign', 'bear-twice', 'bear-beside', 'bear-in-path', 'bear-elsewhere', 'send-planted'):
    OPERATIONS[name] = asked

@operation
def request_rate(r):
    for _ in range(r['number']):
        found = asked(r)
        if 'ok' not in found: return found

@operation
def request_clear(r):
    s = socket.create_connection((r['host'], r.get('port', 80)), 5); s.sendall(written(r)); s.settimeout(5)
    status, fields, _ = answer(s); return came(status, fields)
OPERATIONS['request-clear-other-host'] = request_clear

@operation
def request_two(r):
    words = ['curl', '-sS', '--http2', '--max-time', '8', '-o', '/dev/null', '-D', '-', '-w', '%{http_version} %{http_code}', f"https://{r['host']}{r.get('target', '/x')}"]
    told = subprocess.run(words, capture_output=True, text=True)
    version, status = told.stdout.split('\n')[-1].split(' ')
    if version != '2': return {'error': f'HTTP {version}: {told.stderr}'}
    fields = dict(line.lower().split(': ', 1) for line in told.stdout.split('\n') if ': ' in line)
    return came(int(status), {name: value.strip() for name, value in fields.items()})
OPERATIONS['request-two-path'] = request_two

@operation
def lookup(r):
    socket.getaddrinfo(r['host'], 443)
OPERATIONS['lookup-below-wildcard'] = OPERATIONS['lookup-apex'] = lookup

@operation
def lookup_by_server(r):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
    name = b''.join(bytes([len(p)]) + p.encode() for p in r['host'].split('.')) + b'\0'
    s.sendto(struct.pack('>HHHHHH', 7, 0x100, 1, 0, 0, 0) + name + struct.pack('>HH', 1, 1), (r['other'], 53))
    if s.recv(512)[3] & 15: refuse('ENOENT', 'no such name')

@operation
def connect_name(r):
    s = socket.create_connection((r['host'], r['port']), 5); s.settimeout(5); s.sendall(b'x'); s.recv(1) or refuse('ECONNRESET', 'it ended')
OPERATIONS['connect-address'] = OPERATIONS['connect-metadata'] = OPERATIONS['connect-port'] = connect_name

@operation
def connect_host_loopback(r): socket.create_connection(('127.0.0.1', r['port']), 5)

@operation
def connect_tls(r):
    try: open_tls(r['host']).close()
    except ssl.SSLError as e: return by_tls(e)

@operation
def connect_tls_other(r):
    c = ssl.create_default_context(); c.check_hostname = False
    try: c.wrap_socket(open_tcp(r['host']), server_hostname=r['other']).close()
    except ssl.SSLError as e: return by_tls(e)

@operation
def connect_tls_no_name(r):
    c = ssl.create_default_context(); c.check_hostname = False
    try: c.wrap_socket(open_tcp(r['host'])).close()
    except ssl.SSLError as e: return by_tls(e)

@operation
def speak_other(r):
    s = socket.create_connection((r['host'], 443), 5); s.settimeout(5); s.sendall(b'SSH-2.0-x\r\n')
    try: found = s.recv(64)
    except ConnectionError: found = b''
    if not found: refuse('ECONNRESET', 'it ended')
    if found[0] == 0x15: return {'errno': 'ALERT'}

def proxied(): return PROXY and (PROXY[1], int(PROXY[2]))

@operation
def tunnel(r):
    if not proxied(): socket.create_connection((r['host'], r['port']), 5); return
    s = socket.create_connection(proxied(), 5); s.settimeout(5)
    s.sendall(f"CONNECT {r['host']}:{r['port']} HTTP/1.1\r\nHost: {r['host']}:{r['port']}\r\n\r\n".encode())
    head = b''
    while b'\r\n\r\n' not in head:
        part = s.recv(4096)
        if not part: break
        head += part
    status = int(head.split(b' ')[1])
    code = re.search(b'X-Cofferdam: ([^\r]*)', head)
    return came(status, {'x-cofferdam': code[1].decode()} if code else {})
OPERATIONS['tunnel-address'] = OPERATIONS['tunnel-port'] = OPERATIONS['tunnel-forbidden'] = tunnel

@operation
def socks(r):
    if not proxied(): socket.create_connection((r['host'], r['port']), 5); return
    s = socket.create_connection((proxied()[0], 1080), 5); s.settimeout(5)
    s.sendall(b'\x05\x01\x00'); s.recv(2)
    name = r['host'].encode(); s.sendall(b'\x05\x01\x00\x03' + bytes([len(name)]) + name + struct.pack('>H', r['port']))
    code = s.recv(10)[1]
    if code: return {'errno': f'SOCKS{code}'}

@operation
def datagram(r):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2); s.sendto(b'x', (r['host'], r['port'])); s.recv(9)

@operation
def ping(r):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1); s.settimeout(2); s.sendto(b'\x08\0\xf7\xff\0\0\0\0', (r['host'], 0)); s.recv(99)

@operation
def have_secret(r):
    if not any(r['text'] in value for value in os.environ.values()): refuse('ENOENT', 'no variable has it')

@operation
def have_stand_in(r):
    if os.environ.get('API_KEY') in (None, ''): refuse('ENOENT', 'no variable')

