"""Plays the APIs of Anthropic and OpenAI for SDKs: an answer, whole or as events, to who has the key in
sdk.key beside this file.
"""
import json, os, sys

raw = sys.stdin.buffer.read()
head = raw[: raw.index(b"{")].decode("latin-1")
asked = json.loads(raw[raw.index(b"{"):])
fields = dict(line.split(": ", 1) for line in head.replace("\r", "").split("\n")[1:] if ": " in line)
fields = {name.lower(): value for name, value in fields.items()}
key = open(os.path.dirname(os.path.abspath(__file__)) + "/sdk.key").read()
out = sys.stdout.buffer


def send(status, kind, pieces):
    out.write(f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    for piece in [piece.encode() for piece in pieces]:
        out.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        out.flush()
    out.write(b"0\r\n\r\n")
    sys.exit(0)


is_messages = next(word for word in head.split() if word.startswith("/")).endswith("/messages")
borne = fields.get("x-api-key") if is_messages else fields.get("authorization", "").removeprefix("Bearer ")
if borne != key:
    send("401 Unauthorized", "application/json", [json.dumps({"error": {"message": "who are you?"}})])
if is_messages:
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [],
               "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
    whole = {**message, "content": [{"type": "text", "text": "all done"}], "stop_reason": "end_turn"}
    events = [{"type": "message_start", "message": message},
              {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
              *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
                for text in ("all ", "done")),
              {"type": "content_block_stop", "index": 0},
              {"type": "message_delta", "usage": {"output_tokens": 1}, "delta": {"stop_reason": "end_turn", "stop_sequence": None}},
              {"type": "message_stop"}]
    lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
else:
    def choice(kind, **what):
        return {"id": "c", "object": kind, "created": 1, "model": "m", "choices": [{"index": 0, **what}]}
    whole = choice("chat.completion", message={"role": "assistant", "content": "all done"}, finish_reason="stop")
    chunks = [choice("chat.completion.chunk", delta={"content": text}, finish_reason=None) for text in ("all ", "done")]
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"]
if asked.get("stream"):
    send("200 OK", "text/event-stream", lines)
send("200 OK", "application/json", [json.dumps(whole)])
