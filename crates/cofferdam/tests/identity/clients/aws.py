"""Plays S3 and DynamoDB for one key: a signature of Amazon's, version 4, is made again from what came, with
the key in aws.keys beside this file, and compared. No code is shared with who signs.
"""
import hashlib, hmac, json, os, re, sys, urllib.parse

raw = sys.stdin.buffer.read()
end = re.search(rb"\r?\n\r?\n", raw) or re.search(rb"\n\Z", raw)
two = os.environ["VERSION"] == "2"
if two:
    lines = [line for line in raw.split(b"\n")]
    count = next((i for i, line in enumerate(lines) if b": " not in line and i > 0), len(lines))
    head, body = lines[:count], b"\n".join(lines[count:])
    method, target = head[0].decode().split(" ")[1:3]
else:
    head, body = raw[: end.start()].split(b"\r\n"), raw[end.end():]
    method, target = head[0].decode().split(" ")[:2]
fields = {}
for line in head[1:]:
    name, value = line.decode("latin-1").split(":", 1)
    fields.setdefault(name.strip().lower(), []).append(" ".join(value.split()))
fields.setdefault("host", [os.environ["AUTHORITY"]])
path, _, query = target.partition("?")
identity, secret, token = (open(os.path.dirname(os.path.abspath(__file__)) + "/aws.keys").read().split(":", 2) + [None])[:3]


def answer(status, kind, text, more=""):
    text = text.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n{more}\r\n"
    sys.stdout.buffer.write(head.encode() + text)
    sys.exit(0)


def refuse(why):
    answer("403 Forbidden", "application/xml", f"<Error><Code>SignatureDoesNotMatch</Code><Message>{why}</Message></Error>")


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


signed = fields.get("authorization", [])
found = len(signed) == 1 and re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})", signed[0])
if not found:
    refuse("no signature")
scope, names, signature = found.groups()
key, day, region, service, last = scope.split("/")
if key != identity:
    refuse("an unknown key")
if fields.get("x-amz-security-token", [None]) != [token]:
    refuse("an unknown token")
digest = hashlib.sha256(body).hexdigest()
stated = fields.get("x-amz-content-sha256", [digest])[0]
if re.fullmatch("[0-9a-f]{64}", stated) and stated != digest:
    refuse("another body")
quoted = path if service == "s3" else urllib.parse.quote(path, safe="/~")
pairs = sorted((part.split("=", 1) + [""])[:2] for part in query.split("&") if part)
canonical = "\n".join([
    method, quoted, "&".join(f"{a}={b}" for a, b in pairs),
    *(f"{name}:{','.join(fields[name])}" for name in names.split(";")), "", names, stated])
text = "\n".join(["AWS4-HMAC-SHA256", fields["x-amz-date"][0], f"{day}/{region}/{service}/aws4_request",
                  hashlib.sha256(canonical.encode()).hexdigest()])
made = ("AWS4" + secret).encode()
for part in (day, region, service, "aws4_request"):
    made = mac(made, part)
if last != "aws4_request" or mac(made, text).hex() != signature:
    refuse("another signature")
if service == "dynamodb":
    answer("200 OK", "application/x-amz-json-1.0", json.dumps({"TableNames": ["one"]}))
if method == "PUT":
    answer("200 OK", "application/xml", "", 'ETag: "put"\r\n')
answer("200 OK", "application/xml", "<ListBucketResult><KeyCount>1</KeyCount><Contents><Key>a b</Key></Contents></ListBucketResult>")
