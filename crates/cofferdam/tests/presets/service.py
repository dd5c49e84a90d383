# Plays the services of two agents on 127.0.0.1 and starts the command of its arguments with PORT
# set. The first answer asks for a command, the second ends the turn.
import http.server, json, os, subprocess, sys, threading

COMMAND = "cat ~/.ssh/id_test 2>&1 | sed 's/.*:/home-secret:/' >made-by-agent"


def responses(asked):
    names = [tool.get("name") for tool in asked.get("tools", [])]
    told = any(i.get("type") == "function_call_output" for i in asked.get("input", []))
    name = "exec_command" if "exec_command" in names else "shell_command"
    key = "cmd" if name == "exec_command" else "command"
    item = {"type": "function_call", "id": "f", "call_id": "c", "name": name,
            "arguments": json.dumps({key: COMMAND})}
    if told:
        item = {"type": "message", "role": "assistant", "id": "m",
                "content": [{"type": "output_text", "text": "all done"}]}
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


class Played(http.server.BaseHTTPRequestHandler):
    def log_message(self, *words):
        pass

    def do_GET(self):
        self.send_error(404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            asked = json.loads(body)
        except ValueError:
            return self.send_error(400)
        events = (responses if "responses" in self.path else messages)(asked)
        lines = ["event: %s\ndata: %s\n\n" % (e["type"], json.dumps(e)) for e in events]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write("".join(lines).encode())


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Played)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["PORT"] = str(server.server_address[1])
sys.exit(subprocess.run(sys.argv[1:]).returncode)
