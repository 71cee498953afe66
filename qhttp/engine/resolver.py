"""Names to addresses: getaddrinfo in a few threads of its own, with a cache, and one look-up for all who ask at once.

getaddrinfo blocks and cannot be called off; so whoever asks may stop listening, and the threads are bounded. A look-up that
takes long, since a name server is silent, does not count among those at the same time: the names of others go on.
"""
from _queue import Empty, SimpleQueue
from _thread import allocate_lock, start_new_thread
from errno import EMFILE, ENFILE, ENOMEM
from os import register_at_fork, strerror
from time import monotonic, sleep


class Resolver:
    """Looks names up for any number of loops. All sizes are settings: attributes that may be changed at any time.

    max_threads: look-ups at the same time. ttl_s: how long an answer is used again (seconds; 0: never). max_cached:
    names remembered. idle_s: how long a thread waits for more before it ends. slow_s: a look-up that takes longer is a slow
    one. max_slow: slow look-ups beside max_threads others.
    """

    def __init__(self, max_threads=8, ttl_s=30.0, max_cached=1024, idle_s=10.0, slow_s=0.5, max_slow=56):
        self.max_threads, self.ttl_s, self.max_cached, self.idle_s = max_threads, ttl_s, max_cached, idle_s
        self.slow_s, self.max_slow = slow_s, max_slow
        self._reset()

    def _reset(self):
        self._lock = allocate_lock()
        self._jobs = SimpleQueue()
        self._n_threads = self._n_waiting = 0
        self._is_watched = False    # a thread looks now and then whether look-ups have become slow
        self._asking = {}       # (host, port) -> [(loop, callback)]
        self._since = {}        # (host, port) of look-ups under way -> when they began
        self._cache = {}        # (host, port) -> (until, addresses), oldest first

    def lookup(self, loop, host, port, callback):
        """Calls `callback(addresses, error)` in a later turn of `loop`: a list of (family, sockaddr) in the order to try, or
        None and the OSError. Addresses are those of stream sockets, families taking turns (RFC 8305 section 4)."""
        key = host, port
        with self._lock:
            until, addresses = self._cache.get(key, (0, None))
            if until > monotonic():
                loop.call_soon(lambda: callback(addresses, None))
                return
            waiting = self._asking.setdefault(key, [])
            waiting.append((loop, callback))
            if len(waiting) > 1 or key in self._since:
                return
            self._jobs.put(key)
            start = self._n_wanted() > 0
            self._n_threads += start
            watch = not start and not self._is_watched and self._jobs.qsize() > self._n_waiting
            self._is_watched = self._is_watched or watch
        if start:
            self._start(loop)
        elif watch:
            try:
                start_new_thread(self._watch, ())
            except RuntimeError:
                self._is_watched = False

    def forget(self, host, port, callback):
        """Whoever asked is not interested any more; a name for which that goes for all is not looked up."""
        with self._lock:
            waiting = self._asking.get((host, port), [])
            waiting[:] = [each for each in waiting if each[1] != callback]

    def _n_wanted(self):
        """How many more threads are needed, and allowed. Under the lock."""
        n = self._jobs.qsize() - self._n_waiting
        if n <= 0:
            return 0
        n_allowed = self.max_threads
        if self._n_threads >= n_allowed:
            limit = monotonic() - self.slow_s
            n_allowed += min(self.max_slow, sum(since < limit for since in self._since.values()))
        return min(n, n_allowed - self._n_threads)

    def _start(self, loop):
        """Starts a thread that is counted already; where there is none to be had and no other, the loop's own does the work."""
        try:
            start_new_thread(self._work, ())
        except RuntimeError:
            with self._lock:
                self._n_threads -= 1
                alone = self._n_threads == 0
            if alone and loop is not None:
                loop.call_soon(self._work_here)

    def _work(self):
        while True:
            with self._lock:
                self._n_waiting += 1
            try:
                key = self._jobs.get(timeout=self.idle_s)
            except Empty:
                key = None
            with self._lock:
                self._n_waiting -= 1
                if key is None and self._jobs.empty():
                    self._n_threads -= 1
                    return
            if key is not None:
                self._do(key)

    def _work_here(self):
        """Everybody waits for it; but there is an answer."""
        while True:
            try:
                key = self._jobs.get_nowait()
            except Empty:
                return
            self._do(key)

    def _watch(self):
        """On a thread that ends when nothing waits any more: takes more threads as look-ups become slow."""
        while True:
            sleep(self.slow_s)
            with self._lock:
                if self._jobs.qsize() <= self._n_waiting:
                    self._is_watched = False
                    return
                n = max(0, self._n_wanted())
                self._n_threads += n
            for _ in range(n):
                self._start(None)

    def _do(self, key):
        with self._lock:
            if not self._asking.get(key):
                self._asking.pop(key, None)
                return
            self._since[key] = monotonic()
        try:
            self._tell(key, look_up(*key), None)
        except Exception as error:      # whoever waits must hear of it, whatever it is
            self._tell(key, None, error)

    def _tell(self, key, addresses, error):
        with self._lock:
            self._since.pop(key, None)
            waiting = self._asking.pop(key, [])
            if addresses and self.ttl_s > 0:
                self._cache.pop(key, None)
                self._cache[key] = monotonic() + self.ttl_s, addresses
                while len(self._cache) > self.max_cached:
                    del self._cache[next(iter(self._cache))]
        for loop, callback in waiting:
            loop.call_from_thread(lambda callback=callback: callback(addresses, error))


def look_up(host, port):
    """The addresses of a name, as Resolver.lookup gives them; blocks. Raises OSError; UnicodeError for an impossible name."""
    import _socket
    name = host.encode("ascii") if host.isascii() else host.encode("idna")
    try:
        found = _socket.getaddrinfo(name, port, 0, _socket.SOCK_STREAM)
    except _socket.gaierror as error:
        raise cause_of(error) from None
    return in_turns([(family, address) for family, _, _, _, address in found])


def cause_of(error):
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


def in_turns(addresses):
    """The same addresses with their families taking turns, the first one first (RFC 8305 section 4)."""
    rows = {}
    for address in addresses:
        rows.setdefault(address[0], []).append(address)
    n_longest = max(map(len, rows.values()), default=0)
    return [row[n] for n in range(n_longest) for row in rows.values() if n < len(row)]


def literal_address(host, port):
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


resolver = Resolver()
register_at_fork(after_in_child=resolver._reset)      # its threads stayed in the parent
