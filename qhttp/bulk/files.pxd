"""The file thread: what blocks, away from the loop."""
cimport cython
from libc.stdint cimport uint64_t

from qhttp._core cimport Loop, Task


cdef extern from "place.h" nogil:
    ctypedef struct qh_place:
        const char *part
        const char *path
        const char *data
        size_t len
        int fd
        bint sync, replace, is_named, wants_ino
        uint64_t ino, size
        int error
    int qh_part_open(const char *part)
    int qh_place_write(qh_place *place)
    int qh_place_rename(qh_place *place)
    void qh_place_abandon(qh_place *place)
    int qh_place_sync_folder(const char *folder)


cdef class OpenPart:
    """A part that was opened for a transfer; it is closed with this object, if nobody has taken it by then."""
    cdef int fd
    cdef uint64_t part_len              # bytes in it that are good
    cdef bytes end                      # the last of them
    cdef int take_descriptor(self)


cdef class Placing:
    """One file to put in its place: its bytes, or the descriptor of its part; then its names."""
    cdef qh_place c
    cdef readonly bytes part, path      # names as the system has them
    cdef readonly bytes body            # the whole of a small file; None: it is in the part
    cdef int n_tries                    # that failed for want of a descriptor
    cdef bint is_spoilt                 # nobody knows what is in the part: the system did not keep what it had taken
    cdef bint is_part                   # it came with a descriptor
    cdef readonly object owner          # its placed(placing) is called in the loop, in the end
    cdef object check                   # called with the placing, on the file thread, before it gets its name; may raise
    cdef object record                  # (url, etag) for the session; None: nothing is recorded
    cdef readonly object error          # the QHttpError why it is not in its place; None: it is
    cdef bint is_placed                 # it has its name
    cdef object give_up(self)
    cdef int take_descriptor(self)


cdef class FileThread(Task):
    cdef Loop loop
    cdef object when_idle
    cdef object when_scarce             # called in the loop: there is no descriptor for a file; None
    cdef object jobs                    # SimpleQueue of Placing, Call, or None: the end
    cdef list batch                     # what the thread has taken of them: a place for each, so that nothing is lost without memory
    cdef Py_ssize_t n_batch, n_done, n_told     # of it: taken, done, on the way to the loop
    cdef bint is_ending                 # the last job has been done
    cdef object untold                  # deque of those that are done, and whose owners have not heard of it
    cdef object thread_lock             # held while the thread runs
    cdef readonly object session        # a Session, used on the thread only; None
    cdef bint has_begun                 # the thread runs
    cdef bint is_inline                 # no thread could be started: the loop's own does it
    cdef readonly bint is_closed
    cdef bint names_parts               # files without a name were not to be had
    cdef int n_telling                  # calls into the loop's side under way: slots may turn the loop
    cdef readonly Py_ssize_t n_waiting  # jobs given and not told of
    cdef readonly uint64_t n_bytes_waiting      # of bodies among them
    cdef readonly Py_ssize_t n_parts_waiting    # parts among them, which are open
    cdef Py_ssize_t n_open_most         # files that may be open at a time, at most OPEN_CAP
    cdef object place(self, Placing placing)
    cdef object put(self, job)
    cdef object start(self)
    cdef object take_batch(self)
    cdef object add_to_batch(self, job)
    cdef object do_batch(self)
    cdef object tell_batch(self)
    cdef object place_all(self, list placings)
    cdef object run_check(self, Placing placing)
    cdef Py_ssize_t write_some(self, list placings, Py_ssize_t start) except -1
    cdef bint place_again(self, Placing placing)
    cdef object mend_write(self, Placing placing)
    cdef object rename_all(self, list written)
    cdef object end_all(self, list written)
