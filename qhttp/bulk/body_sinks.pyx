"""The sinks of a download. A body begins in memory; most end there. Where it is larger, or goes on with a part, it is switched
over to the part's descriptor between two receives, and from then on C writes it without asking.

A body that goes on with a part begins with bytes that the part has: they are compared before anything is written. What does not
fit is `failure`; the transfer looks at it when it is told of progress, and breaks the exchange off.
"""
from cpython.bytes cimport PyBytes_AS_STRING
from libc.errno cimport EINTR, ENOSPC, errno
from libc.stdint cimport uint64_t
from libc.string cimport memcmp
from posix.types cimport off_t

from qhttp._core cimport Sink, qh_sink_init_descriptor, qh_sink_release
from qhttp._sinks cimport Memory

from qhttp.errors import DeviceError, QHttpError, ResumeError

cdef extern from "unistd.h" nogil:
    ssize_t c_pwrite "pwrite"(int fd, const void *data, size_t len, off_t offset)

cdef enum:
    FIRST_CAP = 32 << 10            # of a body of unknown length
    PACED_PIECE = 32 << 10          # a body that is to come slowly comes in such pieces


cdef int write_at(int fd, const char *data, size_t length, uint64_t offset) nogil:
    """All of it: 0, or the errno."""
    cdef ssize_t n
    while length > 0:
        n = c_pwrite(fd, data, length, <off_t>offset)
        if n < 0 and errno == EINTR:
            continue
        if n <= 0:
            return errno if n < 0 else ENOSPC
        data += n
        length -= <size_t>n
        offset += <uint64_t>n
    return 0


def not_the_same():
    return ResumeError("the server's file is not the one that the part was made from")


cdef class PartSink(Memory):
    def __cinit__(self, owner=None, int fd=-1, uint64_t start=0, bytes expected=None):
        self.owner, self.fd, self.start, self.expected = owner, fd, start, expected

    cdef bint is_written(self):
        return self.c.memory == NULL and self.c.fd >= 0

    cdef uint64_t end(self):
        return self.c.offset if self.is_written() else self.start

    cdef object want(self):
        if not self.is_wanted and self.fd < 0 and self.owner is not None:
            self.is_wanted = True
            self.owner.want_part(self)

    cdef object opened(self, int fd, uint64_t start):
        """There is a part now: the body goes there as soon as it does not fit into memory (the exchange's resume)."""
        self.fd, self.start = fd, start

    cdef bint make_room(self, size_t n, uint64_t claim) except -1:
        cdef size_t cap = IN_MEMORY_CAP
        if n > self.c.cap - self.c.len or self.c.cap < cap:
            if claim == 0:
                cap = min(cap, max(<size_t>FIRST_CAP, self.c.cap * 4))
            elif claim < cap:
                cap = max(<size_t>claim, self.c.cap + 1)        # one more where more came than was announced: C says so
            self.resize(max(cap, self.c.len + max(n, <size_t>1)))
            return True
        if n > 0:
            return True
        if self.fd < 0:
            self.want()
            if self.fd < 0:
                return False
        return self.begin_part()        # at once, where an earlier try has left one

    cdef bint is_worth_writing(self):
        """Whether it holds bytes that are not in the part yet, though there is one."""
        return (not self.is_written() and self.fd >= 0 and self.failure is None
                and self.c.len > (<size_t>len(self.expected) if self.expected is not None else 0))

    cdef bint begin_part(self):
        """From now on C writes into the part; what is in memory goes there first."""
        cdef size_t n_same = len(self.expected) if self.expected is not None else 0
        cdef uint64_t offset = self.start
        cdef int error = 0
        if self.failure is None and self.expected is not None:
            if self.c.len < n_same or (n_same > 0 and memcmp(self.c.memory, PyBytes_AS_STRING(self.expected), n_same) != 0):
                self.failure = not_the_same()
        if self.failure is None:
            with nogil:
                error = write_at(self.fd, self.c.memory + n_same, self.c.len - n_same, offset + n_same)
            if error:
                self.failure = OSError(error, "")
        if self.failure is not None:
            self.c.len = 0              # nobody wants it: room for what still comes until that is noticed
            return True
        offset += self.c.len
        self.forget()
        qh_sink_init_descriptor(&self.c, self.fd, offset)
        return True

    cdef object finish(self):
        if self.is_written():
            qh_sink_release(&self.c)


cdef class PieceSink(Memory):
    def __cinit__(self, decoder=None, pacer=None, owner=None, int fd=-1, uint64_t offset=0, bytes expected=None,
                  uint64_t in_memory_cap=IN_MEMORY_CAP):
        self.decoder, self.pacer, self.owner, self.fd, self.offset = decoder, pacer, owner, fd, offset
        self.expected, self.kept, self.in_memory_cap = expected, [], in_memory_cap
        self.is_read = True
        if pacer is not None:
            self.set_limit(PACED_PIECE)

    cdef bint is_written(self):
        return self.fd >= 0

    cdef bint is_waiting(self):
        return self.pending is not None and self.fd < 0

    cdef object opened(self, int fd, uint64_t start):
        self.fd, self.offset = fd, start

    cdef bint make_room(self, size_t n, uint64_t claim) except -1:
        if n == 0 and (self.is_waiting() or self.pacer is not None and not self.pacer(0)):
            return False
        return Memory.make_room(self, n, claim)

    cdef object settle(self):
        cdef bytes data
        try:
            while not self.is_waiting() and self.failure is None and (self.pending is not None or self.available()):
                if self.pending is None:
                    data = self.take(self.available())
                    if self.pacer is not None:
                        self.pacer(len(data))
                    if self.expected is not None:
                        data = self.check_join(data)
                    self.pending = iter((data,) if self.decoder is None else self.decoder.feed(data))
                self.write_pending()
        except (QHttpError, OSError) as error:
            self.failure = error
        except MemoryError:
            self.failure = DeviceError("there is no memory for more of the body")
        if self.failure is not None:
            raise DeviceError(str(self.failure))

    cdef object write_pending(self):
        """Writes what was decoded, or keeps it; what does not fit waits for the part."""
        cdef bytes piece
        if self.fd >= 0 and self.kept:
            kept, self.kept = self.kept, []
            for piece in kept:
                self.write(piece)
        for piece in self.pending:
            if self.fd >= 0:
                self.write(piece)
                continue
            self.kept.append(piece)
            self.n_kept += len(piece)
            if 0 < self.in_memory_cap < self.n_kept:
                self.owner.want_part(self)
                return
        self.pending = None

    cdef bytes check_join(self, bytes piece):
        """Takes off what the part has already, once it was compared."""
        cdef Py_ssize_t n = min(len(piece), len(self.expected))
        if piece[:n] != self.expected[:n]:
            raise not_the_same()
        self.expected = self.expected[n:] or None
        self.offset += n
        return piece[n:]

    cdef object write(self, bytes piece):
        cdef int error
        cdef size_t length = len(piece)
        cdef const char *data = PyBytes_AS_STRING(piece)
        with nogil:
            error = write_at(self.fd, data, length, self.offset)
        if error:
            raise OSError(error, "")
        self.offset += length

    cdef object finish_decoding(self):
        """The body has ended: so must what is coded in it. Raises Truncated, or DecodeError."""
        if self.decoder is not None:
            self.decoder.finish()


cdef class RangeSink(Sink):
    def __cinit__(self, int fd, uint64_t offset):
        qh_sink_init_descriptor(&self.c, fd, offset)

    cdef object finish(self):
        qh_sink_release(&self.c)
