"""Names to addresses: getaddrinfo in a few threads of its own, with a cache, and one look-up for all who ask at once.

getaddrinfo blocks and cannot be called off; so whoever asks may stop listening, and the threads are bounded. A look-up that
takes long, since a name server is silent, does not count among those at the same time: the names of others go on.
"""
from __future__ import annotations

from _functools import partial  # type: ignore[import-not-found]  # functools itself takes half a millisecond
from _queue import Empty, SimpleQueue
from _thread import RLock, allocate_lock, start_new_thread
from _weakref import ref
from errno import EINTR, EMFILE, ENFILE, ENOMEM
from os import register_at_fork, strerror
from time import monotonic, sleep

from qhttp._core import holding

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from _thread import LockType
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from qhttp._core import Loop

    _Key: TypeAlias = tuple[str, int]           # (host, port)
    _Address: TypeAlias = tuple[int, Any]       # (family, sockaddr)
    _Outcome: TypeAlias = tuple[list[_Address] | None, Exception | None]
    _Callback: TypeAlias = Callable[[list[_Address] | None, Exception | None], object]


class Resolver:
    """Looks names up for any number of loops. All sizes are settings: attributes that may be changed at any time.

    max_threads: look-ups at the same time. ttl_s: how long an answer is used again (seconds; 0: never). max_cached:
    names remembered. idle_s: how long a thread waits for more before it ends. slow_s: a look-up that takes longer is a slow
    one. max_slow: slow look-ups beside max_threads others.
    """

    max_threads: int
    ttl_s: float
    max_cached: int
    idle_s: float
    slow_s: float
    max_slow: int

    def __init__(self, max_threads: int = 8, ttl_s: float = 30.0, max_cached: int = 1024, idle_s: float = 10.0,
                 slow_s: float = 0.5, max_slow: int = 56) -> None:
        self.max_threads, self.ttl_s, self.max_cached, self.idle_s = max_threads, ttl_s, max_cached, idle_s
        self.slow_s, self.max_slow = slow_s, max_slow
        self._reset()

    def _reset(self) -> None:
        self._lock = RLock()        # a signal's handler may ask for a name while this thread has it
        self._jobs: SimpleQueue[_Key] = SimpleQueue()
        self._n_waiting = 0
        # weak references to what each thread is given: one may have died before it came to our code
        self._threads: list[ref[LockType]] = []
        self._is_watched = False    # a thread looks now and then whether look-ups have become slow
        self._asking: dict[_Key, list[tuple[Loop, _Callback] | None]] = {}      # None in the place of who was told, or has gone
        self._since: dict[_Key, float] = {}                     # look-ups under way -> when they began
        self._cache: dict[_Key, tuple[float, list[_Address]]] = {}      # until when, oldest first

    @property
    def _n_threads(self) -> int:
        self._threads = [thread for thread in self._threads if thread() is not None]
        return len(self._threads)

    def lookup(self, loop: Loop, host: str, port: int, callback: _Callback) -> None:
        """Calls `callback(addresses, error)` in a later turn of `loop`: a list of (family, sockaddr) in the order to try, or
        None and the OSError. Addresses are those of stream sockets, families taking turns (RFC 8305 section 4).

        Raises MemoryError; the callback is not called then."""
        key = host, port
        tokens, watch = holding(self._lock, lambda: self._ask(loop, key, callback))
        for token in tokens:
            self._start(token, loop, key)
        if watch:
            try:
                start_new_thread(self._watch, ())
            except (RuntimeError, MemoryError):
                self._is_watched = False

    def _ask(self, loop: Loop, key: _Key, callback: _Callback) -> tuple[list[LockType], bool]:
        """Looks into the cache, or puts the name among those to be looked up. Returns the tokens of threads to be started, and
        whether one that watches is to be. Under the lock."""
        until, addresses = self._cache.get(key, (0, None))
        if until > monotonic():
            loop.call_soon(partial(callback, addresses, None))
            return [], False
        waiting, entry = self._asking.setdefault(key, []), (loop, callback)
        is_asked = any(waiting)
        waiting.append(entry)
        try:
            if not is_asked and key not in self._since:
                self._jobs.put(key)
            tokens = self._tokens(min(self._n_wanted(), 1))
            watch = not tokens and not self._is_watched and self._jobs.qsize() > self._n_waiting
        except BaseException:
            waiting[waiting.index(entry)] = None        # or all who ask later would wait for ever
            raise
        self._is_watched = self._is_watched or watch
        return tokens, watch

    def forget(self, host: str, port: int, callback: _Callback) -> None:
        """Whoever asked is not interested any more; a name for which that goes for all is not looked up.

        Without the lock: a signal's handler may abort a request while this thread has it. An entry is set to None by one step,
        and none is moved."""
        waiting = self._asking.get((host, port), ())
        for i, entry in enumerate(waiting):
            if entry is not None and entry[1] == callback:
                waiting[i] = None       # type: ignore[index]  # () is empty

    def _n_wanted(self) -> int:
        """How many more threads are needed, and allowed. Under the lock."""
        n = self._jobs.qsize() - self._n_waiting
        if n <= 0:
            return 0
        n_threads, n_allowed = self._n_threads, self.max_threads
        if n_threads >= n_allowed:
            limit = monotonic() - self.slow_s
            n_allowed += min(self.max_slow, sum(since < limit for since in self._since.values()))
        return max(0, min(n, n_allowed - n_threads))

    def _tokens(self, n: int) -> list[LockType]:
        """What so many new threads are known by. Under the lock."""
        tokens = [allocate_lock() for _ in range(n)]        # anything that can be referred to weakly
        self._threads += [ref(token) for token in tokens]
        return tokens

    def _start(self, token: LockType, loop: Loop | None, key: _Key | None) -> None:
        """Starts a thread that is counted already; where there is none to be had and no other, the loop's own does the work."""
        try:
            start_new_thread(self._work, (token,))
        except (RuntimeError, MemoryError):
            holding(self._lock, lambda: self._forget_thread(token))
            if not self._threads and loop is not None and key is not None:
                try:
                    loop.call_soon(self._work_here)
                except MemoryError:
                    self._asking.pop(key, None)
                    raise

    def _forget_thread(self, token: LockType) -> None:
        for i, thread in enumerate(self._threads):
            if thread() is token:
                del self._threads[i]
                return

    def _work(self, token: LockType) -> None:
        """A thread, which has the token for as long as it lives: looks names up until none has come for a while. Without memory
        it tries again: somebody waits."""
        key = outcome = None
        while True:
            try:
                if key is None:
                    key = self._next_job(token)
                    if key is None:
                        return
                    if not self._begin(key):
                        key = None
                        continue
                if outcome is None:
                    outcome = outcome_of(key)
                self._tell(key, *outcome)
                key = outcome = None
            except MemoryError:
                continue

    def _next_job(self, token: LockType) -> _Key | None:
        """The next name; None: this thread is not needed any more."""
        while True:                     # no signal's handler comes between, in a thread of our own
            self._lock.acquire()
            self._n_waiting += 1
            self._lock.release()
            try:
                return self._jobs.get(timeout=self.idle_s)
            except Empty:
                pass
            finally:
                self._lock.acquire()
                self._n_waiting -= 1
                self._lock.release()
            self._lock.acquire()
            try:
                if self._jobs.empty():
                    self._forget_thread(token)
                    return None
            finally:
                self._lock.release()

    def _work_here(self) -> None:
        """Everybody waits for it; but there is an answer."""
        while True:
            try:
                key = self._jobs.get_nowait()
            except Empty:
                return
            if self._begin(key):
                outcome: _Outcome = None, OSError(EINTR, strerror(EINTR))
                try:
                    outcome = outcome_of(key)
                finally:                # an interruption, say: nobody else would tell
                    self._tell(key, *outcome)

    def _watch(self) -> None:
        """On a thread that ends when nothing waits any more: takes more threads as look-ups become slow."""
        while True:
            try:
                sleep(self.slow_s)
                self._lock.acquire()
                try:
                    if self._jobs.qsize() <= self._n_waiting:
                        self._is_watched = False
                        return
                    tokens = self._tokens(self._n_wanted())
                finally:
                    self._lock.release()
                while tokens:
                    self._start(tokens.pop(), None, None)
            except MemoryError:
                continue

    def _begin(self, key: _Key) -> bool:
        """Whether anybody still wants to know. This thread is taken now: another may be needed for what came meanwhile."""
        is_wanted, tokens = holding(self._lock, lambda: self._take_up(key))
        while tokens:
            self._start(tokens.pop(), None, None)
        return is_wanted

    def _take_up(self, key: _Key) -> tuple[bool, list[LockType]]:
        """Whether anybody still wants to know, and the tokens of threads to be started. Under the lock."""
        is_wanted = any(self._asking.get(key, ()))
        if is_wanted:
            self._since[key] = monotonic()
        else:
            self._asking.pop(key, None)
        return is_wanted, self._tokens(self._n_wanted())

    def _tell(self, key: _Key, addresses: list[_Address] | None, error: Exception | None) -> None:
        """Tells all who have asked. What fails for want of memory can be called again."""
        holding(self._lock, lambda: self._answer(key, addresses, error))

    def _answer(self, key: _Key, addresses: list[_Address] | None, error: Exception | None) -> None:
        """The same, under the lock."""
        waiting = self._asking.get(key, ())
        for i, entry in enumerate(waiting):
            if entry is not None:
                loop, callback = entry
                loop.call_from_thread(partial(callback, addresses, error))
                waiting[i] = None       # type: ignore[index]  # told; () is empty
        self._asking.pop(key, None)
        self._since.pop(key, None)
        if addresses and self.ttl_s > 0:
            self._cache.pop(key, None)
            self._cache[key] = monotonic() + self.ttl_s, addresses
            while len(self._cache) > self.max_cached:
                del self._cache[next(iter(self._cache))]


def outcome_of(key: _Key) -> _Outcome:
    """(addresses, None), or (None, why there are none): whoever waits must hear of it, whatever it is."""
    try:
        return look_up(*key), None
    except Exception as error:
        return None, error


def look_up(host: str, port: int) -> list[_Address]:
    """The addresses of a name, as Resolver.lookup gives them; blocks. Raises OSError; UnicodeError for an impossible name."""
    import _socket
    name = host.encode("ascii") if host.isascii() else host.encode("idna")
    try:
        found = _socket.getaddrinfo(name, port, 0, _socket.SOCK_STREAM)
    except _socket.gaierror as error:
        raise cause_of(error) from None
    return in_turns([(family, address) for family, _, _, _, address in found])


def cause_of(error: OSError) -> OSError:
    """The C library calls a name unknown also where it could not even open a file or a socket to ask for it."""
    import _socket
    if error.errno == _socket.EAI_MEMORY:
        return OSError(ENOMEM, strerror(ENOMEM))
    try:
        _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM).close()
    except OSError as problem:
        if problem.errno in (EMFILE, ENFILE):
            return problem
    return error


def in_turns(addresses: list[_Address]) -> list[_Address]:
    """The same addresses with their families taking turns, the first one first (RFC 8305 section 4)."""
    rows: dict[int, list[_Address]] = {}
    for address in addresses:
        rows.setdefault(address[0], []).append(address)
    n_longest = max(map(len, rows.values()), default=0)
    return [row[n] for n in range(n_longest) for row in rows.values() if n < len(row)]


def literal_address(host: str, port: int) -> list[_Address] | None:
    """[(family, sockaddr)] where `host` is an IP address (IPv6 also with a scope), else None."""
    import _socket
    if host[:1].isdigit() and ":" not in host:
        try:
            _socket.inet_pton(_socket.AF_INET, host)
            return [(_socket.AF_INET, (host, port))]
        except OSError:
            return None
    if ":" in host:
        try:
            return [(_socket.AF_INET6, _socket.getaddrinfo(host, port, _socket.AF_INET6, _socket.SOCK_STREAM, 0,
                                                           _socket.AI_NUMERICHOST)[0][4])]
        except OSError:
            return None
    return None


resolver: Resolver = Resolver()
register_at_fork(after_in_child=resolver._reset)      # its threads stayed in the parent
