# Plays the services of two agents. The first answer asks for a command, the second ends the turn.
#
# usage: service.py COMMAND...          on 127.0.0.1; starts the command with PORT set, ends with it
#        service.py --tls CERT KEY SEEN on 127.0.0.1, with TLS; prints its port, ends with its input;
#                                       a line of JSON in SEEN for each request or broken greeting
#
# ASKED is the command that is asked for. Where LOGIN is a file, the API is for who has the access token in it,
# and a refresh token is exchanged for the next one of each (a line for each of them: access, refresh, number).
import base64, http.server, json, os, ssl, subprocess, sys, threading

COMMAND = os.environ.get("ASKED") or "cat ~/.ssh/id_test 2>&1 | sed 's/.*:/home-secret:/' >made-by-agent"


def responses(asked):
    items = asked.get("input", [])
    told = any(i.get("type") in ("function_call_output", "custom_tool_call_output") for i in items)
    # Newer models are told of their tools in an item of the conversation, in groups.
    groups = [tool for i in items if i.get("type") == "additional_tools" for tool in i["tools"]]
    tools = asked.get("tools", []) + [tool for group in groups for tool in group.get("tools", [])]
    names = [tool.get("name") for tool in tools]
    call = {"id": "f", "call_id": "c"}
    if told:
        item = {"type": "message", "role": "assistant", "id": "m",
                "content": [{"type": "output_text", "text": "all done"}]}
    elif "exec" in names:
        # A program in JavaScript, which calls the others.
        script = "text(await tools.exec_command(%s))" % json.dumps({"cmd": COMMAND})
        item = {"type": "custom_tool_call", "name": "exec", "input": script, **call}
    else:
        name = "exec_command" if "exec_command" in names else "shell_command"
        key = "cmd" if name == "exec_command" else "command"
        item = {"type": "function_call", "name": name, "arguments": json.dumps({key: COMMAND}), **call}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2,
             "input_tokens_details": None, "output_tokens_details": None}
    return [{"type": "response.created", "response": {"id": "r"}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": {"id": "r", "usage": usage}}]


def messages(asked):
    names = [tool.get("name") for tool in asked.get("tools", [])]
    parts = [part for message in asked.get("messages", [])
             if isinstance(message.get("content"), list) for part in message["content"]]
    told = any(part.get("type") == "tool_result" for part in parts)
    if told or "Bash" not in names:
        block, stop = {"type": "text", "text": ""}, "end_turn"
        delta = {"type": "text_delta", "text": "all done"}
    else:
        block, stop = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}, "tool_use"
        asks = {"command": COMMAND, "description": "asked for"}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(asks)}
    start = {"id": "m", "type": "message", "role": "assistant", "model": asked.get("model", "m"),
             "content": [], "stop_reason": None, "stop_sequence": None,
             "usage": {"input_tokens": 1, "output_tokens": 1}}
    return [{"type": "message_start", "message": start},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "usage": {"output_tokens": 1},
             "delta": {"stop_reason": stop, "stop_sequence": None}},
            {"type": "message_stop"}]


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def login():
    return open(os.environ["LOGIN"]).read().split()


def token(asked):
    """The next tokens, or None."""
    access, refresh, number = login()
    if asked.get("grant_type") != "refresh_token" or asked.get("refresh_token") != refresh:
        return None
    following = f"{int(number) + 1:04}"
    claims = {"email": "somebody@example.test", "https://api.openai.com/auth": {"chatgpt_account_id": "acc-1", "chatgpt_plan_type": "pro"}, "exp": 4102444800}
    identity = f"{part({'alg': 'HS256'})}.{part(claims)}.R34lT0ken{following}OfTh1sP3rson0123456789abcdef"
    refresh = refresh.replace(number, following)
    # A token that says until when it is worth something says something else now.
    access = identity.replace("0123456789abcdef", "fedcba9876543210") if access.startswith("eyJ") else access.replace(number, following)
    with open(os.environ["LOGIN"], "w") as file:
        file.write(f"{access}\n{refresh}\n{following}")
    return {"token_type": "Bearer", "access_token": access, "refresh_token": refresh, "id_token": identity,
            "expires_in": 28800, "scope": "user:inference user:profile"}


class Played(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = None

    def log_message(self, *words):
        pass

    def note(self, body):
        if self.seen:
            name = self.connection.server_name
            keys = [self.headers.get("x-api-key"), self.headers.get("authorization")]
            note(method=self.command, path=self.path, host=self.headers.get("host"), name=name,
                     keys=[key for key in keys if key], bytes=len(body))

    def do_GET(self):
        self.note(b"")
        if self.path == "/api/hello":
            self.send_response(200)
            self.send_header("content-length", "0")
            return self.end_headers()
        # No WebSocket is played: whoever asks for one goes on with HTTP.
        self.send_error(426 if self.headers.get("upgrade") else 404)

    do_HEAD = do_GET

    def say(self, status, value):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.note(body)
        try:
            asked = json.loads(body)
        except ValueError:
            return self.send_error(400)
        if "LOGIN" in os.environ:
            if self.path == "/v1/oauth/token" or self.path == "/oauth/token":
                brought = token(asked)
                return self.say(200, brought) if brought else self.say(400, {"error": "invalid_grant"})
            if self.headers.get("authorization") != "Bearer " + login()[0]:
                fault = {"type": "authentication_error", "message": "OAuth token has expired"}
                return self.say(401, {"type": "error", "error": fault})
        events = (responses if "responses" in self.path else messages)(asked)
        lines = ["event: %s\ndata: %s\n\n" % (e["type"], json.dumps(e)) for e in events]
        text = "".join(lines).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        # Who looks into TLS takes an end without a word for a cut.
        self.send_header("content-length", str(len(text)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(text)


def note(**what):
    with open(Played.seen, "a") as seen:
        seen.write(json.dumps(what) + "\n")


class Closed(http.server.ThreadingHTTPServer):
    """Greets in the thread of the connection."""

    def finish_request(self, raw, address):
        raw.settimeout(60)
        try:
            tls = self.context.wrap_socket(raw, server_side=True)
        except OSError as error:
            return note(broken=str(error))
        try:
            self.RequestHandlerClass(tls, address, self)
        finally:
            tls.close()


def with_tls(cert, key, seen):
    Played.seen = seen
    server = Closed(("127.0.0.1", 0), Played)
    server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.context.load_cert_chain(cert, key)
    server.context.set_alpn_protocols(["http/1.1"])
    server.context.sni_callback = lambda tls, name, _: setattr(tls, "server_name", name)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if sys.argv[1] == "--tls":
    with_tls(*sys.argv[2:])
    sys.exit(0)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Played)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["PORT"] = str(server.server_address[1])
sys.exit(subprocess.run(sys.argv[1:]).returncode)
