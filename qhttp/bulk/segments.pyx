# cython: nonecheck=True
# (what is public may be called at any time, also before there is a host)
"""One large file over several connections, and from mirrors.

The first request asks for the beginning of the file only. A 206 says how long the whole is, and that ranges work: the rest is
cut into pieces, `split` of which are under way at a time; each is a transfer of its own with lanes, tries and limits like any
other. A server that answers with 200 sends the whole, and all goes on as without pieces.

The file being made is called NAME.parts: it has holes, and only the session knows where. Bytes of different mirrors are put
together only where a checksum of the whole is known, or both say the same strong ETag; the session knows which it was.
"""
from libc.stdint cimport uint64_t

from qhttp._core cimport Sink
from qhttp.bulk.body_sinks cimport RangeSink
from qhttp.bulk.outcome cimport ENDED, RUNNING, Outcome
from qhttp.bulk.transfer cimport Transfer

from qhttp.bulk.byteranges import content_range_of
from qhttp.bulk.filed import forget
from qhttp.bulk.resume import Version
from qhttp.errors import ResumeError, Truncated

cdef enum:
    PIECES_PER_LANE = 4         # so that a slow connection does not hold the end up


cdef class Source:
    pass


cdef class Piece(Transfer):
    def __init__(self, Split whole, Source source, uint64_t first, uint64_t end):
        cdef Transfer transfer = whole.transfer
        self.whole, self.source, self.first, self.end = whole, source, first, end
        self.runner, self.method, self.given = transfer.runner, b"GET", transfer.row
        self.url, self.target, self.added_headers = source.url, source.target, transfer.added_headers
        self.host, self.first_host = source.host, transfer.first_host
        self.start_ns, self.is_prepared, self.is_told = transfer.start_ns, True, True
        self.part = transfer.part       # for messages

    @property
    def range_fields(self):
        fields = [("Range", f"bytes={self.first}-{self.end - 1}")]
        version = self.source.version
        if version is not None and version.if_range is not None:
            fields.append(("If-Range", version.if_range))
        return fields

    cdef Outcome told(self):
        return self.whole.transfer

    cdef Sink choose_sink(self, int status, bytes lower, uint64_t announced, bint is_empty):
        if status == 412 or status == 416:
            raise ResumeError("a piece of the file cannot be fetched: it has changed")
        if status != 206:
            return Transfer.choose_sink(self, status, lower, announced, is_empty)
        try:
            found = content_range_of(self.headers)
        except ValueError as error:
            raise ResumeError(f"a piece of the file cannot be fetched: {error}") from None
        if (found.start != self.first or found.end != self.end - 1 or found.total != self.whole.total
                or announced != self.end - self.first or b"\r\ncontent-encoding:" in lower):
            raise ResumeError("a piece of the file cannot be fetched: the server sends something else")
        self.whole.compare(self.source, Version.of(self.headers, found.total))
        return RangeSink(self.whole.transfer.fd, self.first)

    cdef Sink choose_whole(self, bytes lower, uint64_t announced, bint is_empty):
        raise ResumeError("a piece of the file cannot be fetched: the server does not send pieces any more")

    cdef object count(self, uint64_t n):
        Transfer.count(self, n)
        self.whole.transfer.n_done += n

    cdef object complete(self):
        self.first = self.sink.c.offset
        if self.first != self.end:
            self.fail_with(Truncated("the piece is shorter than was asked for"))
        else:
            self.host.has_answered()
            self.whole.note_head(self)
            self.end_with(None)

    def measure_part(self, error):
        if isinstance(self.sink, RangeSink):
            self.first = min(self.sink.c.offset, self.end)

    def turn_to_mirror(self, error):
        return False                    # that is for the whole to decide

    def try_again(self, error):
        if isinstance(error, ResumeError):
            self.end_with(error)        # another source, or none
        else:
            Transfer.try_again(self, error)

    def give_back(self):
        self.whole.transfer.give_back()

    cdef object end_with(self, error):
        if self.state == ENDED:
            return
        try:
            if self.state == RUNNING:
                self.break_off()
                self.measure_part(error)
        except Exception as problem:    # whatever cannot be tidied up: it has ended
            self.runner.loop.note_error(problem)
        try:
            self.runner.lane_free(self)
            self.runner.forget(self)
        except Exception as problem:
            self.runner.loop.note_error(problem)
        self.state, self.sink, self.error = ENDED, None, error
        self.whole.piece_ended(self, error)


cdef class Split:
    """What is left of a file, and who fetches it. `ranges`: [start, end] pairs; None: all but what the first request
    fetches."""

    def __init__(self, Transfer transfer, uint64_t total, ranges, uint64_t first_end):
        cdef uint64_t at, size
        settings = transfer.runner.settings
        self.transfer, self.total, self.first_end, self.pieces = transfer, total, first_end, set()
        self.first_is_out = first_end > 0
        self.has_checksum = bool(transfer.row.get("checksum"))
        self.sources = [self.make_source(transfer.url_effective, transfer.version, True)]
        for url in () if transfer.no_mirrors else transfer.row.get("mirrors") or ():
            try:
                self.sources.append(self.make_source(url, None, False))
            except ValueError:
                pass                    # no URL: the others may do
        if ranges is None:
            size = max(<uint64_t>settings.min_split_size, (total - first_end) // (settings.split * PIECES_PER_LANE))
            ranges = [[at, min(at + size, total)] for at in range(first_end, total, size)]
        self.ranges = list(reversed(ranges))

    cdef object note_head(self, Piece piece):
        """Where the transfer has had no answer of its own, a piece's speaks for it."""
        if self.transfer.block is None:
            self.transfer.block, self.transfer.status = piece.block, piece.status

    def make_source(self, url, version, is_main):
        from qhttp.protocol.url import split
        cdef Source source = Source.__new__(Source)
        parts = split(url)
        source.host, source.target, source.url = self.transfer.runner.host_of(parts), parts.target, url
        source.version, source.is_main = version, is_main
        return source

    def compare(self, Source source, version):
        """Raises ResumeError for an answer of another version than the pieces that are there."""
        cdef Source main = self.sources[0]
        known = source.version
        if known is None:
            known = main.version
            same_etag = known.etag is not None and known.etag == version.etag and not known.etag.startswith("W/")
            if not same_etag and not self.has_checksum:
                raise ResumeError("the mirror does not show that it has the same file, and no checksum is known")
            self.transfer.is_mixed = self.transfer.is_mixed or not same_etag
            source.version = version
        elif known.is_other(version):
            raise ResumeError("the server has another version of the file than that of the other pieces")

    def begin(self):
        """The file is open: pieces may come."""
        self.note()
        self.fill()
        self.settle()

    cdef object fill(self):
        cdef Piece piece
        cdef Source source
        while self.ranges and len(self.pieces) + self.first_is_out < self.transfer.runner.settings.split and not self.is_over:
            source = self.next_source()
            if source is None:
                return
            first, end = self.ranges[-1]
            piece = Piece(self, source, first, end)
            self.pieces.add(piece)
            self.ranges.pop()           # not before: what is neither here nor there would be a hole in the file
            piece.runner.wait_again(piece, 0)

    cdef Source next_source(self):
        cdef list good = [source for source in self.sources if not (<Source>source).is_bad]
        if not good:
            return None
        self.n_begun += 1
        return good[self.n_begun % len(good)]

    def first_ended(self, uint64_t n_good):
        """The transfer's own request is over; the file begins with so many bytes that are good."""
        if n_good < self.first_end:
            self.ranges.append([n_good, self.first_end])
        self.first_is_out = False
        self.fill()
        self.settle()

    cdef object piece_ended(self, Piece piece, object error):
        try:
            self.go_on_behind(piece, error)
        except Exception as problem:    # no memory for the next one
            self.transfer.broken(problem)

    cdef object go_on_behind(self, Piece piece, object error):
        if piece.first < piece.end:
            self.ranges.append([piece.first, piece.end])
        self.pieces.discard(piece)
        if self.is_over:
            return
        if isinstance(error, ResumeError):
            piece.source.is_bad = True
            if piece.source.is_main:
                self.fail(error)
                return
        elif error is not None and not piece.source.is_main:
            piece.source.is_bad = True  # a mirror that does not work
        elif error is not None:
            self.fail(error)
            return
        self.note()
        self.fill()
        self.settle()

    cdef object settle(self):
        """All is there, or nothing can bring the rest."""
        if self.is_over or self.pieces or self.first_is_out:
            return
        if not self.ranges:
            self.is_over = True
            self.transfer.pieces_done()
        elif self.next_source() is None:
            self.fail(ResumeError("no server sends the rest of the file"))

    def fail(self, error):
        if not self.is_over:
            self.transfer.pieces_failed(error, self.stop())

    def stop(self):
        """Breaks all pieces off; what they have brought stays. Returns what is still to come."""
        cdef Piece piece
        self.is_over = True
        for piece in list(self.pieces):
            piece.end_with(Truncated(""))
        self.note()
        return self.left()

    def left(self):
        """[start, end] of all that is not there yet."""
        cdef Piece piece
        left = [list(both) for both in self.ranges] + [[piece.first, piece.end] for piece in self.pieces]
        return sorted(left + [[0, self.first_end]] if self.first_is_out else left)

    cdef object note(self):
        """Remembers what is still to come."""
        cdef Transfer transfer = self.transfer
        session, version = transfer.runner.files.session, transfer.version
        if session is None or not transfer.runner.settings.resume or transfer.fd < 0 or version.if_range is None:
            return
        left, is_mixed = self.left(), transfer.is_mixed
        path, url, fd, is_synced = transfer.path, transfer.url, transfer.fd, transfer.runner.settings.fsync
        transfer.runner.files.call(lambda: record_pieces(session, path, url, fd, version, left, is_mixed, is_synced), forget)


def record_pieces(session, path, url, fd, version, left, is_mixed, is_synced):
    """Remembers which bytes of a file in pieces are still to come. On the file thread: what is not in the list has been
    written, and with `is_synced` is on the disk: nobody would fetch it again. Raises OSError: the older list holds."""
    from os import fdatasync, fstat
    if is_synced:
        fdatasync(fd)
    session.put_part(path, url, fstat(fd).st_ino, version.etag, version.last_modified, version.total, left, is_mixed)
