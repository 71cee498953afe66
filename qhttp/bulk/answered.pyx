# cython: nonecheck=True
# (what is public may be called at any time, also before there is a host)
"""What an answer is, and what follows from it: the file, a part of it, its beginning, a redirect, an error.

It is decided when the head is there and before a byte of the body moves. Whatever an answer is not sure to be becomes its
`verdict`, and its body goes nowhere.
"""
from libc.stdint cimport uint64_t

from qhttp._core cimport QH_FRAMING_LENGTH, QH_FRAMING_NONE, Sink
from qhttp._sinks cimport Memory
from qhttp.bulk.body_sinks cimport IN_MEMORY_CAP, PartSink, PieceSink
from qhttp.bulk.outcome cimport IN_PIECES, RUNNING, WAITING
from qhttp.bulk.filed cimport Filed
from qhttp.engine.exchange cimport Exchange

from os import access

from qhttp.bulk.files import file_error
from qhttp.bulk.naming import path_for
from qhttp.bulk.resume import Version
from qhttp.errors import BodyError, FileError, HTTPStatusError, QHttpError, RedirectError, ResumeError, TooLarge

REDIRECTS = (301, 302, 303, 307, 308)
# As they stand in a head that was made lower case.
cdef bytes CONTENT_ENCODING = b"\r\ncontent-encoding:"
cdef bytes LOCATION = b"\r\nlocation:"
cdef bytes DIGEST = b"digest:"          # of Repr-Digest, Content-Digest and Digest


cdef class Answered(Filed):
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
        if announced > <uint64_t>IN_MEMORY_CAP:
            (<PartSink>sink).want()
        return sink

    cdef Sink choose_for_part(self, bytes lower, uint64_t announced):
        """For a 206."""
        settings = self.runner.settings
        if self.asked is None:
            raise ResumeError("the server sends a part of the file, though all of it was asked for")
        if CONTENT_ENCODING in lower:
            raise ResumeError("the part cannot be continued: the server codes what it sends")
        self.asked.judge(self.headers, announced or None)
        if settings.max_size and self.asked.total > settings.max_size:
            raise TooLarge(f"the file has {self.asked.total} bytes, more than the {settings.max_size} that are allowed")
        self.n_resumed, self.is_joined = self.part_len, True
        self.n_done, self.n_total = self.asked.start, self.asked.start + announced if announced else 0
        if settings.limit_rate or settings.host_limit_rate:
            return self.piece_sink(None, self.asked)
        return PartSink(None, self.fd, self.asked.start, self.asked.expected)

    cdef Sink choose_probed(self, bytes lower, uint64_t announced):
        """For a 206 to a request for the beginning: there are pieces to be had, if it is sound."""
        from qhttp.bulk.byteranges import content_range_of
        from qhttp.bulk.segments import Split
        cdef uint64_t first_len = self.runner.settings.min_split_size
        try:
            found = content_range_of(self.headers)
        except ValueError as error:
            raise ResumeError(str(error)) from None
        if (found.start != 0 or found.total is None or found.end != min(first_len, <uint64_t>found.total) - 1
                or announced != <uint64_t>found.end + 1 or CONTENT_ENCODING in lower):
            raise ResumeError("the server sends something else than the beginning of the file that was asked for")
        if self.runner.settings.max_size and found.total > self.runner.settings.max_size:
            raise TooLarge(f"the file has {found.total} bytes, more than the {self.runner.settings.max_size} that are allowed")
        self.n_total, self.is_joined = found.total, True
        if self.given is not None:
            self.compare_size(found.total, True)
        if <uint64_t>found.total > first_len:
            self.version = Version.of(self.headers, found.total)
            if not self.version.is_known and not (self.given or {}).get("checksum"):
                raise ResumeError("the server does not say of which version the pieces are")
            self.part = self.final + b".parts"
            self.pieces = Split(self, found.total, None, first_len)
        sink = PartSink(self)
        if self.pieces is not None:
            (<PartSink>sink).want()
        return sink

    def piece_sink(self, codings, join):
        from qhttp.bulk.coding import Decoder
        settings = self.runner.settings
        decoder = Decoder(codings, max_size=settings.max_size, max_expansion=settings.max_expansion) if codings else None
        pacer = self.runner.pacer_for(self)
        if join is not None:
            return PieceSink(decoder, pacer, None, self.fd, join.start, join.expected)
        return PieceSink(decoder, pacer, self, -1, 0, None, IN_MEMORY_CAP if settings.into == "file" else 0)

    def codings(self):
        """The content codings to undo, innermost last; [] for none."""
        from qhttp.bulk.coding import parse_codings
        values = [value for name, value in self.headers if name.lower() == "content-encoding"]
        return parse_codings(values, self.runner.settings.max_codings)

    def name_by_answer(self):
        """The name of the file stands in the answer, or is that of the URL after all: the one that was asked for, since where a
        server redirects to is its own choice, .bashrc for example."""
        from qhttp.protocol.url import split
        target = self.target if self.effective is None else split(self.url).target
        values = [value for name, value in self.headers if name.lower() == "content-disposition"]
        path = path_for(self.runner.settings, self.given, target, values[0] if values else None)
        self.set_path(path)
        self.is_there = ((self.runner.session is not None and self.recorded() is not None)
                         or (self.runner.settings.existing == "skip" and access(path, 0)))
        if self.is_there and self.is_of_another():
            raise self.not_ours()
        if not self.is_there and access(path, 0):
            if self.runner.settings.existing != "overwrite":
                raise file_error(path, 17)
            self.refuse_own()

    def compare_size(self, n, exchange_is_known):
        size = self.given.get("size") if self.given is not None else None
        if size is not None and exchange_is_known and n != size:
            raise BodyError(f"the file has {n} bytes, and not the {size} that the list says")

    # -- elsewhere
    def follow(self):
        """Where to go on (RFC 9110 section 15.4)."""
        from qhttp.protocol.url import join, split
        if len(set(self.location)) != 1:
            raise RedirectError("the redirect names several places")
        if self.n_redirects >= self.runner.settings.max_redirects:
            raise RedirectError(f"more than {self.runner.settings.max_redirects} redirects one after the other")
        url = join(split(self.url_effective), self.location[0].replace(" ", "%20"))      # what is often sent so
        if self.status == 303 and self.method != b"HEAD" or self.status in (301, 302) and self.method == b"POST":
            self.method, self.body, self.has_lost_body = b"GET", None, True
        self.n_redirects += 1
        self.effective = url.text
        self.host, self.target = self.runner.host_of(url), url.target

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
            parts = None
        if parts is None:
            return self.turn_to_mirror(error)
        self.host, self.target, self.effective, self.failures = self.runner.host_of(parts), parts.target, url, None
        self.left = None
        self.forget_pieces()
        self.part_len, self.version = 0, None
        return True

    # -- in pieces
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
        self.runner.wholes.add(self)

    def pieces_done(self):
        """All pieces have come."""
        self.runner.wholes.discard(self)
        self.pieces, self.size = None, self.n_total
        self.place_file(None)

    def pieces_failed(self, error, left):
        """They will not; so much is still to come."""
        self.runner.wholes.discard(self)
        if self.state == RUNNING:
            self.break_off()
            self.runner.lane_free(self)
        self.pieces, self.state = None, WAITING
        if isinstance(error, ResumeError):
            self.no_part = self.no_mirrors = True
            self.forget_pieces()
            self.runner.wait_again(self, 0)
        else:                           # each has had its own tries
            self.left = left
            if self.turn_to_mirror(error):
                self.runner.wait_again(self, 0)
            else:
                self.end_with(error)

    def first_piece_failed(self, error):
        """The request for the beginning is over while others fetch the rest. True: they go on with that, too."""
        cdef Sink sink = self.sink
        if self.fd < 0 or isinstance(error, (ResumeError, FileError)):
            pieces, self.pieces = self.pieces, None
            pieces.stop()
            self.forget_pieces()
            return False
        if isinstance(sink, PartSink) and (<PartSink>sink).is_worth_writing():
            (<PartSink>sink).begin_part()
        n_good = (<PartSink>sink).end() if isinstance(sink, PartSink) and (<PartSink>sink).is_written() else 0
        self.n_done -= self.n_told - min(self.n_told, <uint64_t>n_good)
        self.give_lane_to_pieces()
        self.pieces.first_ended(n_good)
        return True
