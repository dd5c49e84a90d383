"""Reads requests with h11: for each record of standard input one line of JSON.

A record is its length (4 bytes, big end first) and the bytes that a client sent before it left.
"""

import json
import struct
import sys

import h11

HEAD_BYTES_MAX = 1 << 20


def text(raw):
    return bytes(raw).decode("latin-1")


def fields(some):
    return [[text(name), text(value)] for name, value in some]


def read(raw):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
    connection.receive_data(raw)
    connection.receive_data(b"")
    found = []
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            found.append(
                {
                    "method": text(event.method),
                    "target": text(event.target),
                    "fields": fields(event.headers),
                    "body": "",
                    "trailers": [],
                    "whole": False,
                }
            )
        elif isinstance(event, h11.Data):
            found[-1]["body"] += text(event.data)
        elif isinstance(event, h11.EndOfMessage):
            found[-1]["trailers"] = fields(event.headers)
            found[-1]["whole"] = True
            connection.send(h11.Response(status_code=403, headers=[("Content-Length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is h11.MUST_CLOSE:
                return found, text(connection.trailing_data[0])
            connection.start_next_cycle()
        elif event is h11.PAUSED:
            return found, text(connection.trailing_data[0])
        else:
            return found, ""


def main():
    source = sys.stdin.buffer
    while header := source.read(4):
        raw = source.read(struct.unpack(">I", header)[0])
        try:
            found, rest = read(raw)
            said = {"requests": found, "rest": rest, "fault": None}
        except h11.RemoteProtocolError as error:
            said = {"requests": [], "rest": "", "fault": str(error)}
        print(json.dumps(said))


main()
