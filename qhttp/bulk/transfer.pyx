"""One URL, from its first request to its end: over redirects, credentials, further tries and continued parts.

    WAITING -> start (a lane is free) -> RUNNING: send -> head -> body -> complete -> PLACING -> ENDED
       ^                                    |                               |
       |         redirect, or another try   |                               |  the file thread: checks, name
       +------------------------------------+-------------------------------+

It is the observer of its exchanges. What the head says is decided in `sink_for`, where nothing but the sink may be chosen; what
follows from it is done in `head_received`.
"""
from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint64_t
from posix.unistd cimport F_OK, access as c_access

from qhttp._core cimport Fifo, Loop, QH_FRAMING_LENGTH, QH_FRAMING_NONE, Sink
from qhttp._signal cimport Signal
from qhttp._sinks cimport Memory
from qhttp.bulk.body_sinks cimport PartSink, PieceSink
from qhttp.bulk.files cimport FileThread, Placing
from qhttp.engine.exchange cimport Exchange
from qhttp.engine.observer cimport Observer, Request
from qhttp.protocol.request cimport full_head, simple_head

from os import access, close as close_descriptor, fsdecode, fsencode, stat, unlink

from qhttp._core import describe_head
from qhttp.bulk.files import file_error
from qhttp.bulk.naming import path_for
from qhttp.bulk.resume import Join, Version, empty_part, end_of, open_part
from qhttp.protocol.request import IDEMPOTENT
from qhttp.errors import (
    BodyError, ChecksumMismatch, DeviceError, FileError, HTTPStatusError, QHttpError, RedirectError, ResumeError, TimeoutError, TooLarge, Truncated,
    UnexpectedClose,
)

cdef enum:
    DISCARD_MAX = 64 << 10      # of the body of a redirect or error page: a longer one costs more than another connection
    IN_MEMORY = 256 << 10       # as in body_sinks

REDIRECTS = (301, 302, 303, 307, 308)
cdef Sink NOWHERE = Sink()


# As they stand in a head that was made lower case.
cdef bytes CONTENT_ENCODING = b"\r\ncontent-encoding:"
cdef bytes LOCATION = b"\r\nlocation:"
cdef bytes DIGEST = b"digest:"          # of Repr-Digest, Content-Digest and Digest


cdef class Runner(Task):
    cdef object emit(self, Signal signal, a, b=None, c=None):
        error = signal.fire(a, b, c)
        if error is not None:
            self.loop.note_error(error)

    cdef object lane_free(self, Transfer transfer):
        raise NotImplementedError

    cdef object wait_again(self, Transfer transfer, uint64_t delay_ns):
        raise NotImplementedError

    cdef object ended(self, Transfer transfer):
        raise NotImplementedError

    cdef Host host_of(self, url):
        raise NotImplementedError

    def next_try(self, Transfer transfer, error):
        """Seconds until the transfer is tried again, or None: this was the end of it."""
        raise NotImplementedError


cdef class Host:
    cdef Py_ssize_t n_waiting(self):
        return self.waiting.n() + len(self.again)


cdef class Transfer(Observer):
    """What became of a URL. Read-only; what is not known yet, or never will be, is None, 0, or -1 for `size`.

    url, url_effective, row, path, status, size, n_done, n_total, n_resumed, error, was_skipped, n_retries, n_redirects, etag, sha256, checksums,
    headers, content, time_namelookup ... time_total (seconds since it was started; 0.0: not reached, or not taken).
    """

    def __cinit__(self):
        self.fd, self.size = -1, -1

    # -- what it is to do
    cdef object prepare(self):
        """Where the file goes, and whether it has to be fetched at all. False: it has ended, or waits for the file thread."""
        settings = self.runner.settings
        if settings.into != "file" or settings.method == "HEAD" or settings.content_disposition and not self.has_name():
            if settings.dry_run:
                self.end_with(None)
            return not settings.dry_run
        if self.path is None:
            self.set_path(path_for(settings, self.given, self.target))
        if self.runner.session is not None and self.is_done():
            self.was_skipped = True
            self.end_with(None)
            return False
        if settings.existing != "overwrite" and c_access(PyBytes_AS_STRING(self.final), F_OK) == 0:
            self.meet_existing(settings)
            return False
        if settings.dry_run:
            self.end_with(None)
            return False
        if self.runner.session is not None and settings.resume:
            kept = self.runner.session.part(self.path)
            self.kept = kept if kept is not None and kept.url == self.url else None
        return True

    cdef Transfer told(self):
        """Whom the caller hears of."""
        return self

    cdef object count(self, uint64_t n):
        """More bytes of the body have come."""
        self.runner.n_bytes += n
        self.n_done += n

    def has_name(self):
        return self.runner.settings.name is not None or (self.given is not None and self.given.get("out") is not None)

    def set_path(self, path):
        """Takes the path for itself; no other transfer may have it meanwhile."""
        if path in self.runner.in_flight:
            raise FileError(f"{path} is the name of another URL's file, too: give one of them a name of its own")
        self.runner.in_flight[path] = self
        self.path, self.final = path, path.encode() if path.isascii() else fsencode(path)
        self.part = self.final + b".part"

    def is_done(self):
        done = self.runner.session.lookup(self.path)
        if done is None or done.url != self.url:
            return False
        try:
            about = stat(self.path)
        except OSError:
            return False
        self.size = done.size
        return about.st_size == done.size

    def meet_existing(self, settings):
        if settings.existing == "skip":
            self.was_skipped = True
            self.check_existing()
        else:
            from os.path import isdir
            self.end_with(file_error(self.path, 21 if isdir(self.path) else 17))        # EISDIR, EEXIST

    def check_existing(self):
        """A file that is taken as done has to be what the row says."""
        from qhttp.bulk.verify import check_existing
        self.state = PLACING
        self.runner.lane_free(self)
        self.runner.files.call(lambda: check_existing(self.path, self.given), self.existing_checked)

    def existing_checked(self, size, error):
        if self.state == PLACING:
            self.size = size if error is None else -1
            self.was_skipped = error is None
            self.end_with(file_error(self.path, error.errno or 0) if isinstance(error, OSError) else error)

    # -- its part
    def open_kept(self, kept):
        """The session knows of a part: looks whether it is still there."""
        session = self.runner.files.session
        self.version = Version(kept.etag, kept.last_modified, kept.total)
        if kept.segments is not None:
            self.part, self.left = self.final + b".parts", kept.segments
        part, path = self.part, self.path
        self.runner.files.call(lambda: open_part(part, path, session, kept), self.kept_opened)

    def kept_opened(self, result, error):
        if error is None:
            self.fd, self.part_len = result[0], result[1]
        if self.state != RUNNING:       # stopped meanwhile
            self.close_part(True)
            return
        if error is not None:
            self.fail_with(file_error(self.part, error.errno or 0) if isinstance(error, OSError) else error)
            return
        if self.part_len == 0:
            self.left = None            # it is not there any more
            self.forget_pieces()
        elif self.left is not None:
            self.begin_pieces()
            return
        elif self.version.is_known:
            self.asked = Join(self.part_len, result[2], self.version)
        self.send()

    def want_part(self, sink):
        """The body that goes into that sink needs a part, from its first byte on. What the file thread does for an earlier try will
        do for this one: nothing is written before it has answered."""
        self.wanting = sink
        if self.is_opening:
            return
        session = self.runner.files.session
        part, path, fd = self.part, self.path, self.fd
        self.is_opening = True
        if fd < 0:
            self.runner.files.call(lambda: open_part(part, path, session, None), self.part_opened)
        else:                           # what is in it is of another version
            self.part_len = 0
            self.runner.files.call(lambda: empty_part(fd, path, session), self.part_emptied)

    def part_opened(self, result, error):
        self.is_opening = False
        if error is None:
            self.fd, self.part_len = result[0], 0
        self.part_emptied(result, error)

    def part_emptied(self, result, error):
        self.is_opening = False
        wanting, self.wanting = self.wanting, None
        if self.state == RUNNING and wanting is not None and wanting is self.sink:
            if error is None:
                self.go_on_in_part()
            else:
                self.break_off()
                self.fail_with(file_error(self.part, error.errno or 0) if isinstance(error, OSError) else error)
        elif self.state == ENDED or (self.state == WAITING and not self.is_prepared):
            self.close_part(False)      # nobody needs it any more

    def go_on_in_part(self):
        """The part is there, and empty."""
        if isinstance(self.sink, PieceSink):
            (<PieceSink>self.sink).opened(self.fd, 0)
        else:
            (<PartSink>self.sink).opened(self.fd, 0)
        if self.pieces is not None:
            self.pieces.begin()
        else:
            self.note_part()
        if self.exchange is not None:
            self.exchange.resume()
        else:                           # all of it has come meanwhile
            self.complete()

    def is_decoding(self):
        """Whether what is written is not what comes: such a part cannot be continued."""
        return isinstance(self.sink, PieceSink) and (<PieceSink>self.sink).decoder is not None

    def note_part(self):
        """Remembers of which version the part is, for another run."""
        if self.runner.files.session is None or not self.runner.settings.resume or self.is_decoding():
            return
        version = self.version = Version.of(self.headers, self.n_total or None)
        if version.is_known:
            url, path, fd, session = self.url, self.path, self.fd, self.runner.files.session
            self.runner.files.call(lambda: session.put_part_of(path, url, fd, version), forget)

    cdef object close_part(self, bint keep):
        """Nothing more is written into it; it stays if another run can go on with it."""
        cdef int fd = self.fd
        part, path, session = self.part, self.path, self.runner.files.session
        self.fd = -1
        if fd >= 0:
            self.runner.files.call(lambda: leave_part(fd, part, path, session, keep), forget)

    # -- asking
    cdef bint get_ready(self):
        """What comes before the first request. False: there will be none."""
        cdef int state = self.state
        if self.is_prepared:
            return True
        self.is_prepared = True
        self.start_ns = self.runner.loop.now()
        if self.runner.started.slots is not None:
            self.runner.emit(self.runner.started, self)
            if self.state != state:
                return False            # ended, or given back, in that slot
        try:
            return self.prepare()
        except OSError as error:
            self.end_with(file_error(self.path or "", error.errno or 0))
        except Exception as error:
            self.end_with(error if isinstance(error, QHttpError) else FileError(str(error)))
        return False

    cdef bint may_go_ahead(self):
        """Whether its request is a plain one, that may be sent before its turn."""
        return self.kept is None and self.fd < 0

    cdef object start(self):
        """There is a lane for it."""
        self.state = RUNNING
        if not self.get_ready():
            return
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
                return
        self.send()

    def take_turn(self):
        """Its request has been sent behind another one's, which is answered: it has the lane."""
        self.since_ns = self.mark_ns = self.runner.loop.now()
        self.mark_n = 0
        if self.state == RUNNING and self.exchange is not None:
            self.exchange.begin()

    def continue_part(self):
        """Another try: goes on behind what the last one has received, where that can be trusted."""
        self.asked = None
        if self.runner.settings.resume and not self.no_part and self.version is not None and self.version.is_known:
            self.asked = Join(self.part_len, end_of(self.fd, self.part_len), self.version)

    cdef object send(self):
        cdef Exchange exchange
        settings = self.runner.settings
        self.probes = (settings.split > 1 and self.path is not None and self.fd < 0 and not self.no_part and not settings.compressed
                       and not settings.limit_rate and not settings.host_limit_rate)
        exchange = self.make_exchange()
        self.exchange = exchange
        self.mark_ns, self.mark_n = self.since_ns, 0
        exchange.begin()

    cdef Exchange make_exchange(self):
        cdef Exchange exchange = Exchange.__new__(Exchange)
        cdef Request request = Request.__new__(Request)
        request.head, request.body = self.make_head(), self.body
        request.is_head, request.is_idempotent = self.method == b"HEAD", self.method in IDEMPOTENT
        exchange.loop, exchange.pool, exchange.options = self.runner.loop, self.runner.pool, self.runner.options
        exchange.route, exchange.key, exchange.observer = self.host.route, self.host.route.key, self
        exchange.sink = NOWHERE
        exchange.carry(request)
        return exchange

    cdef bytes make_head(self):
        cdef bytes target = self.host.target_head + self.target if self.host.target_head else self.target
        if self.given is None and self.asked is None and not self.probes and self.host is self.first_host and (
                self.runner.identity is None or self.runner.identity.cookies is None):
            return simple_head(self.method + b" ", target, self.host.head_tail)
        from qhttp.bulk.requests import fields_for
        return full_head(self.method, target, 1, fields_for(self.runner, self), None if self.body is None else len(self.body), False)

    @property
    def request_headers(self):
        """(name, value) pairs of the row."""
        return (self.given or {}).get("headers") or ()

    @property
    def range_fields(self):
        """What continues a part, or asks for some of it."""
        if self.ranges is not None:
            return [("Range", self.ranges)]
        if self.probes:
            return [("Range", f"bytes=0-{self.runner.settings.min_split_size - 1}")]
        return self.asked.fields() if self.asked is not None else []

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
        if self.runner.takes_times:
            self.first_ns = self.runner.loop.now()

    cdef object credentials(self, object route, Request request, bint is_fresh):
        if self.runner.identity is None:
            return None
        return self.runner.identity.credentials(self, request.head, is_fresh)

    cdef object challenged(self, bytes block, int status):
        self.block, self.status = block, status
        return self.runner.identity.challenged(self, block, status) if self.runner.identity is not None else no_access(status)

    cdef object proxy_challenged(self, bytes block):
        self.block = block
        return self.runner.identity.proxy_challenged(self, block) if self.runner.identity is not None else no_access(407)

    cdef object proxy_login(self):
        return self.host.route.proxy.party.login()

    cdef Sink sink_for(self, int status):
        cdef Exchange exchange = self.exchange
        cdef uint64_t announced = exchange.n_announced if exchange.framing == QH_FRAMING_LENGTH else 0
        cdef bytes lower = exchange.block.lower()
        self.has_digest = DIGEST in lower
        self.block, self.status = exchange.block, status
        self.verdict = self.location = None
        self.n_total, self.n_done, self.n_told, self.n_resumed = announced, 0, 0, 0
        self.sink = None
        try:
            self.sink = self.choose_sink(status, lower, announced, exchange.framing == QH_FRAMING_NONE)
        except (QHttpError, ValueError) as error:
            self.verdict = error if isinstance(error, QHttpError) else FileError(str(error))
        except OSError as error:
            self.verdict = file_error(self.path or "", error.errno or 0)
        if self.sink is None:
            self.sink = Sink()
        return self.sink

    cdef Sink choose_sink(self, int status, bytes lower, uint64_t announced, bint is_empty):
        """Where the body goes; None: nowhere. Raises the error that the answer is."""
        settings = self.runner.settings
        if status in REDIRECTS and LOCATION in lower:
            self.location = [value for name, value in self.headers if name.lower() == "location"]
            return None
        if status == 206 and self.probes:
            return self.choose_probed(lower, announced)
        if status == 206 and self.ranges is None:
            return self.choose_for_part(lower, announced)
        if (status == 416 or status == 412) and (self.probes or self.asked is not None):
            raise ResumeError("the server does not send the part of the file that it was asked for")
        if not self.runner.takes_any_status and status != 200 and not (200 <= status < 300 and (
                settings.into == "bytes" or self.method == b"HEAD")):
            raise HTTPStatusError(f"the server answered {status}", status)
        if self.method == b"HEAD":
            return None
        return self.choose_whole(lower, announced, is_empty)

    cdef Sink choose_whole(self, bytes lower, uint64_t announced, bint is_empty):
        """For an answer that is all of it."""
        settings = self.runner.settings
        cdef Sink sink
        self.asked, self.is_joined = None, False
        if settings.max_size and announced > <uint64_t>settings.max_size:
            raise TooLarge(f"the server announces {announced} bytes, more than the {settings.max_size} that are allowed")
        if self.path is None and settings.into == "file":
            self.name_by_answer()
        codings = self.codings() if CONTENT_ENCODING in lower and not is_empty and settings.decode else None
        if codings:
            self.n_total = 0
        elif self.given is not None:
            self.compare_size(announced, exchange_is_known=announced > 0)
        if codings or settings.limit_rate or settings.host_limit_rate:
            return self.piece_sink(codings, None)
        if settings.into == "bytes":
            return Memory()
        sink = PartSink(self)
        if announced > <uint64_t>IN_MEMORY:
            (<PartSink>sink).want()
        return sink

    cdef Sink choose_for_part(self, bytes lower, uint64_t announced):
        """For a 206."""
        settings = self.runner.settings
        if self.asked is None:
            raise ResumeError("the server sends a part of the file, though all of it was asked for")
        if CONTENT_ENCODING in lower:
            raise ResumeError("the part cannot be continued: the server codes what it sends")
        self.asked.judge(206, self.headers, announced or None)
        self.n_resumed, self.is_joined = self.part_len, True
        self.n_done, self.n_total = self.asked.start, self.asked.start + announced if announced else 0
        if settings.limit_rate or settings.host_limit_rate:
            return self.piece_sink(None, self.asked)
        return PartSink(None, self.fd, self.asked.start, self.asked.expected)

    cdef Sink choose_probed(self, bytes lower, uint64_t announced):
        """For a 206 to a request for the beginning: there are pieces to be had, if it is sound."""
        from qhttp.bulk.byteranges import parse_content_range
        from qhttp.bulk.segments import Split
        cdef uint64_t first_len = self.runner.settings.min_split_size
        found = parse_content_range(self.header("content-range", ""))
        if (found.start != 0 or found.total is None or found.end != min(first_len, <uint64_t>found.total) - 1
                or announced != <uint64_t>found.end + 1 or CONTENT_ENCODING in lower):
            raise ResumeError("the server sends something else than the beginning of the file that was asked for")
        if self.runner.settings.max_size and found.total > self.runner.settings.max_size:
            raise TooLarge(f"the file has {found.total} bytes, more than the {self.runner.settings.max_size} that are allowed")
        self.n_total = found.total
        if self.given is not None:
            self.compare_size(found.total, True)
        if <uint64_t>found.total > first_len:
            self.part = self.final + b".parts"
            self.version = Version.of(self.headers, found.total)
            self.pieces = Split(self, found.total, None, first_len)
        sink = PartSink(self)
        if self.pieces is not None:
            (<PartSink>sink).want()
        return sink

    def begin_pieces(self):
        """Goes on with a file in pieces; the lane is for them."""
        from qhttp.bulk.segments import Split
        left, self.left = self.left, None
        self.n_total = self.version.total
        self.n_done = self.n_resumed = self.n_total - sum(end - start for start, end in left)
        self.give_lane_to_pieces()
        self.pieces = Split(self, self.n_total, left, 0)
        self.pieces.begin()

    def give_lane_to_pieces(self):
        self.sink, self.is_joined = None, True
        self.runner.lane_free(self)
        self.state = IN_PIECES

    def pieces_done(self):
        """All pieces have come."""
        self.pieces, self.size = None, self.n_total
        self.place_file(None)

    def pieces_failed(self, error, left):
        """They will not; so much is still to come."""
        if self.state == RUNNING:
            self.break_off()
            self.runner.lane_free(self)
        self.pieces, self.state = None, WAITING
        if isinstance(error, ResumeError):
            self.no_part = self.no_mirrors = True
            self.forget_pieces()
            self.runner.wait_again(self, 0)
        else:
            self.left = left
            self.try_again(error)

    def forget_pieces(self):
        """What is there of a file in pieces is of no use."""
        self.part_len = 0
        if self.part.endswith(b".parts"):
            self.close_part(False)
            self.part = self.final + b".part"

    def piece_sink(self, codings, join):
        from qhttp.bulk.coding import Decoder
        settings = self.runner.settings
        decoder = Decoder(codings, max_size=settings.max_size, max_expansion=settings.max_expansion) if codings else None
        pacer = self.runner.pacer_for(self)
        if join is not None:
            return PieceSink(decoder, pacer, None, self.fd, join.start, join.expected)
        return PieceSink(decoder, pacer, self, -1, 0, None, IN_MEMORY if settings.into == "file" else 0)

    def codings(self):
        """The content codings to undo, innermost last; [] for none."""
        from qhttp.bulk.coding import parse_codings
        values = [value for name, value in self.headers if name.lower() == "content-encoding"]
        return parse_codings(values, self.runner.settings.max_codings)

    def name_by_answer(self):
        """The name of the file stands in the answer, or is that of the URL after all."""
        values = [value for name, value in self.headers if name.lower() == "content-disposition"]
        path = path_for(self.runner.settings, self.given, self.target, values[0] if values else None)
        self.set_path(path)
        self.is_there = ((self.runner.session is not None and self.is_done())
                         or (self.runner.settings.existing == "skip" and access(path, 0)))
        if not self.is_there and self.runner.settings.existing != "overwrite" and access(path, 0):
            raise file_error(path, 17)

    def compare_size(self, n, exchange_is_known):
        size = self.given.get("size")
        if size is not None and exchange_is_known and n != size:
            raise BodyError(f"the file has {n} bytes, and not the {size} that the list says")

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

    cdef object progressed(self, uint64_t n_done, uint64_t n_total):
        cdef Transfer told
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

    def failure_of_sink(self):
        failure = None
        if isinstance(self.sink, PartSink):
            failure = (<PartSink>self.sink).failure
        elif isinstance(self.sink, PieceSink):
            failure = (<PieceSink>self.sink).failure
        return file_error(self.part, failure.errno or 0) if isinstance(failure, OSError) else failure

    cdef object ended(self, bint is_connected):
        self.exchange = None
        if self.verdict is not None or self.location is not None:
            self.answered()
        elif self.state == RUNNING:
            self.complete()

    cdef object failed(self, object error):
        self.exchange = None
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
        try:
            self.follow()
        except (QHttpError, ValueError) as error:
            self.end_with(error if isinstance(error, QHttpError) else RedirectError(f"the redirect is not followed: {error}"))
            return
        self.state = WAITING
        self.runner.wait_again(self, 0)

    def follow(self):
        """Where to go on (RFC 9110 section 15.4)."""
        from qhttp.protocol.url import join, split
        if len(set(self.location)) != 1:
            raise RedirectError("the redirect names several places")
        if self.n_redirects >= self.runner.settings.max_redirects:
            raise RedirectError(f"more than {self.runner.settings.max_redirects} redirects one after the other")
        url = join(split(self.url_effective), self.location[0].replace(" ", "%20"))      # what is often sent so
        if self.status == 303 and self.method != b"HEAD" or self.status in (301, 302) and self.method == b"POST":
            self.method, self.body = b"GET", None
        self.n_redirects += 1
        self.effective = url.text
        self.host, self.target = self.runner.host_of(url), url.target

    cdef object complete(self):
        """The body has come whole, as far as its framing tells."""
        cdef PartSink part_sink
        cdef bytes body = None
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
            self.fail_with(file_error(self.part or b"", error.errno or 0))
            return
        except QHttpError as error:
            self.fail_with(self.failure_of_sink() or error)
            return
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
        settings = self.runner.settings
        given = self.given.get("checksum") if self.given is not None else None
        if given is None and not settings.hashes and not (settings.server_digest and self.has_digest) and not settings.content_md5:
            return None
        from qhttp.bulk.verify import Check
        kinds = ["representation"] if self.is_joined else ["content"] if self.status == 206 else ["representation", "content"]
        check = Check.of(settings, given, self.headers, kinds if self.status in (200, 206) and not self.is_decoding() else [])
        self.hashers = check
        return check

    cdef object place_file(self, bytes body):
        cdef Runner runner = self.runner
        cdef int fd = -1
        settings = runner.settings
        try:
            check = self.make_check()
        except (QHttpError, ValueError) as error:
            self.fail_with(error if isinstance(error, QHttpError) else FileError(str(error)))
            return
        record = (self.url, self.etag) if runner.files.session is not None else None
        self.state = PLACING
        self.sink = None
        runner.lane_free(self)
        if body is None:
            fd, self.fd = self.fd, -1
        elif self.fd >= 0:
            self.close_part(False)      # of an earlier try: the body is small now
        runner.files.place(Placing(self, self.part, self.final, body, fd, self.size, settings.fsync,
                                   settings.existing == "overwrite", check, record))

    def placed(self, Placing placing):
        """The file thread is done with it."""
        if self.state != PLACING:
            return
        if placing.error is None:
            self.end_with(None)
            return
        if placing.body is None:        # that of a small body is gone already
            part, path, session = self.part, self.path, self.runner.files.session
            keep = not isinstance(placing.error, BodyError) and self.version is not None and self.can_be_continued()
            self.runner.files.call(lambda: leave_part(-1, part, path, session, keep), forget)
        self.part_len = 0
        self.no_mirrors = self.no_mirrors or isinstance(placing.error, ChecksumMismatch)
        self.part = self.final + b".part"
        self.try_again(placing.error)

    def check_content(self):
        """The same for what stays in memory."""
        try:
            check = self.make_check() if self.method == b"GET" else None
            if check is not None and self.content is not None:
                check.check_bytes(self.content)
        except (QHttpError, ValueError) as error:
            self.content = None
            self.fail_with(error if isinstance(error, QHttpError) else FileError(str(error)))
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
            self.asked = None           # not a failure: what was tried first did not work, now all of it is fetched
            self.runner.wait_again(self, 0)
        else:
            self.try_again(error)

    def first_piece_failed(self, error):
        """The request for the beginning is over while others fetch the rest. True: they go on with that, too."""
        cdef Sink sink = self.sink
        if self.fd < 0 or isinstance(error, (ResumeError, FileError)):
            pieces, self.pieces = self.pieces, None
            pieces.stop()
            return False
        n_good = (<PartSink>sink).end() if isinstance(sink, PartSink) and (<PartSink>sink).is_written() else 0
        self.give_lane_to_pieces()
        self.pieces.first_ended(n_good)
        return True

    def try_again(self, error):
        delay = self.runner.next_try(self, error)
        if delay is None and not self.turn_to_mirror(error):
            self.end_with(error)
            return
        delay = delay or 0.0
        self.n_retries += 1
        self.state = WAITING
        self.asked = None
        if self.runner.retrying.slots is not None:
            self.runner.emit(self.runner.retrying, self.told(), delay, error)
        if self.state == WAITING:
            self.runner.wait_again(self, <uint64_t>(delay * 1e9))

    def turn_to_mirror(self, error):
        """Goes on at the next mirror, from the start: its file may be another version. False: there is none."""
        mirrors = (self.given or {}).get("mirrors") or ()
        if self.runner.is_stopped or self.n_mirrors_tried >= len(mirrors) or isinstance(error, (FileError, TooLarge)):
            return False
        from qhttp.protocol.url import split
        url = mirrors[self.n_mirrors_tried]
        self.n_mirrors_tried += 1
        try:
            parts = split(url)
        except ValueError:
            return self.turn_to_mirror(error)
        self.host, self.target, self.effective, self.failures = self.runner.host_of(parts), parts.target, url, None
        self.part_len, self.version, self.left = 0, None, None
        return True

    def measure_part(self, error):
        """How much of what the part holds can be trusted."""
        cdef Sink sink = self.sink
        if self.fd < 0:
            return
        is_cut = isinstance(error, (Truncated, UnexpectedClose, TimeoutError))
        if is_cut and isinstance(sink, PartSink) and (<PartSink>sink).is_worth_writing():
            (<PartSink>sink).begin_part()
        if isinstance(sink, PartSink) and (<PartSink>sink).is_written():
            if is_cut and not sink.c.error:
                if self.asked is None:
                    self.version = Version.of(self.headers, self.n_total or None)
                self.part_len = (<PartSink>sink).end()
            elif isinstance(error, FileError):
                self.part_len = (<PartSink>sink).end()
            else:
                self.part_len = 0
        elif isinstance(sink, PieceSink):
            self.part_len = (<PieceSink>sink).offset if is_cut and (<PieceSink>sink).decoder is None else 0
            if self.asked is None and self.block is not None:
                self.version = Version.of(self.headers, self.n_total or None)
        elif isinstance(sink, PartSink) and self.asked is None:
            self.part_len = 0           # nothing of this answer is in it
        if isinstance(error, ResumeError):
            self.part_len, self.no_part = 0, True

    cdef object end_with(self, error):
        """That was it."""
        if self.state == ENDED:
            return
        self.break_off()
        if self.state == RUNNING:
            self.runner.lane_free(self)
        self.state = ENDED
        self.error = error
        self.end_ns = self.runner.loop.now()
        if self.pieces is not None:
            self.left, self.pieces = self.pieces.stop(), None
        if self.fd >= 0:
            self.close_part(error is not None and self.can_be_continued())
        self.sink = None
        if self.path is not None and self.runner.in_flight.get(self.path) is self:
            del self.runner.in_flight[self.path]
        self.runner.ended(self)

    def can_be_continued(self):
        """Whether another run will know what the part is."""
        if self.runner.files.session is None or not self.runner.settings.resume or self.version is None:
            return False
        return self.version.if_range is not None if self.left is not None else self.part_len > 0 and self.version.is_known

    def time_out(self, error):
        """It is too slow."""
        self.break_off()
        self.fail_with(error)

    def resume(self):
        """It waited for leave to receive, and may ask again."""
        if self.exchange is not None:
            self.exchange.resume()

    def give_back(self):
        """Stops where it stands, without having failed: what has come stays in its part, and the rest is for another run."""
        if self.state != RUNNING and self.pieces is None:
            return
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

    # -- what it tells
    @property
    def url_effective(self):
        """str: where the answer came from, after redirects."""
        return self.effective if self.effective is not None else self.url

    @property
    def row(self):
        """dict: what was asked for."""
        return self.given if self.given is not None else {"url": self.url}

    @property
    def headers(self):
        """[(name, value)] of the final answer; [] where there is none."""
        return describe_head(self.block)[4] if self.block is not None else []

    def header(self, name, default=None):
        """The first value of a field of the answer (str), or `default`."""
        name = name.lower()
        return next((value for given, value in self.headers if given.lower() == name), default)

    @property
    def etag(self):
        """str or None: its ETag, as sent."""
        return self.header("etag")

    @property
    def checksums(self):
        """dict: algorithm -> hex digest of what was computed."""
        return self.hashers.digests if self.hashers is not None else {}

    @property
    def sha256(self):
        """str or None: hex, where it was computed."""
        return self.checksums.get("sha256")

    @property
    def state_name(self):
        """str: "waiting", "running", "in pieces", "placing" or "ended"."""
        return ("waiting", "running", "in pieces", "placing", "ended")[self.state]

    cdef double since_start(self, uint64_t moment):
        return (moment - self.start_ns) / 1e9 if moment > self.start_ns else 0.0

    @property
    def time_namelookup(self):
        """float: seconds until the address was known."""
        return self.since_start(self.connect_ns)

    @property
    def time_connect(self):
        """float: seconds until the connection stood; 0.0 where one was there already."""
        return self.since_start((self.secure_ns or self.sent_ns) if self.connect_ns else 0)

    @property
    def time_appconnect(self):
        """float: seconds until TLS was ready; 0.0 without."""
        return self.since_start(self.sent_ns if self.connect_ns and self.host is not None and self.host.route.tls else 0)

    @property
    def time_starttransfer(self):
        """float: seconds until the first byte of the answer."""
        return self.since_start(self.first_ns)

    @property
    def time_total(self):
        """float: seconds until its end."""
        return self.since_start(self.end_ns)

    def to_dict(self):
        """dict with curl's names for what is known; can be pickled and written as JSON."""
        return {
            "url": self.url, "url_effective": self.url_effective, "http_code": self.status,
            "path": self.path if self.error is None else None,
            "size_download": self.n_done - min(self.n_resumed, self.n_done),
            "time_namelookup": self.time_namelookup, "time_connect": self.time_connect, "time_appconnect": self.time_appconnect,
            "time_starttransfer": self.time_starttransfer, "time_total": self.time_total, "num_retries": self.n_retries,
            "num_redirects": self.n_redirects, "errormsg": str(self.error) if self.error is not None else None,
            "error": type(self.error).__name__ if self.error is not None else None, "sha256": self.sha256,
            "checksums": self.checksums, "etag": self.etag,
            "skipped": self.was_skipped, "resumed": self.n_resumed,
        }

    def __repr__(self):
        shown = str(self.url).partition("?")[0]
        return f"<qhttp transfer of {shown}: {self.error or self.state_name}>"


def forget(result, error):
    """Nobody waits for that."""


def leave_part(fd, part, path, session, keep):
    """Closes a part, and removes it with all that is known of it unless it is to be kept."""
    if fd >= 0:
        close_descriptor(fd)
    if not keep:
        if session is not None:
            session.drop_part(path)
        try:
            unlink(part)
        except OSError:
            pass


def no_access(status):
    from qhttp.errors import AuthenticationRequired, ProxyAuthenticationRequired
    if status == 407:
        return ProxyAuthenticationRequired("the proxy wants a user and a password")
    return AuthenticationRequired("the server wants a user and a password")
