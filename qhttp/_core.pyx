"""Floor 1: the loop, its connections and its memory. What each field means stands in _core.pxd.

One turn releases the GIL once, for the whole of `qh_turn`; what happened comes back through the ring and is
delivered one event at a time, so that a slot may turn the loop again, close anything, or raise.
"""
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetObject, PyErr_WriteUnraisable
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_RawFree
from cpython.ref cimport Py_DECREF
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memchr, memcpy, strerror

from _collections import deque
from _heapq import heapify, heappop, heappush
from _thread import _local, get_native_id as native_thread
from _weakref import ref
from os import close as close_descriptor, register_at_fork

cdef extern from "Python.h":
    void PyObject_GC_UnTrack(object)

cdef enum:
    DISPATCH_TURNS = 16         # of one dispatch(), before a foreign loop gets its say again
    NS_PER_MS = 1000000
    LONGEST_WAIT_MS = 3600000
    EVENTS_OF_TASKS = 512       # are not left to the next turn: there is an end to the ring's room
    SKIPS_MAX = 64              # turns in a row for deferred work alone, before the kernel is asked again


cdef unsigned int n_forks = 0   # of the processes between the first one and this one
cdef object local = _local()    # .loop: the loop of the calling thread
cdef dict loops = {}            # id -> weak reference, of all loops of this process


def _after_fork_in_child():
    """Lets go of the parent's loops: their epoll sets and sockets are shared with it, and stay as they are."""
    global n_forks
    cdef Loop loop
    n_forks += 1
    for reference in list(loops.values()):
        loop = reference()
        if loop is not None:
            loop.abandon()
    loops.clear()


register_at_fork(after_in_child=_after_fork_in_child)


cdef object os_error(int number):
    return OSError(number, strerror(number).decode("utf-8", "replace"))


# ---------------------------------------------------------------------------------------------- limits
cdef class Limits:
    """Bounds on what a server may make the client hold (RFC 9112 leaves them to the client). All in bytes but n_fields.

    head_len: heads of one answer, interim ones included. line_len: one line of a head. n_fields: field lines.
    extension_len: chunk extensions of one body. trailer_len: its trailer section. chunk_len: one chunk, below 2**62.
    Raises ValueError for a bound that is not a positive number of its size.
    """

    def __init__(self, *, head_len=65536, line_len=32768, n_fields=256, extension_len=16384, trailer_len=16384,
                 chunk_len=2**62 - 1):
        given = {"head_len": head_len, "line_len": line_len, "n_fields": n_fields, "extension_len": extension_len,
                 "trailer_len": trailer_len}
        for name, value in given.items():
            if not isinstance(value, int) or not 0 < value < 2**31:
                raise ValueError(f"{name} must be an int from 1 to 2**31 - 1, not {value!r}")
        if not isinstance(chunk_len, int) or not 0 < chunk_len < 2**62:
            raise ValueError(f"chunk_len must be an int from 1 to 2**62 - 1, not {chunk_len!r}")
        self.head = qh_head_limits(head_cap=head_len, line_cap=line_len, n_fields_cap=n_fields)
        self.chunk = qh_chunk_limits(size_cap=chunk_len, extension_cap=extension_len, trailer_cap=trailer_len)

    def __repr__(self):
        return (f"Limits(head_len={self.head.head_cap}, line_len={self.head.line_cap}, n_fields={self.head.n_fields_cap}, "
                f"extension_len={self.chunk.extension_cap}, trailer_len={self.chunk.trailer_cap}, "
                f"chunk_len={self.chunk.size_cap})")

    def __reduce__(self):               # settings go to other processes
        return limits_of, (self.head.head_cap, self.head.line_cap, self.head.n_fields_cap, self.chunk.extension_cap,
                           self.chunk.trailer_cap, self.chunk.size_cap)


def limits_of(head_len, line_len, n_fields, extension_len, trailer_len, chunk_len):
    """The same Limits once more."""
    return Limits(head_len=head_len, line_len=line_len, n_fields=n_fields, extension_len=extension_len, trailer_len=trailer_len,
                  chunk_len=chunk_len)


# ---------------------------------------------------------------------------------------------- a queue
@cython.final
cdef class Fifo:
    def __cinit__(self):
        self.items = []

    cdef object compact(self):
        """Drops what was taken: at once where nothing is left, else when it is half of the list."""
        if self.start == len(self.items):
            self.items.clear()
            self.start = 0
        elif self.start * 2 >= len(self.items):
            try:
                del self.items[:self.start]
                self.start = 0
            except MemoryError:
                pass                    # later: whoever takes something is to get it


# ------------------------------------------------------------------------------------- base classes
cdef class Sink:
    """This one counts the bytes and drops them."""

    def __cinit__(self, *args):
        self.c.fd = -1

    cdef bint make_room(self, size_t n, uint64_t claim) except -1:
        return True

    cdef object settle(self):
        pass

    cdef object drop_last(self, size_t n):
        pass

    cdef object finish(self):
        pass


cdef class Endpoint:
    cdef object take(self, qh_event *event):
        pass


cdef class Task:
    cdef object run_deferred(self):
        pass

    cdef bint is_pending(self):
        return self.scheduled

    cdef bint is_blocked(self):
        return False


cdef class Callback(Task):
    """A Python callable that wants one later turn."""
    cdef object function

    def __init__(self, function):
        self.function = function

    cdef object run_deferred(self):
        self.function()


cdef class Timer:
    """A call to come. One made by `call_later` is work that `run()` waits for; the engine's own are not."""

    def __repr__(self):
        if self.callback is None:
            return "<qhttp timer: over>"
        return f"<qhttp timer: due in {max(0, <int64_t>(self.when_ns - qh_monotonic_ns())) / 1e9:.3f} s>"

    cpdef cancel(self):
        """Never calls back. A timer that has gone off already is left alone."""
        if self.callback is not None:
            self.callback = None
            if self.loop is not None:
                self.loop.forget_timer(self)


# ------------------------------------------------------------------------------------------ the loop
@cython.no_gc_clear
cdef class Loop:
    """The event loop of one thread: all its connections, timers and deferred work behind one pollable descriptor.

    In a plain script `run()` turns it. A foreign event loop watches `fileno()` for reading and calls `dispatch()`.
    Every method but `call_from_thread` raises RuntimeError in a thread other than the one it was made in, and in
    a forked child.
    """

    def __cinit__(self):
        if qh_loop_open(&self.c) < 0:
            raise os_error(errno)
        self.thread = PyThread_get_thread_ident()
        self.native_thread = native_thread()
        self.n_forks = n_forks
        self.timers = []
        self.kept = set()
        self.foreign = deque()
        self.orphans = []
        PyObject_GC_UnTrack(self.orphans)       # where the loop is garbage, the collector would empty it before they are closed
        loops[id(self)] = ref(self)

    def __dealloc__(self):
        try:
            self.bury_orphans()
        finally:
            while self.first_deferred is not None:
                self.take_deferred()    # one by one: they hold each other
            qh_loop_close(&self.c)
        if loops is not None:           # last: it may need memory
            loops.pop(<size_t><void *>self, None)

    def __repr__(self):
        n_timers = len([entry for entry in self.timers if (<Timer>(<tuple>entry)[2]).callback is not None])
        return f"<qhttp loop: {self.c.n_conns} connections, {n_timers} timers>"

    cdef int check(self) except -1:
        cdef unsigned long caller = PyThread_get_thread_ident()
        if self.n_forks != n_forks:
            raise RuntimeError("this qhttp loop belongs to the parent process: make new objects after a fork")
        if caller != self.thread:
            raise RuntimeError(f"this qhttp loop belongs to thread {self.thread}, the call comes from thread {caller}: "
                               "each thread has a loop of its own (qhttp.loop())")
        return 0

    def fileno(self):
        """The descriptor to watch for reading: int. It is readable whenever `dispatch()` has something to do."""
        self.check()
        return self.c.poller.fd

    def run(self, msecs=None):
        """Turns the loop until nothing is pending, or for at most `msecs` milliseconds. True: nothing is pending.

        Inside a slot, what waits for that slot to return does not count.

        Raises the first exception that came out of a slot or device since, once the bookkeeping is done; calling
        it again goes on where it stopped.
        """
        self.check()
        return self.run_while(None, msecs)

    def _run_until(self, is_told):
        """run() that ends after the turn in which `is_told()` has become true: then it returns False."""
        cdef int timeout = 0
        self.check()
        self.n_skipped = SKIPS_MAX      # who knows what has happened since the last call
        try:
            while not is_told():
                self.turn(timeout)
                if not self.is_pending():
                    return True
                timeout = LONGEST_WAIT_MS
            return False
        finally:
            self.show_work()

    def dispatch(self):
        """Does what is to do now and comes back at once: for a foreign loop that saw `fileno()` readable."""
        cdef int n = 0
        self.check()
        self.n_skipped = SKIPS_MAX      # who knows what has happened since the last call
        try:
            self.turn(0)
            while self.is_busy() and n < DISPATCH_TURNS:
                self.turn(0)
                n += 1
        finally:
            self.show_work()

    def call_soon(self, function):
        """Calls `function()` in the next turn."""
        self.check()
        self.schedule(Callback(function))

    def call_later(self, seconds, function):
        """Calls `function()` after so many seconds (float); returns a Timer, whose `cancel()` takes that back."""
        self.check()
        cdef Timer timer = self.call_at(self.now() + <uint64_t>(max(seconds, 0) * 1e9), function)
        self.kept.add(timer)
        return timer

    def call_from_thread(self, function):
        """Calls `function()` in this loop's next turn; may be called from any thread."""
        self.foreign.append(function)
        qh_poller_wake(&self.c.poller)

    cdef void adopt_orphan(self, qh_conn *conn, bytes out):
        """An idle connection whose last reference went in another thread: only ours may touch the poll set. `out` is what it
        may be sending just now."""
        if not OWNERS_ARE_WEAK:
            conn.owner = NULL
        self.orphans.append((<size_t>conn, out))
        qh_poller_wake(&self.c.poller)

    cdef object bury_orphans(self):
        cdef qh_conn *conn
        while self.orphans:
            number, _ = self.orphans.pop()
            conn = <qh_conn *><size_t>number
            qh_conn_close(&self.c, conn, False)
            if OWNERS_ARE_WEAK and conn.owner != NULL:
                Py_DECREF(<object>conn.owner)
            PyMem_RawFree(conn)

    cdef bint is_busy(self):
        return (self.n_deferred > 0 or bool(self.foreign) or self.c.ring_len > 0 or self.c.outbox.first != NULL
                or self.c.unfinished.first != NULL)

    cdef bint is_pending(self):
        """Whether there is work that turning could bring to an end; inside a slot its own request is none."""
        if self.n_deferred:
            return True
        for task in self.kept:
            if not (isinstance(task, Task) and (<Task>task).is_blocked()):
                return True
        return False

    cdef void schedule(self, Task task):
        if task.scheduled:
            return
        task.scheduled = True
        if self.last_deferred is None:
            self.first_deferred = task
        else:
            self.last_deferred.next_deferred = task
        self.last_deferred = task
        self.n_deferred += 1
        self.wake()

    cdef object forget(self, Task task):
        """Takes back schedule()."""
        cdef Task before = self.first_deferred
        if not task.scheduled:
            return
        if before is task:
            self.take_deferred()
            return
        while before.next_deferred is not task:
            before = before.next_deferred
        before.next_deferred, task.next_deferred = task.next_deferred, None
        if self.last_deferred is task:
            self.last_deferred = before
        self.n_deferred -= 1
        task.scheduled = False

    cdef Task take_deferred(self):
        cdef Task task = self.first_deferred
        self.first_deferred, task.next_deferred = task.next_deferred, None
        if self.first_deferred is None:
            self.last_deferred = None
        self.n_deferred -= 1
        task.scheduled = False
        return task

    cdef void wake(self):
        """A foreign loop sleeps on the descriptor: work that comes from outside a turn must make it readable."""
        if not self.turning:
            qh_poller_wake(&self.c.poller)

    cdef void show_work(self):
        """What is left when the outermost caller stops turning must show on the descriptor."""
        if not self.turning and self.is_busy():
            qh_poller_wake(&self.c.poller)

    cdef int keep(self, Task task) except -1:
        self.kept.add(task)
        return 0

    cdef void let_go(self, Task task):
        self.kept.discard(task)

    cdef void note_error(self, object error):
        if self.error is None:
            self.error = error
        else:
            PyErr_SetObject(type(error), error)
            PyErr_WriteUnraisable(self)

    cdef uint64_t now(self):
        return qh_monotonic_ns()

    cdef uint64_t moment(self):
        """The clock as the turn has read it; it is read again where a slot has run since."""
        if self.told_ns == self.c.now_ns:
            self.c.now_ns = qh_monotonic_ns()
        return self.c.now_ns

    # -- timers
    cdef Timer call_at(self, uint64_t when_ns, object callback):
        cdef Timer timer = Timer.__new__(Timer)
        timer.loop, timer.when_ns, timer.callback = self, when_ns, callback
        self.n_timers += 1
        heappush(self.timers, (when_ns, self.n_timers, timer))
        self.arm()
        return timer

    cdef object forget_timer(self, Timer timer):
        """A cancelled timer leaves the heap when it comes to the front, or when the heap is half of such."""
        timer.loop = None
        self.kept.discard(timer)
        self.n_cancelled += 1
        if self.n_cancelled > 64 and self.n_cancelled > len(self.timers) // 2:
            try:
                self.timers = [entry for entry in self.timers if (<Timer>(<tuple>entry)[2]).callback is not None]
                heapify(self.timers)
                self.n_cancelled = 0
            except MemoryError:
                pass                    # the next one tries again

    cdef object arm(self):
        """Sets the timer descriptor to the earliest timer that is still wanted."""
        cdef uint64_t when
        try:
            while self.timers and (<Timer>(<tuple>self.timers[0])[2]).callback is None:
                heappop(self.timers)
        except MemoryError:
            pass                        # a look too early does no harm
        when = (<Timer>(<tuple>self.timers[0])[2]).when_ns if self.timers else 0
        if when != self.armed_ns:
            self.armed_ns = when
            qh_poller_arm(&self.c.poller, when)

    cdef object run_timers(self):
        """Calls the timers that are due. The descriptor is set before each call: it may turn the loop."""
        cdef Timer timer
        cdef uint64_t now = self.now()
        self.armed_ns = 0               # it went off
        try:
            while self.timers:
                timer = (<tuple>self.timers[0])[2]
                if timer.when_ns > now:
                    break
                heappop(self.timers)
                callback, timer.loop = timer.callback, None
                self.kept.discard(timer)
                self.arm()
                if callback is not None:
                    timer.callback = None
                    self.call(callback)
        finally:                        # also where there was no memory to take one out
            self.arm()

    cdef object call(self, object function):
        try:
            function()
        except BaseException as error:
            self.note_error(error)

    # -- turning
    cdef bint run_while(self, Task task, object msecs) except -1:
        """Turns once, and then while `task` (None: anything) is pending; False when the time is up."""
        cdef uint64_t end = 0
        if msecs is not None:
            end = self.now() + <uint64_t>(max(msecs, 0) * NS_PER_MS)
        try:
            return self.turn_while(task, msecs, end)
        finally:
            self.show_work()

    cdef bint turn_while(self, Task task, object msecs, uint64_t end) except -1:
        cdef uint64_t now
        cdef int timeout = 0            # the first turn looks around, no more
        self.n_skipped = SKIPS_MAX      # who knows what has happened since the last call
        while True:
            self.turn(timeout)
            if not (task.is_pending() if task is not None else self.is_pending()):
                return True
            timeout = LONGEST_WAIT_MS
            if msecs is not None:
                now = self.now()
                if now >= end:
                    return False
                timeout = <int>min((end - now) // NS_PER_MS + 1, <uint64_t>LONGEST_WAIT_MS)

    cdef int turn(self, int timeout_ms) except -1:
        cdef int result, number
        cdef bint was_turning = self.turning
        self.turning = True
        try:
            self.check()                # a slot may have forked
            PyErr_CheckSignals()
            if self.orphans:
                self.bury_orphans()
            self.deliver_all()          # what an outer turn has not come to yet
            if self.n_deferred and self.n_skipped < SKIPS_MAX:
                self.n_skipped += 1     # "later" is a list, not a system call
                self.c.n_turns += 1
            else:
                self.n_skipped = 0
                if self.n_deferred or self.foreign or self.error is not None:
                    timeout_ms = 0
                with nogil:
                    result = qh_turn(&self.c, timeout_ms)
                    number = errno
                if result < 0 and number != EINTR:
                    raise os_error(number)
                self.deliver_all()
            self.run_deferred()
        finally:
            self.turning = was_turning
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return 0

    cdef object run_deferred(self):
        """Runs what was deferred before this moment: what it defers itself is for the turn after."""
        cdef Task task
        cdef Py_ssize_t n = self.n_deferred
        while n > 0 and self.n_deferred:        # a slot may turn the loop
            n -= 1
            task = self.take_deferred()
            try:
                task.run_deferred()
            except BaseException as error:
                self.note_error(error)
            if self.c.ring_len >= EVENTS_OF_TASKS:
                self.deliver_all()
        n = len(self.foreign)
        while n > 0 and self.foreign:
            n -= 1
            self.call(self.foreign.popleft())

    cdef object deliver_all(self):
        cdef qh_event event
        while qh_loop_next_event(&self.c, &event):
            if event.kind == QH_EVENT_TIMER:
                self.run_timers()
            else:
                self.deliver(&event)

    cdef object deliver(self, qh_event *event):
        cdef Endpoint endpoint
        cdef qh_conn *conn = qh_loop_conn(&self.c, event.slot, event.generation)
        if conn == NULL or conn.owner == NULL:
            return                      # closed since
        if OWNERS_ARE_WEAK:
            endpoint = (<object>conn.owner)()
            if endpoint is None:
                return                  # gone just now, in another thread
        else:
            endpoint = <Endpoint>conn.owner     # a reference: the event may be its end
        endpoint.take(event)

    def abandon(self):
        """In a forked child: closes our copies of the descriptors, and nothing else."""
        cdef uint32_t slot
        qh_loop_abandon(&self.c)
        for slot in range(self.c.n_slots):
            if self.c.conns[slot] != NULL and self.c.conns[slot].fd >= 0:
                close_descriptor(self.c.conns[slot].fd)
                self.c.conns[slot].fd = -1
        self.kept.clear()
        while self.first_deferred is not None:
            self.take_deferred()


cdef Loop current_loop():
    """The calling thread's loop; made when first asked for."""
    cdef Loop loop = getattr(local, "loop", None)
    if loop is None or loop.n_forks != n_forks:
        loop = loop_of_this_thread()
        if loop is None:
            loop = Loop()
        loop.is_threads = True
        local.loop = loop
    return loop


cdef Loop loop_of_this_thread():
    """One that somebody else has kept: in a thread that is not Python's own (a QThread, say) what is local to it is forgotten
    whenever Python code returns."""
    cdef Loop loop
    cdef unsigned long thread = PyThread_get_thread_ident(), native = native_thread()
    for reference in list(loops.values()):
        loop = reference()
        if (loop is not None and loop.is_threads and loop.thread == thread and loop.native_thread == native
                and loop.n_forks == n_forks):
            return loop
    return None


def loop():
    """The calling thread's Loop; made when first asked for."""
    return current_loop()


# --------------------------------------------------------------------------------------------- locks
def holding(lock, work):
    """`work()`, while the lock is held. In compiled code no signal's handler can come between taking it and the promise to let go
    of it, as in Python code; and to let go takes no memory, as the end of `with` does."""
    lock.acquire()
    try:
        return work()
    finally:
        lock.release()


# --------------------------------------------------------------------------------------------- bytes
cdef bytes joined(bytes a, bytes b, bytes c):
    """The three behind one another, at a third of what `+` takes."""
    cdef Py_ssize_t a_len = PyBytes_GET_SIZE(a), b_len = PyBytes_GET_SIZE(b), c_len = PyBytes_GET_SIZE(c)
    cdef bytes whole = PyBytes_FromStringAndSize(NULL, a_len + b_len + c_len)
    cdef char *at = PyBytes_AS_STRING(whole)
    memcpy(at, PyBytes_AS_STRING(a), a_len)
    memcpy(at + a_len, PyBytes_AS_STRING(b), b_len)
    memcpy(at + a_len + b_len, PyBytes_AS_STRING(c), c_len)
    return whole


# --------------------------------------------------------------------------------------------- heads
def describe_head(bytes block not None):
    """Takes a validated head apart: (major, minor, status, reason, [(name, value), ...]).

    Text is Latin-1, values are trimmed, a folded line is joined to the one before by one blank (RFC 9112
    section 5.2). Raises ValueError for a block that is no head.
    """
    cdef qh_head_facts facts
    cdef const char *head = PyBytes_AS_STRING(block)
    cdef size_t head_len = PyBytes_GET_SIZE(block)
    cdef qh_field *fields
    cdef uint32_t i
    cdef list pairs = []
    if qh_fields_index(head, head_len, NULL, 0, &facts) != QH_DONE or facts.status == 0:
        raise ValueError("block is not the head of an HTTP response")
    fields = <qh_field *>PyMem_Malloc((facts.n_fields + 1) * sizeof(qh_field))
    if fields == NULL:
        raise MemoryError
    try:
        qh_fields_index(head, head_len, fields, facts.n_fields, &facts)
        for i in range(facts.n_fields):
            value = PyUnicode_DecodeLatin1(head + fields[i].value_at, fields[i].value_len, NULL)
            if memchr(head + fields[i].value_at, 10, fields[i].value_len) != NULL:
                value = " ".join([part for line in value.split("\n") if (part := line.strip(" \t\r"))])
            pairs.append((PyUnicode_DecodeLatin1(head + fields[i].name_at, fields[i].name_len, NULL), value))
    finally:
        PyMem_Free(fields)
    return facts.major, facts.minor, facts.status, PyUnicode_DecodeLatin1(head + facts.reason_at, facts.reason_len, NULL), pairs
