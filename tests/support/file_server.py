"""A quick server of seeded files, with faults on purpose: a process of its own for the long tests.

    python -m support.file_server --seed 7 --port 0 --max-faults 5          # in tests/

prints its port and serves `/f/<number>` until its stdin ends: GET and HEAD, a single Range, If-Range by strong entity tag or
date. Each line on stdin is a command and is answered by one line of JSON on stdout:

    report          figures: requests, connections, faults by name, answers by status
    counts          {"<number>": how many requests came for it}
    log             the numbers that were asked for since the last `log`, in order
    version N       serve version N from now on; contents, sizes and validators are others
    only FAULT      every attempt has this fault from now on, within --max-faults; "only" alone ends that

Each answer about a file tells in `X-File` which one was asked for, so that a client can tell if it was given another's. One
that comes on a connection on which surplus bytes went out before has `X-After-Surplus`: behind a surplus that looks like an
answer, no client that pipelines can tell whose the next one is. With `--certificate` it speaks TLS.

`support.file_server_process` starts it and talks to it.
"""
import argparse
import asyncio
import base64
import json
import os
import re
import socket
import ssl
import struct
import sys
from dataclasses import dataclass

from support.file_faults import FAULTS, N_PERCENT, Fault, FaultDraw
from support.seeded_files import LARGEST, SeededFiles, numbers

REQUEST = re.compile(rb"(GET|HEAD) (?:http://[^/ ]+)?/f/(\d{1,9})(?:\?[^ ]*)? HTTP/1\.1\r\n")
RANGE = re.compile(rb"\r\nrange:[ \t]*bytes=(\d*)-(\d*)[ \t]*\r\n", re.I)
IF_RANGE = re.compile(rb"\r\nif-range:[ \t]*([^\r]*?)[ \t]*\r\n", re.I)
LONGEST_HEAD = 64 * 1024    # bytes of a request head
JOINED_LEN = 64 * 1024      # of a body, that goes out with the head in one send
CHUNK_LEN = 16 * 1024
DRIP_GAP_S = 0.05
LET_ARRIVE_S = 0.01         # before a reset, which would overtake what was sent
LINGER_S = 10.0             # how long a connection may stay open behind FIN
N_SURPLUS = 1000            # most bytes by which a Content-Length is too long
N_BACKLOG = 1024
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"     # surplus that looks like the answer to the next request
NOISE = b"\x00surplus\r\n"


@dataclass
class Answer:
    """What goes out: `head` and `body` at once, and what comes then.

    "keep" goes on with the next request, "surplus", too; "pause" sends `rest` after a while, "drip" byte after byte; "fin" and
    "reset" end the connection, "stall" leaves that to the client.
    """
    head: bytes
    body: memoryview | bytes = b""
    then: str = "keep"
    rest: memoryview | bytes = b""


class FileServer:
    """What is served and what was asked; connections ask `answer`."""

    def __init__(self, files: SeededFiles, draw: FaultDraw, *, version: int = 0, repr_digest: bool = False,
                 pause_s: float = 0.0, paused_percent: float = 0.0, keeps_log: bool = True):
        self.files, self.draw, self.version, self.repr_digest = files, draw, version, repr_digest
        self.pause_s, self.paused_share, self.keeps_log = pause_s, paused_percent / 100, keeps_log
        self.n_connections = self.n_requests = self.n_ranges = self.n_body_bytes = self.n_after_surplus = 0
        self.n_by_number: dict[int, int] = {}
        self.n_by_fault: dict[str, int] = {}
        self.n_by_status: dict[int, int] = {}
        self.log: list[int] = []
        self._digests: dict[tuple[int, int], bytes] = {}

    def report(self) -> dict:
        return {"requests": self.n_requests, "connections": self.n_connections, "range requests": self.n_ranges,
                "body bytes": self.n_body_bytes, "requests after surplus": self.n_after_surplus, "version": self.version,
                "most requests for one": max(self.n_by_number.values(), default=0), "urls": len(self.n_by_number),
                "faults": self.n_by_fault, "statuses": self.n_by_status}

    def command(self, line: str) -> object:
        """Does what a line of stdin says; returns what is to be printed as JSON."""
        match line.split():
            case ["report"]:
                return self.report()
            case ["counts"]:
                return self.n_by_number
            case ["log"]:
                log, self.log = self.log, []
                return log
            case ["version", number] if number.isdigit():
                self.version = int(number)
                return self.version
            case ["only", *name] if not name or " ".join(name) in FAULTS:
                self.draw.only = " ".join(name) or None
                return self.draw.only
        return {"error": f"no such command: {line!r}"}

    # -- answers
    def answer(self, request: bytes, after_surplus: bool = False) -> Answer:
        """The answer to a request head."""
        self.n_requests += 1
        match = REQUEST.match(request)
        if match is None:
            return self.short(404, b"Not Found")
        number = int(match[2])
        attempt = self.n_by_number.get(number, 0)
        self.n_by_number[number] = attempt + 1
        if self.keeps_log:
            self.log.append(number)
        about = b"X-File: %d\r\n" % number + (b"X-After-Surplus: 1\r\n" if after_surplus else b"")
        asked = RANGE.search(request)
        fault = self.draw.draw(number, attempt) if match[1] == b"GET" else None
        if fault is not None and fault.name in ("503", "429"):
            self.count_fault(number, fault)
            later = b"Retry-After: %d\r\n" % round(fault.kind) if fault.name == "429" else b""
            return self.short(int(fault.name), b"Come again", about + later)
        size, etag = self.files.size(number, self.version), self.files.etag(number, self.version).encode()
        date = self.files.last_modified(number, self.version).encode()
        fields = b"%bETag: %b\r\nLast-Modified: %b\r\nAccept-Ranges: bytes\r\n" % (about, etag, date)
        if self.repr_digest:
            fields += b"Repr-Digest: sha-256=:%b:\r\n" % base64.b64encode(self.digest(number))
        status, start, end = b"200 OK", 0, size
        if asked and fault is not None and fault.name == "whole for range":
            self.count_fault(number, fault)
        elif asked and not ((condition := IF_RANGE.search(request)) and condition[1] not in (etag, date)):
            self.n_ranges += 1
            start, end = span(asked, size)
            if start >= end:
                return self.short(416, b"Range Not Satisfiable", b"%bContent-Range: bytes */%d\r\n" % (about, size))
            status = b"206 Partial Content"
            fields += b"Content-Range: bytes %d-%d/%d\r\n" % (start, end - 1, size)
        self.count_status(int(status[:3]))
        body = self.files.view(number, self.version, start, end)
        if match[1] == b"HEAD":
            return Answer(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n" % (status, len(body), fields))
        answer = None if fault is None else self.faulty(fault, status, fields, body)
        if answer is not None:
            self.count_fault(number, fault)
        elif self.paused_share and len(body) > 1 and numbers(self.files.seed, number, attempt, 1)[1] < self.paused_share:
            half = len(body) // 2
            answer = Answer(plain_head(status, len(body), fields), body[:half], "pause", body[half:])
        else:
            answer = Answer(plain_head(status, len(body), fields), body)
        self.n_body_bytes += len(answer.body)
        return answer

    def faulty(self, fault: Fault, status: bytes, fields: bytes, body: memoryview) -> Answer | None:
        """The answer with a fault; None where this fault is none for such a body."""
        size = len(body)
        at = int(fault.at * size)
        head = plain_head(status, size, fields)
        match fault.name:
            case "reset" | "fin":
                if not size:
                    head = head[:int(fault.at * len(head))]
                return Answer(head, body[:at], fault.name)
            case "too long":
                return Answer(plain_head(status, size + 1 + int(fault.kind * N_SURPLUS), fields), body, "fin")
            case "too short" if size:
                return Answer(plain_head(status, at, fields), body)
            case "bad chunk":
                head = b"HTTP/1.1 %b\r\nTransfer-Encoding: chunked\r\n%b\r\n" % (status, fields)
                chunks = [b"%x\r\n%b\r\n" % (len(piece), piece)
                          for piece in (body[n:min(n + CHUNK_LEN, at)] for n in range(0, at, CHUNK_LEN))]
                return Answer(head, b"".join(chunks) + b"no size\r\n", "fin")
            case "stall":
                return Answer(head, body[:at], "stall") if size else Answer(head[:at], then="stall")
            case "drip" if size:
                return Answer(head, body[:at], "drip", body[at:])
            case "surplus":
                return Answer(head, bytes(body) + (EVIL if fault.kind < 0.5 else NOISE), "surplus")
        return None

    def short(self, status: int, text: bytes, fields: bytes = b"") -> Answer:
        """An answer that is no file."""
        self.count_status(status)
        return Answer(plain_head(b"%d %b" % (status, text), len(text), fields), text)

    def digest(self, number: int) -> bytes:
        key = number, self.version
        if key not in self._digests:
            self._digests[key] = self.files.sha256(*key)
        return self._digests[key]

    def count_fault(self, number: int, fault: Fault) -> None:
        self.draw.given(number)
        self.n_by_fault[fault.name] = self.n_by_fault.get(fault.name, 0) + 1

    def count_status(self, status: int) -> None:
        self.n_by_status[status] = self.n_by_status.get(status, 0) + 1


def plain_head(status: bytes, length: int, fields: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n" % (status, length, fields)


def span(asked: re.Match, size: int) -> tuple[int, int]:
    """The [start, end) that a Range field means for a file of this size; empty where it cannot be satisfied."""
    first, last = asked[1], asked[2]
    if first:
        return int(first), min(size, int(last) + 1) if last else size
    return (max(0, size - int(last)), size) if last else (size, size)


class FileConnection(asyncio.Protocol):
    """One connection: answers its requests in turn, and waits where the client does not read."""

    def __init__(self, server: FileServer):
        self.server, self.pending = server, bytearray()
        self.busy = self.full = self.had_surplus = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport):
        self.server.n_connections += 1
        self.transport = transport

    def connection_lost(self, _):
        self.busy = True
        self.transport = None

    def pause_writing(self):
        self.full = True

    def resume_writing(self):
        self.full = False
        self.serve()

    def data_received(self, data):
        self.pending += data
        self.serve()
        if len(self.pending) > LONGEST_HEAD and not self.busy and not self.full:
            self.abort()

    def serve(self) -> None:
        """Answers what is there."""
        while not (self.busy or self.full or self.transport.is_closing()):
            end = self.pending.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            request = bytes(self.pending[:end])
            del self.pending[:end]
            self.server.n_after_surplus += self.had_surplus
            self.send(self.server.answer(request, self.had_surplus))

    def send(self, answer: Answer) -> None:
        head, body = answer.head, answer.body
        if len(body) <= JOINED_LEN:
            self.transport.write(head + body)
        else:
            self.transport.write(head + bytes(body[:JOINED_LEN]))
            self.transport.write(body[JOINED_LEN:])
        if answer.then == "keep":
            return
        if answer.then == "surplus":
            self.had_surplus = True
            return
        self.busy = True
        later = asyncio.get_running_loop().call_later
        match answer.then:
            case "fin" if self.transport.can_write_eof():
                self.transport.write_eof()          # and read on: what is unread would turn FIN into RST
                later(LINGER_S, self.abort)
            case "fin":
                self.transport.close()              # TLS: close_notify, and then FIN
            case "reset":
                later(LET_ARRIVE_S, self.reset)
            case "drip":
                later(DRIP_GAP_S, self.drip, answer.rest)
            case "pause":
                later(self.server.pause_s, self.go_on, answer.rest)

    def drip(self, rest) -> None:
        if self.transport is None:
            return
        if len(rest) > 1:
            self.server.n_body_bytes += 1
            self.transport.write(bytes(rest[:1]))
            asyncio.get_running_loop().call_later(DRIP_GAP_S, self.drip, rest[1:])
        else:
            self.go_on(rest)

    def go_on(self, rest) -> None:
        """Sends the rest of an answer, and turns to the next request."""
        if self.transport is None:
            return
        self.server.n_body_bytes += len(rest)
        self.transport.write(rest)
        self.busy = False
        self.serve()

    def reset(self) -> None:
        if self.transport is not None:
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.abort()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


async def serve(server: FileServer, port: int, n_hosts: int, context: ssl.SSLContext | None) -> None:
    """Serves until stdin ends, at one port of 127.0.0.1, 127.0.0.2, ..."""
    loop = asyncio.get_running_loop()
    listeners = []
    for n in range(1, n_hosts + 1):
        listeners.append(await loop.create_server(lambda: FileConnection(server), f"127.0.0.{n}", port, backlog=N_BACKLOG,
                                                  ssl=context))
        port = listeners[0].sockets[0].getsockname()[1]
    over, said = asyncio.Event(), bytearray()

    def hear():
        data = os.read(sys.stdin.fileno(), 4096)
        if not data:
            loop.remove_reader(sys.stdin.fileno())
            over.set()
        said.extend(data)
        while (end := said.find(b"\n")) >= 0:
            line = said[:end].decode()
            del said[:end + 1]
            print(json.dumps(server.command(line)), flush=True)

    loop.add_reader(sys.stdin.fileno(), hear)
    print(port, flush=True)
    await over.wait()
    for listener in listeners:
        listener.close()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m support.file_server", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="of the files and of the faults")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--hosts", type=int, default=1, help="addresses to listen at: 127.0.0.1, 127.0.0.2, ...")
    parser.add_argument("--largest", type=int, default=LARGEST, help="bytes of the largest file")
    parser.add_argument("--max-faults", type=int, default=5, help="faults of one URL at most; 0: no limit")
    parser.add_argument("--fault-percent", type=float, default=N_PERCENT, help="attempts of a hundred that have a fault")
    parser.add_argument("--faults", type=lambda text: text.split(","), default=list(FAULTS), help="their names, by commas")
    parser.add_argument("--version", type=int, default=0, help="the version that is served at first")
    parser.add_argument("--repr-digest", action="store_true", help="send Repr-Digest of the whole file (RFC 9530)")
    parser.add_argument("--pause-s", type=float, default=0.0, help="a pause in the midst of some bodies, no fault")
    parser.add_argument("--paused-percent", type=float, default=0.0, help="how many of a hundred answers have it")
    parser.add_argument("--no-log", action="store_true", help="keep no log: it grows with each request")
    parser.add_argument("--certificate", help="a PEM file with certificate and key: speak TLS")
    given = parser.parse_args(arguments)
    context = None
    if given.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(given.certificate)
    draw = FaultDraw(given.seed, given.max_faults, given.fault_percent, given.faults)
    server = FileServer(SeededFiles(given.seed, given.largest), draw, version=given.version, repr_digest=given.repr_digest,
                        pause_s=given.pause_s, paused_percent=given.paused_percent,
                        keeps_log=not given.no_log)
    asyncio.run(serve(server, given.port, given.hosts, context))


if __name__ == "__main__":
    main()
