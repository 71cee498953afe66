# cython: nonecheck=True
# (what is public may be called at any time, also before there is a host)
"""The file of a transfer and its part: what it is called, whether it is there already, how much of it can be trusted.

The loop's thread writes into a part (by C), and reads its end; to open, to empty and to remove it is the file thread's, which
does so in the order in which it was asked. So nothing is ever written into a part before it was emptied of another version,
and nothing is removed that a later try has made.
"""
from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport int64_t, uint64_t
from posix.unistd cimport F_OK, access as c_access, close as c_close

from qhttp._core cimport Sink
from qhttp.bulk.body_sinks cimport PartSink, PieceSink
from qhttp.bulk.files cimport OpenPart
from qhttp.bulk.outcome cimport ENDED, PLACING, RUNNING, WAITING, Outcome
from qhttp.engine.exchange cimport Exchange

from os import fsencode, stat, unlink
from time import time_ns

from qhttp.bulk.files import file_error, open_locked
from qhttp.bulk.naming import path_for, taken
from qhttp.bulk.resume import Join, Version, empty_part, end_of, open_part
from qhttp.errors import DeviceError, FileError, ResumeError, TimeoutError, Truncated, UnexpectedClose

cdef int64_t CLOCKS_DIFFER_NS = 60 * 1000000000     # by which the clock of a file server may be ahead of ours

CUTS = (Truncated, UnexpectedClose, TimeoutError)       # what came before is a true beginning


cdef class Filed(Outcome):
    def __cinit__(self):
        self.fd = -1

    def __dealloc__(self):
        if self.fd >= 0:                # its end could not be told, for want of memory
            c_close(self.fd)

    cdef object prepare(self):
        """Where the file goes, and whether it has to be fetched at all. False: it has ended, or waits for the file thread."""
        settings = self.runner.settings
        if settings.into != "file" or settings.method == "HEAD" or settings.content_disposition and not self.has_name():
            if settings.dry_run:
                self.end_with(None)
            return not settings.dry_run
        if self.path is None:
            self.set_path(path_for(settings, self.given, self.target))
        done = self.recorded() if self.runner.session is not None else None
        if done is not None:
            self.was_skipped = True
            if self.is_listed_as(done):
                self.end_with(None)
            else:
                self.check_existing()
            return False
        if c_access(PyBytes_AS_STRING(self.final), F_OK) == 0:
            if settings.existing != "overwrite":
                self.meet_existing(settings)
                return False
            self.refuse_own()
        if settings.dry_run:
            self.end_with(None)
            return False
        if self.runner.session is not None and settings.resume:
            kept = self.runner.session.part(self.path)
            self.kept = kept if kept is not None and kept.url == self.url else None
        self.has_stale = (self.runner.files.session is not None and self.kept is None
                          and c_access(PyBytes_AS_STRING(self.part), F_OK) == 0)
        return True

    def was_made_now(self):
        """Whether what has the final name was made by this run. It is dated by the wall clock, which may have been set since the
        run began: so what fits into the run by either clock, as it was then or as it is now, is of this run."""
        cdef int64_t made_ns = stat(self.final).st_ctime_ns
        cdef int64_t wall_ns = time_ns(), then_ns = self.runner.started_wall_ns
        cdef int64_t passed_ns = <int64_t>self.runner.loop.now() - self.runner.started_ns
        return min(then_ns, wall_ns - passed_ns) <= made_ns <= max(wall_ns, then_ns + passed_ns) + CLOCKS_DIFFER_NS

    def refuse_own(self):
        """Raises FileError where what is to be overwritten is another row's of this run."""
        if self.was_made_now():
            raise self.not_ours()

    def not_ours(self):
        return FileError(f"{self.path} was made by this run, for another URL: give one of them a name of its own")

    def is_of_another(self):
        """Whether what is to be taken as done was made by this run, for another URL."""
        return self.runner.named.get(hash(self.path), hash(self.url)) != hash(self.url)

    def has_name(self):
        return self.runner.settings.name is not None or (self.given is not None and self.given.get("out") is not None)

    def set_path(self, path):
        """Takes the path for itself; no other transfer may have it meanwhile."""
        other = self.runner.in_flight.get(path)
        if other is not None:
            raise FileError(whose(path, other, self.url))
        self.runner.in_flight[path] = self
        self.path, self.final = path, path.encode() if path.isascii() else fsencode(path)
        self.part = self.final + b".part"

    def recorded(self):
        """What the session knows of the file (a Done), if that was made for this URL and has the same size still; else None."""
        done = self.runner.session.lookup(self.path)
        if done is None or done.url != self.url:
            return None
        try:
            about = stat(self.path)
        except OSError:
            about = None
        if about is None or about.st_size != done.size:
            return None
        self.size = done.size
        return done

    def is_listed_as(self, done):
        """Whether the row says nothing else of the file than what was recorded of it: the list may be a newer one."""
        if self.given is None:
            return True
        from qhttp.bulk.verify import checksums_of
        wanted = checksums_of(self.given.get("checksum"))
        comparable = [checksum.digest.hex() for checksum in wanted if checksum.algorithm == "sha256"]
        return (self.given.get("size") in (None, done.size) and bool(comparable) == bool(wanted)
                and all(digest == done.sha256 for digest in comparable))

    def meet_existing(self, settings):
        if settings.existing == "skip" and self.is_of_another():
            self.end_with(self.not_ours())
        elif settings.existing == "skip":
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
        self.runner.files.call(lambda: check_existing(self.path, self.given), self.existing_checked, self)

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
            self.part, self.left, self.is_mixed = self.final + b".parts", kept.segments, kept.is_mixed
        part, path = self.part, self.path
        self.is_opening = True
        self.runner.files.call(lambda: open_part(part, path, session, kept), self.kept_opened, self)

    def kept_opened(self, OpenPart opened, error):
        self.is_opening = False
        if error is None:
            self.fd, self.part_len = opened.take_descriptor(), opened.part_len
        if self.state != RUNNING:       # stopped meanwhile, or too late
            self.close_part(True)
            return
        if error is not None:
            self.fail_with(file_error(self.part, error.errno or 0) if isinstance(error, OSError) else error)
            return
        if self.part_len == 0:
            self.left = None            # it is not there any more
            self.forget_pieces()
        elif self.left is not None and not self.may_go_on_in_pieces():
            self.left, self.is_mixed = None, False
        elif self.left is not None:
            self.begin_pieces()
            return
        elif self.version.is_known:
            self.asked = Join(self.part_len, opened.end, self.version)
        self.send()

    def may_go_on_in_pieces(self):
        """Whether what is there of a file in pieces fits to what is asked for now; pieces know no rates."""
        settings, total = self.runner.settings, self.version.total
        size, checksum = (self.given.get("size"), self.given.get("checksum")) if self.given is not None else (None, None)
        return ((checksum or not self.is_mixed) and not settings.limit_rate and not settings.host_limit_rate
                and (size is None or size == total) and not 0 < settings.max_size < total)

    def want_part(self, sink):
        """The body that goes into that sink needs a part, from its first byte on. What the file thread does for an earlier
        try will do for this one: nothing is written before it has answered."""
        self.wanting = sink
        if self.is_opening:
            return
        if self.fd >= 0 and self.is_empty and isinstance(sink, PartSink) and self.is_noted_for_this():
            (<PartSink>sink).opened(self.fd, 0)     # nothing has been written since it was emptied
            self.note_part()
            return
        session = self.runner.files.session
        part, path, fd = self.part, self.path, self.fd
        self.is_opening = True
        if fd < 0:
            self.runner.files.call(lambda: open_part(part, path, session, None),
                                   lambda opened, error: self.part_opened(part, opened, error), self)
        else:                           # what is in it is of another version
            self.part_len = 0
            self.runner.files.call(lambda: empty_part(fd, path, session), self.part_emptied, self)

    def is_noted_for_this(self):
        """Whether what the session may know of the part is true of the answer that comes now, too: else that has to be
        forgotten first."""
        found = Version.of(self.headers, self.n_total or None)
        return found.is_known and (self.runner.files.session is None or self.version is None or self.version.is_same(found))

    def part_opened(self, part, OpenPart opened, error):
        if error is None and part == self.part:
            self.fd, self.part_len = opened.take_descriptor(), 0
        elif error is None:             # that one is not wanted any more, but another
            path, session = self.path, self.runner.files.session
            self.runner.files.call(lambda: leave_part(opened, part, path, session, False), forget)
            self.is_opening = False
            wanting, self.wanting = self.wanting, None
            if self.state == RUNNING and wanting is not None and wanting is self.sink:
                self.want_part(wanting)
            return
        self.part_emptied(None, error)

    def part_emptied(self, result, error):
        self.is_opening, self.is_empty = False, error is None
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
        cdef Exchange exchange
        cdef Sink sink = self.sink
        failure = None
        if isinstance(sink, PieceSink):
            (<PieceSink>sink).opened(self.fd, 0)
            try:
                sink.settle()           # what has come meanwhile
            except DeviceError as error:
                failure = error
            if failure is not None:
                self.break_off()
                self.fail_with(self.failure_of_sink() or failure)
                return
        else:
            (<PartSink>self.sink).opened(self.fd, 0)
        if self.pieces is not None:
            self.pieces.begin()
        else:
            self.note_part()
        exchange = self.exchange        # a reference of our own
        if exchange is not None:
            exchange.resume()
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
        if fd < 0:
            return
        self.fd = -1
        try:
            opened = OpenPart(fd, 0, b"")       # closed also where nobody comes to it: it stays then, for whoever comes next
        except MemoryError:
            c_close(fd)
            raise
        self.leave(opened, keep)

    def leave(self, OpenPart opened, bint keep):
        part, path, session = self.part, self.path, self.runner.files.session
        self.runner.files.call(lambda: leave_part(opened, part, path, session, keep), forget)

    def continue_part(self):
        """Another try: goes on behind what the last one has received, where that can be trusted."""
        self.asked = None
        if self.runner.settings.resume and not self.no_part and self.version is not None and self.version.is_known:
            self.asked = Join(self.part_len, end_of(self.fd, self.part_len), self.version)

    def forget_pieces(self):
        """What is there of a file in pieces is of no use, and what comes now goes into a part like any other."""
        if self.final is not None and self.part.endswith(b".parts"):
            self.part_len = 0
            self.close_part(False)
            self.part = self.final + b".part"

    # -- how much of it can be trusted
    def failure_of_sink(self):
        failure = None
        if isinstance(self.sink, PartSink):
            failure = (<PartSink>self.sink).failure
        elif isinstance(self.sink, PieceSink):
            failure = (<PieceSink>self.sink).failure
        return file_error(self.part, failure.errno or 0) if isinstance(failure, OSError) else failure

    def measure_part(self, error):
        """How much of what the part holds can be trusted."""
        cdef Sink sink = self.sink
        if isinstance(error, ResumeError):
            self.no_part = True         # nor are there pieces to be had
        if self.fd < 0:
            return
        is_cut = isinstance(error, CUTS)
        if is_cut and isinstance(sink, PartSink) and (<PartSink>sink).is_worth_writing():
            (<PartSink>sink).begin_part()
        self.is_empty = self.is_empty and isinstance(sink, PartSink) and not (<PartSink>sink).is_written()
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
            self.part_len = 0

    def can_be_continued(self):
        """Whether another run will know what the part is."""
        if self.runner.files.session is None or not self.runner.settings.resume or self.version is None:
            return False
        return self.version.if_range is not None if self.left is not None else self.part_len > 0 and self.version.is_known


def whose(path, other, url):
    """Why the path cannot be a row's: `other` has it, a transfer or the session."""
    if not isinstance(other, Filed):
        return f"{path} is a file of the session's: give the row another name, or name another session file"
    return f"{path} is on its way already: the URL is there twice" if (<Filed>other).url == url else taken(path)


def forget(result, error):
    """Nobody waits for that."""


def remove_stale(part):
    """Removes a part that nobody knows, unless another run is at it."""
    cdef int fd = -1
    try:
        fd = open_locked(part)
        unlink(part)
    except OSError:
        pass
    finally:
        if fd >= 0:
            c_close(fd)


def leave_part(OpenPart opened not None, part, path, session, keep):
    """Closes a part, and removes it with all that is known of it unless it is to be kept; while it is still locked."""
    try:
        if session is not None and not keep:
            session.drop_part(path)
    finally:                            # also where the session cannot be written: else the part stays locked for ever
        try:
            if not keep:
                unlink(part)
        except OSError:
            pass
        finally:
            c_close(opened.take_descriptor())
