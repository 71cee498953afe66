"""The file thread: files written, hashed, synced, renamed, and recorded, in batches, while the loop goes on receiving.

Jobs are done in the order in which they were given; what waits is taken at once. Where a session is kept, a batch of files is
written, recorded in one transaction, and renamed; then the loop is told of all of it by one wake-up. Nothing that goes wrong
here ends the thread: it becomes the error of the file.
"""
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EEXIST, EISDIR, EMFILE, ENFILE, ENOENT, ENOTDIR, EAGAIN, errno
from libc.stdint cimport uint64_t
from posix.unistd cimport close as c_close

from qhttp._core cimport Loop, Task

from _collections import deque
from _queue import Empty, SimpleQueue
from _thread import allocate_lock, start_new_thread
from os import fsdecode, makedirs, path as names, strerror

from qhttp.errors import FileError, QHttpError, lacking

cdef enum:
    BATCH_CAP = 256             # jobs taken at once
    OPEN_CAP = 64               # files that are recorded by one transaction
    TRIES_MOST = 30             # of one file for which there is no descriptor ...
    WAIT_NS = 10000000          # ... so long before the second one, then twice, ...

cdef object NO_MEMORY = FileError("no memory for what comes before a file has its name")      # made while there is some

cdef double FLUSH_AFTER_S = 1.0     # what the session holds back is written after so long without work


def file_error(path, int number):
    """The FileError for an errno at a path: what happened, and what can be done."""
    name = fsdecode(path)
    if number == EEXIST:
        return FileError(f"{name} exists already: choose to skip or to overwrite such files, or another name")
    if number == EISDIR:
        return FileError(f"{name} is a folder: a file cannot take its place")
    if number == ENOTDIR:
        return FileError(f"{name} cannot be made: something on its way is a file, not a folder")
    if number == EAGAIN:
        return FileError(f"{name} is being written by another run: wait for its end, or choose another name")
    return lacking(FileError(f"{name} cannot be written: {strerror(number)}"), number)


def open_locked(bytes part not None):
    """The descriptor of a part, made where it is missing; it is ours alone until it is closed. Raises OSError."""
    cdef int fd
    cdef const char *name = PyBytes_AS_STRING(part)
    with nogil:
        fd = qh_part_open(name)
    if fd < 0:
        raise OSError(errno, strerror(errno))
    try:
        return fd                       # as an object, for which there may be no memory
    except MemoryError:
        c_close(fd)
        raise


cdef class OpenPart:
    def __cinit__(self):
        self.fd = -1

    def __init__(self, int fd, uint64_t part_len, bytes end):
        self.fd, self.part_len, self.end = fd, part_len, end

    def __dealloc__(self):
        if self.fd >= 0:
            c_close(self.fd)

    cdef int take_descriptor(self):
        """It is the caller's from now on."""
        cdef int fd = self.fd
        self.fd = -1
        return fd


@cython.freelist(64)
cdef class Placing:
    def __cinit__(self, owner, bytes part not None, bytes path not None, bytes body, int fd, uint64_t size, bint sync,
                  bint replace, check, record):
        self.owner, self.part, self.path, self.body = owner, part, path, body
        self.check, self.record, self.is_part = check, record, fd >= 0
        self.c = qh_place(part=PyBytes_AS_STRING(part), path=PyBytes_AS_STRING(path), data=NULL, len=0, fd=fd, sync=sync,
                          replace=replace, is_named=False, wants_ino=record is not None, size=size, ino=0, error=0)
        if body is not None:
            self.c.data, self.c.len = PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body)

    def row(self):
        """What the session remembers of the file, once it is written."""
        url, etag = self.record
        sha256 = self.check.digests.get("sha256") if self.check is not None else None
        return fsdecode(self.path), url, self.c.size, self.c.ino, etag, sha256

    @property
    def fd(self):
        """Of the part, where the body is there; -1 otherwise."""
        return self.c.fd

    cdef object give_up(self):
        """There was no memory to go on with it."""
        if not self.is_placed and self.error is None:
            self.error = NO_MEMORY
            qh_place_abandon(&self.c)

    cdef int take_descriptor(self):
        """That of a part which did not get its name: it is the caller's now. -1: there is none."""
        cdef int fd = self.c.fd
        self.c.fd = -1
        return fd


cdef class Call:
    """Any other work for the thread: `function()`, then `callback(result, error)` in the loop."""
    cdef object function, callback, owner, result, error

    def __init__(self, function, callback, owner=None):
        self.function, self.callback, self.owner = function, callback, owner


cdef class FileThread(Task):
    """Starts with its first job; `close()` waits for the last one. `when_idle()` is called in the loop when all that was
    given is done. session: a Session, or None."""

    def __init__(self, Loop loop not None, when_idle, session=None):
        self.loop, self.when_idle, self.session = loop, when_idle, session
        self.jobs, self.untold, self.n_open_most = SimpleQueue(), deque(), OPEN_CAP
        self.batch = [None] * BATCH_CAP

    def __repr__(self):
        return f"<qhttp file thread: {self.n_waiting} jobs wait>"

    cdef object place(self, Placing placing):
        """Puts a file in its place; its owner hears `placed(placing)`."""
        self.put(placing)
        self.n_bytes_waiting += placing.c.len
        self.n_parts_waiting += placing.is_part

    def call(self, function, callback, owner=None):
        """Calls `function()` on the thread, and then `callback(result, error)` in the loop; `error` is an exception or None. What
        the callback raises its owner hears of: `broken(error)`."""
        self.put(Call(function, callback, owner))

    cdef object put(self, job):
        if self.thread_lock is None and not self.is_inline:
            self.start()
        self.hand_over(job)
        self.n_waiting += 1

    def hand_over(self, job):
        if self.is_inline:
            self.loop.call_soon(self.work_inline)
        self.jobs.put(job)

    cdef object start(self):
        lock = allocate_lock()
        lock.acquire()
        self.thread_lock = lock
        try:
            start_new_thread(self.work, ())
        except (RuntimeError, MemoryError):     # no more threads: slower, and as good. Without memory it may have begun all the same
            with cython.critical_section(self):     # one of the two does the work
                if not self.has_begun:
                    self.thread_lock, self.is_inline = None, True

    def work(self):
        """The thread's own function: takes what is there, does it, tells. Where there is no memory for that, it tries again: what was
        given is in `batch`, and somebody waits for it."""
        with cython.critical_section(self):
            self.has_begun = not self.is_inline
        if not self.has_begun:
            return
        try:
            while True:
                try:
                    if self.n_batch == 0:
                        self.take_batch()
                    self.do_batch()
                    self.tell_batch()
                except MemoryError:
                    pass
                if self.is_ending and self.n_batch == 0:
                    return
        finally:
            self.thread_lock.release()

    def work_inline(self):
        while self.n_batch or self.jobs.qsize():
            if self.n_batch == 0:
                self.take_batch()
            self.do_batch()
            self.tell_batch()
        self.flush()

    cdef object take_batch(self):
        """At least one job, as soon as there is one."""
        if self.session is not None:
            try:
                self.add_to_batch(self.jobs.get(timeout=FLUSH_AFTER_S))
            except Empty:
                self.flush()
        if self.n_batch == 0:
            self.add_to_batch(self.jobs.get())
        while self.n_batch < BATCH_CAP and self.jobs.qsize():
            self.add_to_batch(self.jobs.get())

    cdef object add_to_batch(self, job):
        self.batch[self.n_batch] = job
        self.n_batch += 1

    cdef object do_batch(self):
        """Does jobs in their order."""
        cdef Py_ssize_t i, end
        while self.n_done < self.n_batch:
            job = self.batch[self.n_done]
            end = self.n_done + 1
            if type(job) is Placing:
                while end < self.n_batch and type(self.batch[end]) is Placing:
                    end += 1
                try:
                    self.place_all(self.batch[self.n_done:end])
                except Exception:       # no memory; everything else has become the error of its file
                    for i in range(self.n_done, end):
                        (<Placing>self.batch[i]).give_up()
            elif job is None:
                self.flush()
                self.is_ending = True
            else:
                self.do_call(job)
            self.n_done = end

    def do_call(self, Call job not None):
        try:
            job.result = job.function()
        except Exception as error:
            job.error = error

    cdef object tell_batch(self):
        """Has the loop tell of what is done. Once it is on its way there, it is not ours any more."""
        while self.n_told < self.n_done:
            if self.batch[self.n_told] is not None:
                self.untold.append(self.batch[self.n_told])
                self.batch[self.n_told] = None
            self.n_told += 1
        if self.untold:                 # nobody turns the loop behind the end
            self.loop.call_from_thread(self.tell_rest)
        self.n_batch = self.n_done = self.n_told = 0

    def tell_rest(self):
        """In the loop: what has been done. What an exception (a Ctrl-C, say) keeps from being told is told in the next turn."""
        cdef Placing placing
        cdef Call call
        self.n_telling += 1
        try:
            while self.untold:
                job = self.untold.popleft()
                if type(job) is Placing and self.place_again(job):
                    continue
                self.n_waiting -= 1
                owner = None
                try:
                    if type(job) is Placing:
                        placing = job
                        owner = placing.owner
                        self.n_bytes_waiting -= placing.c.len
                        self.n_parts_waiting -= placing.is_part
                        owner.placed(placing)
                    else:
                        call = job
                        owner = call.owner
                        call.callback(call.result, call.error)
                except Exception as error:
                    if owner is None:
                        raise
                    owner.broken(error)
        finally:
            self.n_telling -= 1
            if self.untold:
                self.loop.schedule(self)
            elif self.n_waiting == 0:
                self.when_idle()

    cdef object run_deferred(self):
        self.tell_rest()

    cdef bint place_again(self, Placing placing):
        """What is in memory can wait until there is a descriptor for it. False: it is done, for good or bad."""
        if (placing.error is None or placing.error.lacks != "descriptors" or placing.body is None
                or placing.n_tries == TRIES_MOST or self.when_scarce is None):
            return False
        placing.n_tries += 1
        try:
            self.when_scarce()
            self.loop.call_at(self.loop.now() + <uint64_t>WAIT_NS * placing.n_tries, lambda: self.hand_over(placing))
        except MemoryError:
            return False
        placing.error, placing.c.error = None, 0
        return True

    def flush(self):
        if self.session is not None:
            try:
                self.session.flush()
            except Exception:
                pass                    # the next batch will say so

    # -- files
    cdef object place_all(self, list placings):
        """Puts files in their places."""
        cdef Placing placing
        cdef Py_ssize_t n, start = 0
        cdef list written
        for placing in placings:
            self.run_check(placing)
        placings = [placing for placing in placings if placing.error is None]
        while start < len(placings):
            n = self.write_some(placings, start)
            written = []
            for placing in placings[start:start + n]:
                if placing.c.error:
                    self.mend_write(placing)
                if placing.error is None:
                    written.append(placing)
            self.rename_all(written)
            start += n

    cdef Py_ssize_t write_some(self, list placings, Py_ssize_t start) except -1:
        """Writes some, in one release of the GIL; returns how many. Without a session they are renamed as well. With one they
        stay open until they are recorded: so there are not more than OPEN_CAP, or than descriptors can be had."""
        cdef Placing placing
        cdef bint renames = self.session is None
        cdef Py_ssize_t i = 0, n = min(<Py_ssize_t>OPEN_CAP, self.n_open_most, len(placings) - start)
        cdef qh_place *wanted[OPEN_CAP]
        for i in range(n):
            placing = placings[start + i]
            placing.c.is_named = self.names_parts
            wanted[i] = &placing.c
        with nogil:
            for i in range(n):
                if qh_place_write(wanted[i]) == 0:
                    if renames:
                        qh_place_rename(wanted[i])
                elif i > 0 and (wanted[i].error == EMFILE or wanted[i].error == ENFILE):
                    wanted[i].error = 0         # once more, when those before are closed
                    n = i
                    break
        for i in range(n):
            (<Placing>placings[start + i]).is_placed = renames and wanted[i].error == 0
            self.names_parts = self.names_parts or (wanted[i].data != NULL and wanted[i].is_named and not wanted[i].replace)
        return n

    cdef object run_check(self, Placing placing):
        """What has to hold before the file may have its name."""
        if placing.check is None:
            return
        try:
            placing.check(placing)
        except OSError as error:
            placing.error = file_error(placing.part, error.errno or 0)
        except Exception as error:
            placing.error = error if isinstance(error, QHttpError) else FileError(f"{fsdecode(placing.path)}: {error}")
        if placing.error is not None:
            qh_place_abandon(&placing.c)

    cdef object mend_write(self, Placing placing):
        """One could not be written: a folder that is missing is made, everything else is told."""
        if placing.c.error == ENOENT and placing.body is not None:
            try:
                makedirs(names.dirname(placing.part), exist_ok=True)
                placing.c.error = 0
            except OSError as error:
                placing.error = file_error(placing.path, error.errno or 0)
            if placing.c.error == 0 and qh_place_write(&placing.c) == 0 and self.session is None:
                placing.is_placed = qh_place_rename(&placing.c) == 0
        if placing.c.error and placing.error is None:
            placing.error = file_error(placing.path, placing.c.error)
            placing.is_spoilt = placing.body is None

    cdef object rename_all(self, list written):
        """Says in the session what the renames will do, and does them."""
        cdef Placing placing
        if self.session is None:
            self.end_all(written)
            return
        try:
            self.session.begin_batch([placing.row() for placing in written if placing.record is not None])
        except Exception as error:
            for placing in written:
                placing.error = error if isinstance(error, QHttpError) else FileError(f"the session: {error}")
                qh_place_abandon(&placing.c)
        for placing in written:
            if placing.error is None:
                with nogil:
                    placing.is_placed = qh_place_rename(&placing.c) == 0
        self.end_all(written)
        try:
            self.session.end_batch([fsdecode(placing.path) for placing in written
                                    if placing.error is not None and placing.record is not None])
        except Exception:
            pass                        # looked up on the disk next time

    cdef object end_all(self, list written):
        cdef Placing placing
        cdef set folders = set()
        for placing in written:
            if placing.error is not None:
                continue                # it has not come so far
            if placing.c.error:
                placing.error = file_error(placing.path, placing.c.error)
            elif placing.c.sync:
                folders.add(names.dirname(placing.path))
        for folder in folders:
            qh_place_sync_folder(folder)

    def close(self):
        """Does what is left, and ends the thread. Nobody is told any more unless the loop turns again."""
        if self.is_closed:
            return
        if self.is_inline:
            self.work_inline()
        elif self.thread_lock is not None:
            self.jobs.put(None)
        self.is_closed = True
        if self.thread_lock is not None:
            self.thread_lock.acquire()
            self.thread_lock.release()
