"""Reading requests from the wire on the side of a scripted server."""
import re

MOST_HEAD_BYTES = 64 * 1024
LAST_CHUNK = b"0\r\n\r\n"


class HeadTooLong(OSError):
    """A request head had more bytes than a scripted server reads."""


def take_head(peer) -> bytes:
    """Takes a request head with its blank line."""
    while (end := peer.pending.find(b"\r\n\r\n") + 4) < 4:
        if len(peer.pending) > MOST_HEAD_BYTES:
            raise HeadTooLong(f"more than {MOST_HEAD_BYTES} bytes without a blank line")
        peer.more()
    return peer.take(end, "took head")


def body_length(head: bytes) -> int:
    """The last Content-Length of a head, 0 where there is none."""
    lengths = re.findall(rb"(?im)^content-length:[ \t]*(\d+)", head)
    return int(lengths[-1]) if lengths else 0


def is_chunked(head: bytes) -> bool:
    return bool(re.search(rb"(?im)^transfer-encoding:.*chunked", head))


def take_body(peer, head: bytes, limit: int | None = None) -> bool:
    """Reads the body that a head announces, or `limit` bytes of it, and forgets it; True where it came whole."""
    chunked, length = is_chunked(head), body_length(head)
    n_done, tail = len(peer.pending), bytes(peer.pending[-len(LAST_CHUNK):])
    n_wanted = length if limit is None else limit if chunked else min(length, limit)

    def enough():
        if chunked:
            return tail.endswith(LAST_CHUNK) or (limit is not None and n_done >= limit)
        return n_done >= n_wanted

    peer.drop()
    while not enough():
        n_done += peer.more()
        tail = (tail + bytes(peer.pending[-len(LAST_CHUNK):]))[-len(LAST_CHUNK):]
        peer.drop()
    return tail.endswith(LAST_CHUNK) if chunked else n_done >= length
