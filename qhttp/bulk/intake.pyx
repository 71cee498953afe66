# cython: nonecheck=True
# (what is public may be called at any time, also before there is a host)
"""Rows in: from the sources to transfers that wait at their hosts. Sources are read as lanes become free, at most `window` ahead."""
from libc.stdint cimport uint64_t

from qhttp._core cimport Fifo, current_loop
from qhttp.bulk.outcome cimport ENDED, Host, Runner
from qhttp.bulk.transfer cimport Transfer
from qhttp.protocol.request cimport check_target

from _collections import deque

from qhttp.bulk.retry import RetryBudget
from qhttp.errors import QHttpError, RequestError

cdef enum:
    BUDGET_RESERVE = 64         # retries of a host before anything has succeeded there ...
    BUDGET_PER_LANE = 4         # ... and so many more for each of its lanes
    N_HOSTS_MAX = 4096          # remembered; beyond that those are forgotten that have nothing to do


cdef class Intake(Runner):
    def __init__(self, settings):
        self.settings, self.loop, self.method = settings, current_loop(), settings.method.encode("ascii")
        self.hosts, self.hosts_by_text, self.in_flight, self.named, self.wholes = {}, {}, {}, {}, set()
        self.sources, self.delayed = deque(), {}

    def check_open(self):
        """Raises RuntimeError in another thread or process, or after the end."""
        self.loop.check()
        if self.files.is_closed:
            raise RuntimeError("this is closed already: make another one")

    def add_source(self, iterator):
        """Rows to come. A source that gives None has nothing now: `more()` tells when to ask it again."""
        self.check_open()
        self.sources.append(iterator)
        if self.has_begun:
            if self.is_over:
                self.is_over = False
                self.loop.keep(self)
            self.loop.schedule(self)

    def more(self):
        """A source that had nothing has something, or has ended."""
        self.loop.check()               # the pump would not wake for another thread
        self.is_dry = False
        self.loop.schedule(self)

    def leave_source(self, source):
        """It has ended."""
        if self.sources and self.sources[0] is source:
            self.sources.popleft()

    def ask(self, method, url, headers, body, ranges):
        """Queues one request of any kind, and returns its Transfer."""
        cdef Transfer transfer
        self.check_open()
        transfer = self.make_transfer({"url": url, "headers": headers})
        if transfer.state != ENDED:
            transfer.method, transfer.body, transfer.ranges = method.encode("ascii"), body, ranges
            transfer.host.waiting.append(transfer)
            self.n_waiting += 1
            self.list_host(transfer.host)
            self.is_over = False
            self.loop.keep(self)
            self.loop.schedule(self)
        return transfer

    def set_any_status(self):
        """From now on every final answer is one, and no error."""
        self.takes_any_status = True

    cdef Transfer take_row(self):
        """The next row's transfer; None: that was no good one, or there is none."""
        cdef Transfer transfer
        row, self.row_read = self.row_read, None
        if row is None:
            source = self.sources[0]
            self.is_reading = True      # it is the caller's own code, and may turn the loop
            try:
                row = next(source)
                self.is_dry = row is None
            except StopIteration:
                self.leave_source(source)
            except Exception as error:
                self.leave_source(source)
                self.loop.note_error(error)
            finally:
                self.is_reading = False
            if row is None:
                return None
        try:
            transfer = self.make_transfer(row)
        except MemoryError:
            self.row_read = row         # no source gives it again
            raise
        return transfer if transfer.state != ENDED else None

    cdef Transfer make_transfer(self, row):
        """The row's transfer; it has ended already if the row is no good one."""
        cdef Transfer transfer = Transfer.__new__(Transfer)
        cdef str url
        cdef Py_ssize_t end
        cdef Host host
        transfer.runner, transfer.method, transfer.number = self, self.method, self.n_rows
        self.n_rows += 1
        try:
            if isinstance(row, dict):
                from qhttp.bulk.requests import checked_row
                transfer.url = row.get("url")
                transfer.given = checked_row(row)
            else:
                transfer.url = row
            if not isinstance(transfer.url, str):
                raise TypeError(f"a row must be a URL or a dict with one, not {type(row).__name__}")
            url = transfer.url
            end = url.find("/", 8)
            host = self.hosts_by_text.get(url[:end]) if end > 0 else None
            if host is not None and "#" not in url and "/." not in url and url.isascii() and " " not in url:
                transfer.target = check_target(url[end:])
            else:
                from qhttp.protocol.url import split
                parts = split(url)
                host, transfer.target = self.host_of(parts), parts.target
                if end > 0 and "?" not in url[:end] and "#" not in url[:end]:
                    self.hosts_by_text[url[:end]] = host
            transfer.host = transfer.first_host = host
        except (ValueError, TypeError, QHttpError, OSError, ImportError) as error:      # the last two: no descriptor is left
            from qhttp.bulk.requests import without_user
            if isinstance(row, dict):
                transfer.given = row        # all of it: left() must not make a good URL of a row that was refused
            transfer.url, transfer.given = without_user(transfer.url), without_user(transfer.given)     # they are shown, and kept
            transfer.end_with(error if isinstance(error, QHttpError) else RequestError(str(error)))
        return transfer

    # -- hosts
    cdef Host host_of(self, url):
        cdef Host host = self.hosts.get(url.origin)
        if host is None:
            host = self.hosts[url.origin] = self.new_host(url.origin)
        return host

    cdef Host new_host(self, tuple origin):
        from qhttp.bulk.requests import head_tail, route_to
        cdef Host host = Host.__new__(Host)
        if len(self.hosts) > N_HOSTS_MAX:
            self.forget_hosts()
        host.origin, host.waiting, host.again = origin, Fifo.__new__(Fifo), []
        host.n_lanes = host.n_lanes_most = self.settings.per_host
        host.route, host.target_head = route_to(origin, self.settings, self.choose_proxy, self.identity)
        host.head_tail = head_tail(self.settings, origin)
        host.budget = RetryBudget(BUDGET_RESERVE + BUDGET_PER_LANE * self.settings.per_host)
        if self.settings.host_limit_rate:
            from qhttp.bulk.rate import TokenBucket
            host.bucket = TokenBucket(self.settings.host_limit_rate)
        return host

    def forget_hosts(self):
        """Those that have nothing to do."""
        cdef Host host
        cdef Transfer transfer
        cdef uint64_t now = self.loop.now()
        cdef set wanted = set()
        for transfer in self.delayed:
            wanted.add(transfer.host)
        for origin, host in list(self.hosts.items()):
            if not (host.n_running or host.n_waiting() or host.is_listed or host in wanted) and host.paused_until_ns < now:
                del self.hosts[origin]
        self.hosts_by_text = {text: host for text, host in self.hosts_by_text.items() if self.hosts.get(host.origin) is host}

    cdef object list_host(self, Host host):
        """It may have something to start: the pump looks. Needs no memory."""
        if host.is_listed:
            return
        host.is_listed = True
        if self.last_ready is None:
            self.first_ready = host
        else:
            self.last_ready.next_ready = host
        self.last_ready = host
        self.n_ready += 1

    cdef Host take_listed(self):
        cdef Host host = self.first_ready
        self.first_ready, host.next_ready = host.next_ready, None
        if self.first_ready is None:
            self.last_ready = None
        self.n_ready -= 1
        host.is_listed = False
        return host
