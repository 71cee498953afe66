"""The two worked examples of QHttp's class documentation, run, and printed beside the signals that it lists.

    python examples/worked_examples.py

Each example runs in a process of its own, since ids are counted over all objects of a process. The left column is the
documentation, the right one is what came; a line that differs is marked, and the reason stands below. The exit status is 0 only
if nothing differs that may not. No network is needed: the first example's server is on loopback, and the second asks for a name
that nobody can have (RFC 6761 section 6.4).
"""

from __future__ import annotations

import difflib
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qhttp
import qhttp.engine.resolver as names
from qhttp import QHttp
from qhttp.compat import QUrl

SIGNALS = ("requestStarted", "requestFinished", "done", "stateChanged", "responseHeaderReceived", "readyRead",
           "dataReadProgress", "dataSendProgress")
PAUSE_S = 0.1       # between the two pieces of the answer, so that they are told one by one
WIDTH = 44

GOT_PAGE = """\
requestStarted(1)
requestFinished(1, False)

requestStarted(2)
stateChanged(Connecting)
stateChanged(Sending)
dataSendProgress(77, 77)
stateChanged(Reading)
responseHeaderReceived(responseheader)
dataReadProgress(5388, 0)
readyRead(responseheader)
dataReadProgress(18300, 0)
readyRead(responseheader)
stateChanged(Connected)
requestFinished(2, False)

done(False)

stateChanged(Closing)
stateChanged(Unconnected)"""

NO_SUCH_HOST = """\
requestStarted(1)
requestFinished(1, False)

requestStarted(2)
stateChanged(HostLookup)
requestFinished(2, True)

done(True)

stateChanged(Unconnected)"""

# What may differ: (the documented line or None, the line that came or None, both as patterns; the reason).
VARIATIONS = [
    (None, r"stateChanged\(HostLookup\)",
     "the name is looked up: told where the documentation's second example has it. Its first example leaves it out"),
    (r"(dataReadProgress\(\d+, 0\)|readyRead\(responseheader\))?", r"(dataReadProgress\(\d+, 0\)|readyRead\(responseheader\))?",
     "how the answer was cut on its way: \"small variations, depending on network traffic\""),
]
NEEDED = ["dataReadProgress(18300, 0)", "readyRead(responseheader)"]      # however it was cut


def describe(value: object) -> str:
    """As the documentation writes it."""
    if isinstance(value, QHttp.State):
        return value.name
    return "responseheader" if hasattr(value, "statusCode") else str(value)


def record(http: QHttp) -> list[str]:
    """The signals that come, as lines."""
    lines: list[str] = []

    def noter(name: str) -> Callable[..., None]:
        return lambda *arguments: lines.append(f"{name}({', '.join(map(describe, arguments))})")

    for name in SIGNALS:
        getattr(http, name).connect(noter(name))
    return lines


def serve_one(listener: socket.socket) -> None:
    """Answers one request with 18,300 bytes in two pieces, without saying how many; closes the connection a while later."""
    peer, _ = listener.accept()
    with peer:
        while not peer.recv(65536).endswith(b"\r\n\r\n"):
            pass
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n" % (5388, b"a" * 5388))
        time.sleep(PAUSE_S)
        peer.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (12912, b"b" * 12912))
        time.sleep(PAUSE_S)


def get_page() -> list[str]:
    """The first example. The documented 77 bytes are those of a request with "Host: www.trolltech.com", so it is asked. Its
    port 80 is a port of loopback here: the look-up says so, and nothing else knows."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        names.look_up = lambda host, port: [(socket.AF_INET, listener.getsockname())]
        threading.Thread(target=serve_one, args=(listener,), daemon=True).start()
        http = QHttp()
        lines = record(http)
        http.setHost("www.trolltech.com")               # id == 1
        http.get(QUrl.toPercentEncoding("/index.html")) # id == 2
        watch = qhttp.loop().call_later(5, lambda: None)        # an idle connection does not keep run() from coming back
        http.stateChanged.connect(lambda state: watch.cancel() if state == QHttp.Unconnected else None)
        qhttp.run()
    return lines


def fail_to_get() -> list[str]:
    """The second example: the look-up fails, and what stands behind it in the queue is dropped."""
    http = QHttp()
    lines = record(http)
    http.setHost("host.invalid")                        # id == 1
    http.get("/index.html")                             # id == 2
    http.post("register.html", b"data")                 # id == 3
    qhttp.run()
    print(f"error() is {http.error().name}, errorString() is {http.errorString()!r}", file=sys.stderr)
    return lines


EXAMPLES: dict[str, tuple[str, Callable[[], list[str]], str]] = {
    "get": ('setHost("www.trolltech.com"), get("/index.html")', get_page, GOT_PAGE),
    "fail": ('setHost("host.invalid"), get("/index.html"), post("register.html", data)', fail_to_get, NO_SUCH_HOST),
}


def reason_for(documented: str | None, came: str | None) -> str | None:
    """Why these two lines may differ, None if they may not."""
    for left, right, reason in VARIATIONS:
        fits = [line is None if pattern is None else re.fullmatch(pattern, line or "") is not None
                for pattern, line in ((left, documented), (right, came))]
        if all(fits):
            return reason
    return None


def aligned(documented: list[str], came: list[str]) -> list[tuple[str | None, str | None]]:
    """Both sequences side by side; None where one has no line."""
    rows: list[tuple[str | None, str | None]] = []
    for _, a, b, c, d in difflib.SequenceMatcher(None, documented, came, autojunk=False).get_opcodes():
        for n in range(max(b - a, d - c)):
            rows.append((documented[a + n] if a + n < b else None, came[c + n] if c + n < d else None))
    return rows


def compare(title: str, documented: list[str], came: list[str]) -> bool:
    """Prints the two columns; whether nothing differs that may not."""
    print(f"\n{title}\n\n  {'documented':{WIDTH}}came\n  {'-' * 10:{WIDTH}}----")
    reasons: list[str] = []
    good = True
    for left, right in aligned(documented, came):
        mark = " "
        if left != right:
            reason = reason_for(left, right)
            good = good and reason is not None
            reason = reason or "NOT EXPECTED"
            if reason not in reasons:
                reasons.append(reason)
            mark = str(reasons.index(reason) + 1)
        print(f"{mark} {left or '':{WIDTH}}{right or ''}".rstrip())
    good = good and all(line in came for line in NEEDED if line in documented)
    print()
    for n, reason in enumerate(reasons):
        print(f"  {n + 1}: {reason}")
    print("  all lines agree" if not reasons else "  all other lines agree" if good else "  FAILED", flush=True)
    return good


def run_apart(name: str) -> tuple[list[str], str]:
    """The lines of an example that runs in a process of its own, and what it remarks."""
    done: Any = subprocess.run([sys.executable, Path(__file__).resolve(), name], capture_output=True, text=True, timeout=60,
                               check=True)
    return done.stdout.splitlines(), done.stderr.strip()


def main() -> int:
    """Both examples; gives the exit status."""
    good = True
    for name, (title, _, documented) in EXAMPLES.items():
        came, remark = run_apart(name)
        good = compare(title, [line for line in documented.splitlines() if line], came) and good
        if remark:
            print(f"  {remark}")
    return 0 if good else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print("\n".join(EXAMPLES[sys.argv[1]][1]()))
    else:
        sys.exit(main())
