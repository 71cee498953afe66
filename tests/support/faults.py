"""Named faults of servers: each is a function that returns the script of one connection.

Every script first takes a request, except those that fail before. `answer` is the one without a fault. A fault says in
its first line what the client must make of it.
"""
from support.actions import Close, CloseAtOnce, Drip, Pause, ReceiveBody, ReceiveHead, ReceiveRequest, Repeat, Reset, Send

BODY = b"The quick brown fox jumps over the lazy dog."
DRIP_GAP_S = 0.05
STALL_S = 30.0              # longer than any test waits; the end of the server ends it
N_ENDLESS = 1 << 20         # times that an endless thing is repeated
LET_ARRIVE_S = 0.02         # before a reset, which would overtake what was sent
STATUS_OK = b"HTTP/1.1 200 OK\r\n"


def head(*fields: bytes, status: bytes = STATUS_OK) -> bytes:
    """A response head of field lines given without their line ends."""
    return status + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def whole(body: bytes = BODY, *fields: bytes, status: bytes = STATUS_OK) -> bytes:
    """A response with Content-Length."""
    return head(b"Content-Length: %d" % len(body), *fields, status=status) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def chunked(*pieces: bytes, trailers: bytes = b"") -> bytes:
    """A chunked response of these chunks."""
    return head(b"Transfer-Encoding: chunked") + b"".join(map(chunk, pieces)) + b"0\r\n" + trailers + b"\r\n"


# -- no fault

def answer(*bodies: bytes) -> list:
    """Succeeds: one request after the other is answered in full on one connection."""
    return [action for body in bodies or (BODY,) for action in (ReceiveRequest(), Send(whole(body)))]


def answer_bytewise(body: bytes = BODY) -> list:
    """Succeeds: the answer comes in as many sends as it has bytes."""
    data = whole(body)
    return [ReceiveRequest(), Send(data, cuts=tuple(range(1, len(data))))]


def answer_until_close(body: bytes = BODY) -> list:
    """Succeeds: the end of the connection is the end of the body."""
    return [ReceiveRequest(), Send(head() + body), Close()]


# -- the answer is cut: an error, never a short body

def no_answer() -> list:
    """UnexpectedClose, or another try where the request may be repeated."""
    return [ReceiveRequest(), Close()]


def reset_before_answer() -> list:
    """As `no_answer`, with RST."""
    return [ReceiveRequest(), Reset()]


def reset_at_once() -> list:
    """As `no_answer`; UnknownError where the RST arrives before the client knows that it is connected."""
    return [Reset()]


def cut_head(at: int = len(STATUS_OK)) -> list:
    """UnexpectedClose: the head ends after `at` bytes."""
    return [ReceiveRequest(), Send(whole()[:at]), Close()]


def cut_body(n_missing: int = 1, body: bytes = BODY) -> list:
    """WrongContentLength: the last bytes of an announced body never come."""
    return [ReceiveRequest(), Send(whole(body)[:-n_missing]), Close()]


def reset_mid_body(body: bytes = BODY) -> list:
    """WrongContentLength: RST in the middle of an announced body."""
    return [ReceiveRequest(), Send(whole(body)[:-(len(body) // 2)]), Pause(LET_ARRIVE_S), Reset()]


def reset_until_close(body: bytes = BODY) -> list:
    """UnexpectedClose: RST where FIN would have been the end of the body."""
    return [ReceiveRequest(), Send(head() + body), Pause(LET_ARRIVE_S), Reset()]


def cut_chunks(body: bytes = BODY) -> list:
    """WrongContentLength: no last chunk."""
    return [ReceiveRequest(), Send(head(b"Transfer-Encoding: chunked") + chunk(body)), Close()]


# -- the answer is wrong

def bad_head() -> list:
    """InvalidResponseHeader: no HTTP at all."""
    return [ReceiveRequest(), Send(b"220 mail.example ESMTP\r\n\r\n"), Close()]


def bad_chunk(size_line: bytes = b"5 hello\r\n") -> list:
    """WrongContentLength: a size line that is none, after a good chunk."""
    good = head(b"Transfer-Encoding: chunked") + chunk(b"good")
    return [ReceiveRequest(), Send(good + size_line + b"hello\r\n0\r\n\r\n"), Close()]


def surplus_bytes(surplus: bytes = whole(b"evil")) -> list:
    """Succeeds, and the connection is closed: the surplus must not reach the next request."""
    return [ReceiveRequest(), Send(whole() + surplus)]


def two_lengths() -> list:
    """InvalidResponseHeader: two lengths that differ."""
    fields = b"Content-Length: %d" % len(BODY), b"Content-Length: %d" % (len(BODY) + 1)
    return [ReceiveRequest(), Send(head(*fields) + BODY), Close()]


def claimed_length(n_claimed: int = 1 << 40) -> list:
    """WrongContentLength, without memory being taken for the claim."""
    return [ReceiveRequest(), Send(head(b"Content-Length: %d" % n_claimed) + BODY), Close()]


def endless_head() -> list:
    """InvalidResponseHeader as soon as the limit of a head is reached."""
    return [ReceiveRequest(), Send(STATUS_OK), Repeat(b"X-Endless: " + b"x" * 50 + b"\r\n", N_ENDLESS), Close()]


# -- the answer is slow: an error when the time that was set has passed

def stall_before_head() -> list:
    """Timeout: nothing comes."""
    return [ReceiveRequest(), Pause(STALL_S)]


def stall(n_sent: int = 5, body: bytes = BODY) -> list:
    """Timeout: the body stops after some bytes, and the connection stays open."""
    return [ReceiveRequest(), Send(whole(body)[:n_sent - len(body)]), Pause(STALL_S)]


def drip(body: bytes = BODY, gap_s: float = DRIP_GAP_S) -> list:
    """Timeout where the whole request has one: a byte at a time, never silent for long."""
    return [ReceiveRequest(), Send(whole(body)[:-len(body)]), Drip(body, gap_s)]


# -- the request is not wanted

def early_answer(status: bytes = b"HTTP/1.1 413 Too Large\r\n") -> list:
    """Succeeds with this status: the answer comes before the request's body was read."""
    return [ReceiveHead(), Send(whole(b"large", b"Connection: close", status=status)), Close()]


def reset_mid_upload(n_read: int = 1 << 16) -> list:
    """An error: RST while the request's body is being sent."""
    return [ReceiveHead(), ReceiveBody(n_read), Reset()]


def close_after_answer(body: bytes = BODY) -> list:
    """Succeeds; whoever reuses the connection without looking gets no answer."""
    return [ReceiveRequest(), Send(whole(body)), CloseAtOnce()]
