# cython: language_level=3
"""One input of the fuzz target: an answer is received at once, and then again in pieces; what becomes of it must be the same.

The first bytes of an input are choices: what is asked, where the body goes, how the answer is cut, how the server ends. The
rest is what the server sends. What is looked at:

    nothing is raised but what is told; every exchange comes to the same end, with the same head, body and error
    heads, and bodies that are not chunked, are the bytes that were sent, at their places
    a connection that may be used again is used again, with the same outcome
    no descriptor, task or connection is left; memory is in proportion to what has come
"""
from libc.stdint cimport uint8_t

from core_run cimport (
    BREAKS, CUTS_MAX, ENDED, FAILED, LINE_MAX, LOST, N_SINKS, NOTHING_YET, REPEATED, STAYS_OPEN, TO_FILE, Plan, Run, Told,
)
from qhttp._core cimport Timer, current_loop
from qhttp.engine.observer cimport Request
from qhttp.engine.pool cimport Pool
from qhttp.engine.time_limits cimport Options

import gc
import sys
from os import listdir, pread, readlink
from os.path import exists

from qhttp._core import Limits
from qhttp.engine.route import Route
from qhttp.errors import ProtocolError, QHttpError

cdef enum:
    N_CHOICES = 6
    BLOCKS_EVERY = 1 << 14      # executions between two counts of what is allocated
    BLOCKS_SPARE = 20000        # so many more objects than at first may be alive: caches of the interpreter's
    CAP_MAX = 1 << 20           # of memory for a body of some KiB, whatever was claimed
    GET = 0
    HEAD = 1
    POST = 2
    CONNECT = 3
    UPLOAD = 4                  # of a source, when the server says 100
    N_METHODS = 5


class Once:
    """A source of one piece."""
    file, length, is_at_end = -1, 4, True

    def rewind(self):
        pass

    def next_piece(self):
        return b"body"


cdef extern from "<unistd.h>" nogil:
    int dup(int fd)
    int close(int fd)


cdef int next_fd():
    """The number that the next descriptor would have: a larger one than before tells that some are left open."""
    cdef int fd = dup(0)
    close(fd)
    return fd


def open_files():
    return [readlink(path) for name in listdir("/proc/self/fd") if exists(path := f"/proc/self/fd/{name}")]


cdef Request make_request(int method):
    cdef Request request = Request.__new__(Request)
    names = [b"GET / HTTP/1.1\r\n\r\n", b"HEAD / HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n",
             b"CONNECT h:1 HTTP/1.1\r\n\r\n", b"PUT / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"]
    request.head = names[method]
    request.is_head, request.is_connect, request.is_idempotent = method == HEAD, method == CONNECT, method in (GET, HEAD)
    if method == POST:
        request.body = b"body"
    elif method == UPLOAD:
        request.source, request.source_len, request.awaits_continue = Once(), 4, True
    return request


cdef Options make_options(int i):
    cdef Options options = Options()
    options.limits = [Limits(), Limits(head_len=160, line_len=60, n_fields=4),
                      Limits(extension_len=4, trailer_len=12, chunk_len=20), Limits(chunk_len=4095)][i]
    return options


cdef class Target:
    cdef Run run
    cdef Plan whole, pieces
    cdef list requests, options
    cdef unsigned long n_runs
    cdef Py_ssize_t n_blocks

    def __cinit__(self):
        self.requests = [make_request(i) for i in range(N_METHODS)]
        self.options = [make_options(i) for i in range(4)]
        self.run = Run(current_loop(), Pool(1), Route("h", 80))
        for told in self.run.line:
            (<Told>told).reads_early = False
        self.whole, self.pieces = Plan(), Plan()
        sys.unraisablehook = self.unraisable

    def unraisable(self, told):
        raise SystemError(f"nobody hears of {told.exc_value!r}")

    cdef object choose(self, const uint8_t *choices, size_t length):
        """Both plans for an answer of that length."""
        cdef Plan plan
        cdef int method = choices[0] % 8, n_cuts = 0, i
        cdef size_t at
        for plan in (self.whole, self.pieces):
            plan.n_requests = 2 if method == 5 else LINE_MAX if method == 6 else 1
            plan.request = self.requests[method if method < N_METHODS else GET]
            plan.wants_to_know = choices[0] >> 3 & 1
            plan.is_early = choices[0] >> 4 & 1 and plan.n_requests == 1
            plan.end = choices[0] >> 5 & 3 if not plan.is_early else choices[0] >> 5 & 1    # BREAKS: with an unread request
            if plan.end > BREAKS:
                plan.end = STAYS_OPEN
            plan.sink = choices[1] % N_SINKS
            plan.options = self.options[choices[1] >> 2 & 3]
            plan.accepts_challenge = choices[1] >> 4 & 1
            plan.n_cuts = 0
            plan.is_foreign = plan.is_again = plan.end_comes_along = False
            plan.reads_early = False
        self.whole.end_comes_along = choices[0] >> 7 & 1
        self.pieces.reads_early = choices[1] >> 5 & 1
        self.pieces.is_foreign = choices[1] >> 6 & 1
        self.pieces.is_again = not (choices[1] >> 6)     # as a rule: a connection is dear to make
        # A cut somewhere, another behind it, and one or many bytes alone there.
        at = (choices[2] | <size_t>(choices[3]) << 8) % (length + 1)
        self.pieces.cuts[0] = at
        at += choices[4] % (length + 1 - at)
        self.pieces.cuts[1] = at
        n_cuts = 2
        for i in range(0 if choices[5] < 128 else choices[5] % 4 if choices[5] < 250 else CUTS_MAX - 2):
            if at + i + 1 < length:
                self.pieces.cuts[n_cuts] = at + i + 1
                n_cuts += 1
        self.pieces.n_cuts = n_cuts

    cdef tuple seen(self, Told told, Plan plan, int i):
        """What became of one exchange, to be compared."""
        cdef bytes body = None
        cdef object kind = None, text = None
        if told.outcome == NOTHING_YET or told.outcome == ENDED or told.outcome == FAILED:
            if plan.sink < TO_FILE:
                body = told.body()
            elif plan.sink == TO_FILE and i == 0 and told.n_done:
                body = pread(self.run.file.fileno(), 1 << 16, 0)
        if told.outcome == FAILED:
            assert isinstance(told.error, QHttpError), repr(told.error)
            kind = type(told.error)
            # Which of several faults of a head is told depends on what has come at once.
            text = None if kind is ProtocolError else str(told.error)
        return told.outcome, told.status, told.block, told.interims, kind, text, told.tunnelled_bytes, told.n_done, body

    cdef list play(self, Plan plan, const char *answer, size_t length, bint keeps):
        cdef Run run = self.run
        cdef list seen = []
        cdef bint is_repeated = False
        cdef Told told
        cdef int i
        run.play(plan, answer, length)
        for i in range(plan.n_requests):
            assert (<Told>run.line[i]).memory.c.cap <= CAP_MAX, f"{(<Told>run.line[i]).memory.c.cap} bytes of memory"
            seen.append(self.seen(run.line[i], plan, i))
        for told in run.line:
            is_repeated = is_repeated or (told.was_challenged and plan.accepts_challenge)
        if not is_repeated:             # else a challenge that nobody is told of may stand before
            self.check_places(seen, answer, length, plan)
        run.finish(keeps)
        assert not run.loop.kept and run.loop.n_deferred == 0, "something is left to do"
        for entry in run.loop.timers:
            assert (<Timer>(<tuple>entry)[2]).callback is None, "a timer is left"
        assert <int>run.loop.c.n_conns == run.pool.n_idle, f"{run.loop.c.n_conns} connections are left"
        return seen

    cdef object check_places(self, list seen, const char *answer, size_t length, Plan plan):
        """Heads, and bodies that are not chunked, stand in the answer one behind the other."""
        cdef size_t at = 0
        cdef bytes piece
        for outcome, status, block, interims, kind, text, tunnelled, n_done, body in seen:
            for piece in (*(interims or ()), *((block,) if block is not None else ())):
                assert answer[at:at + len(piece)] == piece, f"a head that was not sent: {piece!r}"
                at += len(piece)
            if block is None:
                return
            if body is not None:
                assert outcome != ENDED or len(body) == n_done, f"{n_done} bytes were told, {len(body)} are there"
            if b"transfer-encoding" in (<bytes>block).lower():
                return
            if body:
                assert answer[at:at + len(body)] == body, f"a body that was not sent: {body!r}"
            at += n_done
            if outcome != ENDED:
                return

    cdef object compare(self, list whole, list pieces, bint whole_open, bint pieces_open):
        cdef bytes a, b
        cdef bint is_settled = True
        for one, other in zip(whole, pieces):
            if REPEATED in (one[0], other[0]) or LOST in (one[0], other[0]):
                is_settled = False
            assert one[:7] == other[:7], f"{one} at once, {other} in pieces"
            a, b = one[8], other[8]
            if one[0] == ENDED or one[0] == NOTHING_YET:
                assert a == b, f"body {a!r} at once, {b!r} in pieces"
                assert one[7] == other[7], f"{one[7]} bytes at once, {other[7]} in pieces"
            elif a is not None and b is not None:       # what came before an error may have been handed on, or not
                assert a.startswith(b) or b.startswith(a), f"body {a!r} at once, {b!r} in pieces"
            if one[0] != ENDED:
                break
        assert not is_settled or whole_open == pieces_open, f"open at once: {whole_open}, in pieces: {pieces_open}"

    cdef object one(self, const uint8_t *input, size_t length):
        cdef const char *answer = <const char *>input + N_CHOICES
        cdef bint whole_open, is_challenge = False
        cdef list whole, pieces
        cdef Told told
        cdef int fd = next_fd()
        length -= N_CHOICES
        self.choose(input, length)
        whole = self.play(self.whole, answer, length, self.pieces.is_again)
        whole_open = self.run.is_open
        for told in self.run.line:
            is_challenge = is_challenge or told.was_challenged
        if self.pieces.is_again and whole_open:
            self.pieces.is_early = False    # what comes before it is asked for makes a connection unfit
        pieces = self.play(self.pieces, answer, length, False)
        assert fd == next_fd(), f"{next_fd()} is the next descriptor, not {fd}: {open_files()}"
        # What is sent again, or not sent any more, depends on what has come by then.
        if not (is_challenge and self.whole.accepts_challenge) and self.whole.request is not self.requests[UPLOAD]:
            self.compare(whole, pieces, whole_open, self.run.is_open)
        self.n_runs += 1
        if self.n_runs % BLOCKS_EVERY == 0:
            self.count_blocks()

    cdef object count_blocks(self):
        cdef Py_ssize_t n
        gc.collect(0)
        n = sys.getallocatedblocks()
        if self.n_blocks == 0:
            self.n_blocks = n
        assert n < self.n_blocks + BLOCKS_SPARE, f"{n} objects are alive, there were {self.n_blocks}"


cdef Target target = None


cdef api int core_target_begin() except -1:
    global target
    gc.collect()
    gc.freeze()
    target = Target()
    return 0


cdef api int core_target_run(const uint8_t *input, size_t length) except -1:
    if length >= N_CHOICES:
        target.one(input, length)
    return 0
