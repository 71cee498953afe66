# cython: nonecheck=True
# (what is public may be called at any time, also before there is a host)
"""One URL, from its first request to its end: over redirects, credentials, further tries and continued parts.

    WAITING -> start (a lane is free) -> RUNNING: send -> head -> body -> complete -> PLACING -> ENDED
       ^                                    |                               |
       |         redirect, or another try   |                               |  the file thread: checks, name
       +------------------------------------+-------------------------------+

It is the observer of its exchanges. What the head says is decided in `sink_for` (answered.pyx), where nothing but the sink
may be chosen; what follows from it is done in `head_received`.
"""
from libc.stdint cimport uint64_t

from qhttp._core cimport Sink
from qhttp._sinks cimport Memory
from qhttp.bulk.answered cimport Answered
from qhttp.bulk.body_sinks cimport PartSink, PieceSink
from qhttp.bulk.files cimport Placing
from qhttp.bulk.outcome cimport ENDED, PLACING, RUNNING, WAITING, Outcome, Runner
from qhttp.engine.exchange cimport Exchange
from qhttp.engine.observer cimport Request, broken_off
from qhttp.protocol.request cimport full_head, simple_head

from qhttp.bulk.filed import forget, remove_stale
from qhttp.bulk.files import file_error
from qhttp.errors import (
    BodyError, Cancelled, ChecksumMismatch, DeviceError, FileError, QHttpError, RedirectError, RequestError, ResumeError, TooLarge,
    Truncated, lacking,
)
from qhttp.protocol.request import IDEMPOTENT

cdef enum:
    DISCARD_MAX = 64 << 10      # of the body of a redirect or error page: a longer one costs more than another connection

cdef Sink NOWHERE = Sink()


cdef class Transfer(Answered):
    """An Outcome that is under way, or was."""

    # -- asking
    cdef bint get_ready(self):
        """What comes before the first request. False: there will be none."""
        cdef int state = self.state
        if self.is_prepared:
            return True
        self.is_prepared = True
        self.start_ns = self.runner.loop.now()
        try:
            return self.prepare()
        except OSError as error:
            self.end_with(file_error(self.path or "", error.errno or 0))
        except Exception as error:
            self.end_with(error if isinstance(error, QHttpError) else FileError(str(error)))
        return False

    cdef bint tell_started(self):
        """Tells that it begins, once. False: it was ended, or given back, in that slot."""
        if not self.is_told and self.runner.started.slots is not None:
            self.is_told = True
            self.runner.emit(self.runner.started, self)
        return self.state == RUNNING

    cdef bint may_go_ahead(self):
        """Whether its request is a plain one, that may be sent before its turn."""
        return self.kept is None and self.fd < 0 and self.left is None and self.body is None and self.method in IDEMPOTENT

    cdef object start(self):
        """There is a lane for it."""
        self.state = RUNNING
        if self.is_cancelled:
            self.cancel()               # its request was out, behind another's that failed
            return
        exchange, self.start_ns = self.exchange, self.start_ns or self.runner.loop.now()
        if not self.tell_started() or self.exchange is not exchange or not self.get_ready():
            return                      # it was ended, or begun, in a slot
        self.since_ns = self.runner.loop.now()
        if self.kept is not None:
            kept, self.kept = self.kept, None
            self.open_kept(kept)
            return
        if self.left is not None:
            self.begin_pieces()
            return
        if self.fd >= 0 and self.part_len:
            try:
                self.continue_part()
            except OSError as error:
                self.fail_with(file_error(self.part, error.errno or 0))
        if self.state == RUNNING:
            self.send()

    cdef object run_deferred(self):
        """Its request has been sent behind another one's, which is answered: it has the lane."""
        cdef Exchange exchange = self.exchange      # a reference of our own: it may be its end
        if self.state != RUNNING:
            return                      # it has ended meanwhile
        try:
            if self.is_cancelled:
                self.cancel()
            elif exchange is not None and exchange.sent_ahead and self.tell_started() and self.exchange is exchange:
                exchange.begin()        # if it was not sent once more meanwhile
        except Exception as error:
            self.broken(error)

    cdef object send(self):
        cdef Exchange exchange
        settings = self.runner.settings
        if self.pieces is None:
            self.forget_pieces()
        self.probes = (settings.split > 1 and not self.is_opening and self.path is not None and self.fd < 0 and not self.no_part
                       and not settings.compressed and not settings.limit_rate and not settings.host_limit_rate)
        try:
            exchange = self.exchange = self.make_exchange()
            self.mark_ns, self.mark_n = self.since_ns, 0
            self.first_ns = 0
            exchange.begin()
        except Exception as error:      # cookies, say, that cannot be sent
            self.break_off()
            if isinstance(error, MemoryError):
                self.broken(error)
            else:
                self.fail_with(error if isinstance(error, QHttpError) else RequestError(str(error)))

    cdef Exchange make_exchange(self):
        cdef Exchange exchange = Exchange.__new__(Exchange)
        cdef Request request = Request.__new__(Request)
        request.head, request.body = self.make_head(), self.body
        request.is_head, request.is_idempotent = self.method == b"HEAD", self.method in IDEMPOTENT
        exchange.loop, exchange.pool, exchange.options = self.runner.loop, self.runner.pool, self.runner.options
        exchange.route, exchange.key, exchange.observer = self.host.route, self.host.route.key, self
        exchange.sink = NOWHERE
        self.verdict = self.location = None
        exchange.carry(request)
        return exchange

    cdef bytes make_head(self):
        cdef bytes target = self.host.target_head + self.target if self.host.target_head else self.target
        if self.given is None and self.added_headers is None and self.asked is None and not self.probes and self.host is self.first_host and (
                self.runner.identity is None or self.runner.identity.cookies is None):
            return simple_head(self.method + b" ", target, self.host.head_tail)
        from qhttp.bulk.requests import fields_for
        body_len = None if self.body is None else len(self.body)
        return full_head(self.method, target, 1, fields_for(self.runner, self), body_len, False)

    @property
    def request_headers(self):
        """(name, value) pairs of the row, and those that were added."""
        found = (self.given or {}).get("headers") or ()
        return [*found, *self.added_headers] if self.added_headers else found

    def add_header(self, name, value):
        """Adds a field to all requests of this transfer: for a slot of `started`, a tracer's say. Raises ValueError for one that
        may not be sent, RuntimeError where its request is out already, as with pipelining, or it has ended."""
        from qhttp.bulk.requests import checked_headers
        if self.exchange is not None or self.state == ENDED:
            raise RuntimeError("add_header() comes too late: the request has been sent")
        self.added_headers = [*(self.added_headers or ()), *checked_headers([(name, value)])]

    @property
    def range_fields(self):
        """What continues a part, or asks for some of it."""
        if self.ranges is not None:
            return [("Range", self.ranges)]
        if self.probes:
            return [("Range", f"bytes=0-{self.runner.settings.min_split_size - 1}")]
        return self.asked.fields() if self.asked is not None else []

    @property
    def home(self):
        """(scheme, host, port) that was asked for."""
        return self.first_host.origin

    @property
    def is_at_home(self):
        """Whether it is fetched from where it was asked for: else nothing of the caller's that is secret goes along."""
        return self.host.origin == self.first_host.origin

    @property
    def route(self):
        """To where it is fetched from."""
        return self.host.route

    @property
    def place(self):
        """(origin, target) of what is asked for now."""
        return self.host.origin, self.target

    # -- what the exchange tells
    cdef object looking_up(self):
        if self.runner.takes_times:
            self.lookup_ns = self.runner.loop.now()

    cdef object connecting(self):
        if self.runner.takes_times:
            self.connect_ns = self.runner.loop.now()

    cdef object sending(self):
        if self.runner.takes_times:
            self.secure_ns, self.sent_ns = self.sent_ns, self.runner.loop.now()

    cdef bint wants_sent(self):
        return False

    cdef object reading(self):
        self.first_ns = self.runner.loop.now() if self.runner.takes_times else self.runner.loop.c.now_ns

    cdef object credentials(self, object route, Request request, bint is_fresh):
        fields = None
        if self.runner.identity is not None:
            try:
                fields = self.runner.identity.credentials(self, request.head, is_fresh)
            except (OSError, ValueError):   # a netrc file that is gone, say: then without, and the server will tell
                pass
        return fields

    cdef object challenged(self, bytes block, int status):
        self.block, self.status = block, status
        return self.runner.identity.challenged(self, block, status) if self.runner.identity is not None else no_access(status)

    cdef object proxy_challenged(self, bytes block, object edition):
        self.block = block
        return self.runner.identity.proxy_challenged(self, block, edition) if self.runner.identity is not None else no_access(407)

    cdef object proxy_login(self):
        return self.host.route.proxy.party.login()

    cdef object head_received(self, bytes block, int status):
        cdef uint64_t announced = self.exchange.n_announced
        if self.runner.identity is not None:
            self.runner.identity.answered(self)
        if (self.verdict is not None or self.location is not None) and (
                announced > DISCARD_MAX or isinstance(self.verdict, (BodyError, FileError))):
            self.break_off()
            self.answered()
        elif self.is_there:
            self.break_off()
            self.was_skipped = True
            self.check_existing()

    cdef object count(self, uint64_t n):
        """More bytes of the body have come."""
        self.runner.n_bytes += n
        self.n_done += n

    cdef object progressed(self, uint64_t n_done, uint64_t n_total):
        cdef Outcome told
        if self.verdict is not None or self.location is not None:
            if n_done > DISCARD_MAX:
                self.break_off()
                self.answered()
            return
        if n_done > self.n_told:
            self.count(n_done - self.n_told)
            self.n_told = n_done
        failure = self.failure_of_sink()
        if failure is not None:
            self.break_off()
            self.fail_with(failure)
            return
        if self.runner.settings.max_size and n_done > <uint64_t>self.runner.settings.max_size:
            self.break_off()
            self.fail_with(TooLarge(f"the body is longer than the {self.runner.settings.max_size} bytes that are allowed"))
            return
        if self.runner.progress.slots is not None:
            told = self.told()
            self.runner.emit(self.runner.progress, told, told.n_done, told.n_total)

    cdef object ended(self, bint is_connected):
        self.exchange = None
        try:
            if self.verdict is not None or self.location is not None:
                self.answered()
            elif self.state == RUNNING:
                self.complete()
        except (OSError, ImportError, MemoryError) as error:     # what it needed for that was not to be had
            try:
                if self.state != RUNNING:
                    self.broken(error)
                else:
                    self.fail_with(lacking(FileError(f"{self.path or self.url}: {str(error) or 'there is no memory for it'}"),
                                           getattr(error, "errno", 0)))
            except Exception as problem:
                self.broken(problem)
        except Exception as error:
            self.broken(error)

    cdef object failed(self, object error):
        self.exchange = None
        try:
            self.take_failure(error)
        except Exception as problem:
            self.broken(problem)

    def broken(self, error):
        """An exception that says nothing of it has come in between, no memory as a rule: run() tells of that, and this is its end."""
        if self.runner is not None:
            self.runner.loop.note_error(error)
            self.runner.forget(self)
        self.end_with(broken_off(error))

    def take_failure(self, error):
        if isinstance(error, DeviceError):
            failure = self.failure_of_sink()
            if failure is None and self.part is not None and self.sink is not None:
                failure = file_error(self.part, self.sink.c.error)
            error = failure or error
        if self.verdict is not None or self.location is not None:
            self.answered()             # its page was cut: no matter
        else:
            self.fail_with(error)

    cdef object break_off(self):
        """Ends the exchange, if there is one; its connection is closed."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.cancel()

    # -- what becomes of an answer
    cdef object answered(self):
        """The answer is not the file: a redirect, or an error."""
        if self.location is None:
            self.fail_with(self.verdict)
            return
        self.runner.lane_free(self)
        failure = None
        try:
            self.follow()
        except (QHttpError, ValueError) as error:
            failure = error if isinstance(error, QHttpError) else RedirectError(f"the redirect is not followed: {error}")
        if failure is not None:
            self.end_with(failure)
            return
        self.state = WAITING
        self.runner.wait_again(self, 0)

    cdef object complete(self):
        """The body has come whole, as far as its framing tells."""
        cdef PartSink part_sink
        cdef bytes body = None
        problem = None
        try:
            if isinstance(self.sink, PartSink):
                part_sink = <PartSink>self.sink
                if part_sink.is_wanted and part_sink.fd < 0:
                    return              # the file thread opens the part; go_on_in_part comes back here
                if part_sink.fd >= 0 and not part_sink.is_written():
                    part_sink.begin_part()
                failure = self.failure_of_sink()
                if failure is not None:
                    raise failure
                if part_sink.fd < 0:
                    self.size = part_sink.c.len
                    body = part_sink.take(part_sink.c.len)
                elif self.pieces is not None:
                    n_good = part_sink.end()
                    self.give_lane_to_pieces()
                    self.pieces.first_ended(n_good)
                    return
                else:
                    self.size = part_sink.end()
            elif isinstance(self.sink, PieceSink):
                self.sink.settle()
                if (<PieceSink>self.sink).is_waiting():
                    return
                body = self.end_pieces()
            elif isinstance(self.sink, Memory):
                self.content = (<Memory>self.sink).take((<Memory>self.sink).available())
                self.size = len(self.content)
            elif self.method == b"HEAD":
                length = self.header("content-length", "")
                self.size = int(length) if length.isdecimal() else -1
            if self.asked is not None:
                self.asked.check_end(self.size)
            if self.given is not None and self.size >= 0 and self.method == b"GET":
                self.compare_size(self.size, True)
        except OSError as error:
            problem = file_error(self.part or b"", error.errno or 0)
        except QHttpError as error:
            problem = self.failure_of_sink() or error
        if problem is not None:
            self.fail_with(problem)
            return
        self.host.has_answered()
        if self.path is not None:
            self.place_file(body)
        else:
            self.check_content()

    def end_pieces(self):
        """What a PieceSink has kept in memory; None: it is in the part."""
        cdef PieceSink sink = <PieceSink>self.sink
        if sink.failure is not None:
            raise sink.failure
        sink.finish_decoding()
        if sink.expected is not None:
            raise ResumeError("the server's file is shorter than the part")
        if sink.fd >= 0:
            self.size = sink.offset
            return None
        body = b"".join(sink.kept)
        self.size = len(body)
        if self.runner.settings.into == "bytes":
            self.content, body = body, None
        return body

    def make_check(self):
        """What has to be compared before the file may have its name, or None."""
        self.check = None               # of an earlier try
        settings = self.runner.settings
        given = self.given.get("checksum") if self.given is not None else None
        if (given is None and not settings.hashes and not (settings.server_digest and self.has_digest)
                and not settings.content_md5):
            return None
        from qhttp.bulk.verify import Check
        kinds = ["representation"] if self.is_joined else ["content"] if self.status == 206 else ["representation", "content"]
        check = Check.of(settings, given, self.headers, kinds if self.status in (200, 206) and not self.is_decoding() else [])
        self.check = check
        return check

    cdef object place_file(self, bytes body):
        cdef Runner runner = self.runner
        cdef Placing placing
        settings = runner.settings
        failure = None
        try:
            check = self.make_check()
        except (QHttpError, ValueError) as error:
            failure = error if isinstance(error, QHttpError) else FileError(str(error))
        if failure is not None:
            self.fail_with(failure)
            return
        record = (self.url, self.etag) if runner.files.session is not None else None
        self.state = PLACING
        self.sink = None
        runner.lane_free(self)
        if body is not None and settings.existing == "overwrite" and runner.files.session is not None:
            session, path = runner.files.session, self.path     # the part may be of another version, and known
            runner.files.call(lambda: session.drop_part(path), forget)
        if body is not None and self.has_stale:
            part = self.part
            runner.files.call(lambda: remove_stale(part), forget)
        if body is not None and self.fd >= 0:
            self.close_part(False)      # of an earlier try: the body is small now
        placing = Placing(self, self.part, self.final, body, self.fd, self.size, settings.fsync,
                          settings.existing == "overwrite", check, record)
        self.fd = -1
        try:
            runner.files.place(placing)
        except MemoryError:             # it is still ours
            self.fd = placing.take_descriptor()
            raise

    def placed(self, Placing placing):
        """The file thread is done with it."""
        if placing.error is None:
            self.end_with(None)
            return
        self.fd = placing.take_descriptor()     # still ours, and locked; what a small body was in is gone
        self.close_part(not isinstance(placing.error, BodyError) and not placing.is_spoilt and self.can_be_continued())
        self.part_len = 0
        self.no_mirrors = self.no_mirrors or isinstance(placing.error, ChecksumMismatch)
        self.part = self.final + b".part"
        self.try_again(placing.error)

    def check_content(self):
        """The same for what stays in memory."""
        failure = None
        try:
            check = self.make_check() if self.method == b"GET" else None
            if check is not None and self.content is not None:
                check.check_bytes(self.content)
        except (QHttpError, ValueError) as error:
            failure = error if isinstance(error, QHttpError) else FileError(str(error))
        if failure is not None:
            self.content = None
            self.fail_with(failure)
            return
        self.sink = None
        self.end_with(None)

    # -- the end of a try
    cdef object fail_with(self, error):
        """This try has failed; its exchange is over."""
        if self.state != RUNNING:
            return
        was_joining = self.asked is not None or self.probes
        if self.pieces is not None and self.first_piece_failed(error):
            return
        self.measure_part(error)
        self.sink = None
        self.state = WAITING
        self.runner.lane_free(self)
        if was_joining and isinstance(error, ResumeError):
            self.asked, self.no_part, self.probes = None, True, False           # not a failure: what was tried first did not work, now all of it is fetched
            self.runner.wait_again(self, 0)
        else:
            self.try_again(error)

    def try_again(self, error):
        cdef Outcome told
        delay = self.runner.next_try(self, error)
        if delay is None and not self.turn_to_mirror(error):
            self.end_with(error)
            return
        delay = delay or 0.0
        told = self.told()
        told.n_retries += 1
        self.state = WAITING
        self.asked = None
        self.runner.wait_again(self, <uint64_t>(delay * 1e9))       # before a slot may turn the loop
        if self.runner.retrying.slots is not None:
            self.runner.emit(self.runner.retrying, told, delay, error)

    cdef object end_with(self, error):
        """That was it."""
        cdef bint keep = True           # where it cannot be told: whoever finds a part that nobody knows removes it
        if self.state == ENDED:
            return
        try:
            self.break_off()
        except Exception as problem:    # whatever cannot be tidied up: it has ended, and somebody waits to hear it
            self.runner.loop.note_error(problem)
        try:
            if self.state == RUNNING:
                self.runner.lane_free(self)
        except Exception as problem:
            self.runner.loop.note_error(problem)
        self.state = ENDED
        self.runner.wholes.discard(self)
        self.error = error
        try:
            self.end_ns = self.runner.loop.now()
            if self.pieces is not None:
                self.left, self.pieces = self.pieces.stop(), None
            keep = error is not None and self.can_be_continued()
            if error is None and self.path is not None and not self.was_skipped and self.runner.settings.existing == "skip":
                self.runner.named[hash(self.path)] = hash(self.url)
        except Exception as problem:
            self.runner.loop.note_error(problem)
        try:
            self.close_part(keep)
        except Exception as problem:
            self.runner.loop.note_error(problem)
        self.sink = None
        if self.path is not None and self.runner.in_flight.get(self.path) is self:
            del self.runner.in_flight[self.path]
        self.runner.ended(self)
        if not self.is_opening:
            self.runner = None          # whoever keeps what became of it does not keep all of that

    def time_out(self, error):
        """It is too slow."""
        if self.exchange is None and self.is_opening:
            return                      # the file thread is, and will answer
        self.break_off()
        self.fail_with(error)

    def resume(self):
        """It waited for leave to receive, and may ask again."""
        cdef Exchange exchange = self.exchange
        if exchange is not None:
            exchange.resume()

    def cancel(self):
        """Takes it back: it ends now, with `error` a Cancelled; what has come of a file stays in its part. Nothing happens where it has
        ended, or is being put in its place. A request that was sent behind another's ends when its turn comes."""
        if self.state == ENDED or self.state == PLACING:
            return
        self.runner.loop.check()
        self.is_cancelled = True
        if self.state == WAITING:
            if self.exchange is not None:
                return                  # its connection has answers for others to bring
            self.runner.forget(self)
        elif self.state == RUNNING and self.pieces is None:
            self.break_off()
            self.measure_part(Truncated(""))
        self.end_with(Cancelled("the transfer was cancelled"))

    def give_back(self):
        """Stops where it stands, without having failed: what has come stays in its part, and the rest is for another run."""
        if self.state == WAITING and self.fd >= 0:      # between two tries
            self.close_part(self.can_be_continued())
        if self.state != RUNNING and self.pieces is None:
            return
        self.runner.wholes.discard(self)
        self.break_off()
        if self.pieces is not None:
            self.left, self.pieces = self.pieces.stop(), None
        else:
            self.measure_part(Truncated(""))
        if self.fd >= 0:
            self.close_part(self.can_be_continued())
        self.left = None
        self.sink, self.state, self.is_prepared = None, WAITING, False
        if self.path is not None and self.runner.in_flight.get(self.path) is self:
            del self.runner.in_flight[self.path]
        self.runner.lane_free(self)
        self.runner.wait_again(self, 0)


def no_access(status):
    from qhttp.errors import AuthenticationRequired, ProxyAuthenticationRequired
    if status == 407:
        return ProxyAuthenticationRequired("the proxy wants a user and a password")
    return AuthenticationRequired("the server wants a user and a password")
