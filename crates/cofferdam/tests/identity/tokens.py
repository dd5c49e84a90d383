"""Plays who gives tokens out, and rotates them: one refresh token is worth something at a time. `tokens.state`
beside this file holds it, and how many were given out; a client's secret is always the same. The last part of
the path says what is odd about the answer."""
import base64, gzip, json, os, re, sys, time, urllib.parse

raw = sys.stdin.buffer.read()
if os.environ["VERSION"] == "2":
    # The body is one line.
    *head, body = raw.split(b"\n")
    target = head[0].decode().split(" ")[2]
else:
    end = re.search(rb"\r\n\r\n", raw)
    head, body = raw[: end.start()].split(b"\r\n"), raw[end.end() :]
    target = head[0].decode().split(" ")[1]
fields = {}
for line in head[1:]:
    name, _, value = line.decode("latin-1").partition(":")
    fields[name.strip().lower()] = value.strip()
odd = target.rsplit("/", 1)[1].partition("?")[0]
state = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokens.state")


def answer(status, text, more="", kind="application/json"):
    said = text if isinstance(text, bytes) else text.encode()
    lines = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nSet-Cookie: session=of-the-endpoint\r\n{more}"
    sys.stdout.buffer.write(f"{lines}Content-Length: {len(said)}\r\n\r\n".encode() + said)
    sys.exit(0)


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


if fields.get("content-type", "").startswith("application/json"):
    given = json.loads(body)
else:
    given = dict(urllib.parse.parse_qsl(body.decode()))
wanted, count = open(state).read().split()
count = int(count) + 1
if given["grant_type"] == "client_credentials":
    secret = given.get("client_secret")
    if "authorization" in fields:
        secret = base64.b64decode(fields["authorization"].split(" ")[1]).decode().partition(":")[2]
    bears = secret == "cs-live-R34lS3cr3tOfTh1sCl1ent-0123456789"
else:
    bears = given["refresh_token"] == wanted
if not bears:
    said = given.get("refresh_token", "")
    answer("400 Bad Request", json.dumps({"error": "invalid_grant", "error_description": f"{said} is spent"}))
known = f"R34lT0ken{count:04}OfTh1sP3rson"
access = f"at-live-{known}-AbCdEfGhIjKl0123456789"
refresh = f"rt-live-{known}-MnOpQrStUvWx9876543210"
identity = f"{part({'alg': 'HS256'})}.{part({'email': 'somebody@example.test', 'number': count})}.{known}0123456789abcdefghijklmnopq"
if odd == "factor":
    answer("403 Forbidden", json.dumps({"error": "mfa_required", "mfa_token": f"mfa-{access}"}))
if odd == "redirect":
    answer("302 Found", "", f"Location: https://new.test/#access_token={access}\r\nX-Next: {access}\r\n")
brought = {"token_type": "Bearer", "access_token": access, "expires_in": 3600, "scope": "all"}
if given["grant_type"] == "refresh_token":
    brought.update(refresh_token=refresh, id_token=identity, account={"uuid": "u-1", "again": f"is {access}"})
    open(state, "w").write(f"{refresh} {count}")
if odd == "same":
    brought["id_token"] = access
if odd == "slow":
    time.sleep(1.5)
if odd == "gzip":
    answer("200 OK", gzip.compress(json.dumps(brought).encode()), "Content-Encoding: gzip\r\n")
if odd == "html":
    answer("200 OK", f"<p>{access}</p>", kind="text/html")
if odd == "nested":
    answer("200 OK", json.dumps({"data": brought}))
if odd == "more":
    answer("200 OK", json.dumps({**brought, "session_token": access + "x"}))
if odd == "short":
    answer("200 OK", json.dumps({**brought, "access_token": "short-12"}))
if odd == "large":
    answer("200 OK", json.dumps({**brought, "padding": "x" * (2 << 20)}))
if odd == "bomb":
    answer("200 OK", gzip.compress(json.dumps({**brought, "padding": "x" * (2 << 20)}).encode()), "Content-Encoding: gzip\r\n")
answer("200 OK", json.dumps(brought))
