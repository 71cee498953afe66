"""Where bodies go. The loop writes into a sink without the GIL; what is here gives it the room and takes the bytes out.

A block that is handed out as `bytes` is the very memory that the socket was read into.
"""
from libc.stdint cimport uint64_t
from libc.string cimport memmove

from qhttp._core cimport qh_memory_advise, qh_memory_next_cap, qh_sink_init_descriptor, qh_sink_init_memory, qh_sink_release
from _io import BufferedRandom, BufferedWriter, FileIO, _RawIOBase
from os import close as close_descriptor, dup as duplicate

from qhttp.errors import DeviceError

cdef extern from *:
    """
    /* A block that is ours alone becomes shorter where it is: realloc would move its end about for every piece. */
    static void shorten(PyObject *block, Py_ssize_t size)
    {
        Py_SET_SIZE((PyVarObject *)block, size);
        PyBytes_AS_STRING(block)[size] = 0;
    }
    """
    void shorten(PyObject *block, Py_ssize_t size)

cdef extern from "Python.h":        # with plain pointers: the one reference to a block is counted by hand
    PyObject *PyBytes_FromStringAndSize(char *data, Py_ssize_t size) except NULL
    char *PyBytes_AS_STRING(PyObject *block)
    Py_ssize_t PyBytes_GET_SIZE(PyObject *block)
    int _PyBytes_Resize(PyObject **block, Py_ssize_t size) except -1
    void Py_CLEAR(PyObject *block)

cdef enum:
    SMALL = 16 << 10            # to copy so much is cheaper than to give the block away
    FIRST_CAP = 64 << 10        # for a body of unknown length
    PIECE_CAP = 512 << 10       # where a reader takes what comes: two receives, and what a second-level cache holds
    HUGE_PAGE = 2 << 20
    HUGE_FROM = 4 << 20
    OVERHEAD = 64               # of a bytes object, and of the allocator before it
    KEPT_CAP = 256 << 10        # a larger block is not kept from one request to the next


cdef class Memory(Sink):
    """Unread body bytes."""

    def __cinit__(self, *args):
        qh_sink_init_memory(&self.c, NULL, 0, 0)

    cdef size_t available(self):
        return self.c.len - self.start

    cdef bint is_congested(self):
        return self.limit > 0 and self.available() >= self.limit

    cdef bint make_room(self, size_t n, uint64_t claim) except -1:
        cdef size_t unread = self.available(), cap, least
        if n == 0 and self.is_congested():
            return False
        # The block may be one that was kept from a small body: room for a byte of this one is not enough.
        least = max(n, min(<size_t>SMALL, self.limit or <size_t>SMALL, claim or <uint64_t>SMALL), <size_t>1)
        if self.start > 0:              # what was read makes room
            memmove(self.c.memory, self.c.memory + self.start, unread)
            self.c.len, self.start = unread, 0
            self.set_limit(self.limit)
        if self.c.cap - self.c.len >= least:
            return True
        if self.is_read and unread == 0:
            cap = min(<uint64_t>PIECE_CAP, claim or <uint64_t>PIECE_CAP)
        elif self.c.cap == 0 and claim == 0:
            cap = FIRST_CAP
        else:
            cap = qh_memory_next_cap(self.c.len, self.c.cap, claim)
        cap = max(cap, self.c.len + least)
        if cap >= HUGE_FROM:            # a mapping of whole huge pages is put where they begin; what is not touched costs nothing
            cap = (cap + HUGE_PAGE + OVERHEAD - 1) // HUGE_PAGE * HUGE_PAGE - OVERHEAD
        if self.limit > 0:              # room for more than the limit would be filled beyond it
            cap = max(self.c.len + n, min(cap, self.limit))
        try:
            self.resize(cap)
        except MemoryError:
            raise DeviceError(f"there is no memory for more of the body than the {unread} bytes that have come") from None
        qh_memory_advise(self.c.memory, cap, claim == 0 or cap < claim)
        return True

    cdef int resize(self, size_t cap) except -1:
        if self.block == NULL:
            self.block = PyBytes_FromStringAndSize(NULL, cap)
        else:
            try:                        # realloc: moves pages, not bytes
                _PyBytes_Resize(&self.block, cap)
            except BaseException:
                self.block = NULL       # it is gone
                self.forget()
                raise
        self.c.memory, self.c.cap = PyBytes_AS_STRING(self.block), cap
        return 0

    cdef object forget(self):
        Py_CLEAR(self.block)
        self.c.memory, self.c.len, self.c.cap, self.start = NULL, 0, 0, 0

    def __dealloc__(self):
        Py_CLEAR(self.block)

    cdef object drop_last(self, size_t n):
        self.c.len -= min(n, self.available())

    cdef object discard(self):
        """Drops what is unread; a small block stays for the next body."""
        self.c.len = self.start = 0
        self.is_read = False
        if self.block != NULL and PyBytes_GET_SIZE(self.block) > KEPT_CAP:
            self.forget()
        self.set_limit(self.limit)

    cdef object set_limit(self, size_t limit):
        """From now on C fills no more of the block than that; 0: all of it."""
        self.limit = limit
        if self.block != NULL:
            self.c.cap = PyBytes_GET_SIZE(self.block)
            if limit > 0:
                self.c.cap = max(self.c.len, min(self.c.cap, self.start + limit))

    cdef bytes take(self, size_t n):
        """Takes the first n unread bytes out (fewer where there are fewer)."""
        cdef size_t unread = self.available(), cap
        cdef bytes taken
        self.is_read = True
        if n >= unread and self.start == 0 and unread > <size_t>SMALL:
            cap = PyBytes_GET_SIZE(self.block)
            if unread >= cap - cap // 16:
                shorten(self.block, unread)
            else:
                self.resize(unread)
            taken = <bytes>self.block   # the whole of it, without a copy
            self.forget()
            return taken
        n = min(n, unread)
        taken = self.c.memory[self.start:self.start + n] if n else b""
        self.start += n
        if self.start == self.c.len:
            self.c.len = self.start = 0
        return taken


cdef class FileSink(Sink):
    """The rest of a real binary file, from its present position on. Raises DeviceError where that cannot be told."""

    def __cinit__(self, file):
        self.file = file
        try:
            file.flush()
            position = file.tell()
            # A descriptor of our own: the file may be closed meanwhile, and its number given to another.
            qh_sink_init_descriptor(&self.c, duplicate(file.fileno()), position)
        except (OSError, ValueError) as error:
            raise DeviceError(f"Error writing response to device: {error}") from error

    def __dealloc__(self):
        if self.c.fd >= 0:
            close_descriptor(self.c.fd)

    cdef object finish(self):
        if self.c.fd < 0:
            return
        qh_sink_release(&self.c)
        close_descriptor(self.c.fd)
        self.c.fd = -1
        try:
            self.file.seek(self.c.offset)
        except (OSError, ValueError):
            pass                        # closed in between: nothing to keep in order


cdef class ObjectSink(Memory):
    """Hands each piece to `device.write(bytes)`, which may run any code. Raises DeviceError where it takes less or fails."""

    def __cinit__(self, device):
        self.device = device
        self.is_read = True
        self.is_raw = isinstance(device, _RawIOBase)

    cdef object settle(self):
        cdef bytes piece
        while self.available():         # more may come while the device writes, if it turns the loop
            piece = self.take(self.available())
            while piece:
                try:
                    n = self.device.write(piece)
                except Exception as error:
                    raise DeviceError(f"Error writing response to device: {error}") from error
                if n == len(piece) or (n is None and not self.is_raw):
                    break
                if not (self.is_raw and n and 0 < n < len(piece)):
                    raise DeviceError(f"Error writing response to device: it took {n} of {len(piece)} bytes")
                piece = piece[n:]       # a raw file may take a part at a time


def make_sink(device):
    """The Sink for a caller's destination: a real file goes by its descriptor, anything else by its write method.

    What a subclass of a file does in its write method must happen, so only the library's own classes go by descriptor.
    A device like Qt's is opened if it is closed. Raises DeviceError.
    """
    raw = device.raw if type(device) in (BufferedWriter, BufferedRandom) else device
    if type(raw) is FileIO and not device.closed and device.seekable():
        return FileSink(device)
    if hasattr(device, "isOpen"):
        from qhttp.devices import open_device
        try:
            open_device(device, "WriteOnly")
        except Exception as error:
            raise DeviceError(f"Error writing response to device: {error}") from error
    return ObjectSink(device)
