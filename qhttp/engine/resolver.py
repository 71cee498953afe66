"""Names to addresses: getaddrinfo in a few threads of its own, with a cache, and one look-up for all who ask at once.

getaddrinfo blocks and cannot be called off; so whoever asks may stop listening, and the threads are bounded.
"""
from _queue import Empty, SimpleQueue
from _thread import allocate_lock, start_new_thread
from os import register_at_fork
from time import monotonic


class Resolver:
    """Looks names up for any number of loops. All sizes are settings: attributes that may be changed at any time.

    max_threads: look-ups at the same time. ttl_s: how long an answer is used again (seconds; 0: never). max_cached:
    names remembered. idle_s: how long a thread waits for more before it ends.
    """

    def __init__(self, max_threads=8, ttl_s=30.0, max_cached=1024, idle_s=10.0):
        self.max_threads, self.ttl_s, self.max_cached, self.idle_s = max_threads, ttl_s, max_cached, idle_s
        self._reset()

    def _reset(self):
        self._lock = allocate_lock()
        self._jobs = SimpleQueue()
        self._n_threads = self._n_waiting = 0
        self._asking = {}       # (host, port) -> [(loop, callback)]
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
            if len(waiting) > 1:
                return
            self._jobs.put(key)
            start = self._jobs.qsize() > self._n_waiting and self._n_threads < self.max_threads
            self._n_threads += start
        if start:
            try:
                start_new_thread(self._work, ())
            except RuntimeError as error:
                with self._lock:
                    self._n_threads -= 1
                    alone = self._n_threads == 0
                if alone:       # nobody else will do it
                    self._tell(key, None, OSError(f"no thread for the look-up could be started: {error}"))

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
                try:
                    self._tell(key, look_up(*key), None)
                except Exception as error:      # whoever waits must hear of it, whatever it is
                    self._tell(key, None, error)

    def _tell(self, key, addresses, error):
        with self._lock:
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
    found = _socket.getaddrinfo(name, port, 0, _socket.SOCK_STREAM)
    return in_turns([(family, address) for family, _, _, _, address in found])


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
