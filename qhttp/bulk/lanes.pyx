"""Which transfer runs when. Rows are taken from the sources as lanes become free; each host has its own queue and limits.

The pump runs once in a turn of the loop, however many transfers have ended in it. It looks first at hosts that have something
waiting, then takes the next rows; a row whose host is busy waits there, up to `window` of them, so that memory stays flat and
a slow host does not stop the others.
"""
from libc.stdint cimport uint64_t

from qhttp._connection cimport Connection
from qhttp._core cimport Fifo, Task, Timer, current_loop
from qhttp._signal cimport Signal
from qhttp.bulk.files cimport FileThread
from qhttp.bulk.outcome cimport ENDED, RUNNING, WAITING, Host, Outcome, Runner
from qhttp.bulk.transfer cimport Transfer
from qhttp.engine.exchange cimport Exchange
from qhttp.engine.pool cimport Pool
from qhttp.engine.time_limits cimport Options
from qhttp.protocol.request cimport check_target

from _collections import deque
from _random import Random
from time import time_ns

from qhttp.bulk.retry import Failures, RetryBudget
from qhttp.errors import HTTPStatusError, QHttpError, RequestError, TimeoutError

cdef enum:
    BUDGET_RESERVE = 64         # retries of a host before anything has succeeded there ...
    BUDGET_PER_LANE = 4         # ... and so many more for each of its lanes
    IDLE_PER_LANE = 2           # idle connections kept: lanes go from host to host, and come back
    N_HOSTS_MAX = 4096          # remembered; beyond that those are forgotten that have nothing to do
    FILES_BYTES_CAP = 32 << 20  # of small bodies that wait for the file thread
    FILES_CAP = 4096            # and how many of them
    TICK_MAX_MS = 1000
    TICK_MIN_MS = 10
    PACE_MS = 20                # how often a transfer that waits for tokens looks
    LONGEST_WAIT_MS = 3600000

cdef uint64_t NS_PER_S = 1000000000
REFUSALS = (429, 503)           # statuses by which a host asks all to wait
cdef double PAUSE_BASE_S = 0.1  # without Retry-After: doubled with each refusal in a row, with full jitter ...
cdef double PAUSE_CAP_S = 30.0


cdef class Lanes(Runner):
    def __init__(self, settings):
        self.settings, self.loop = settings, current_loop()
        self.started, self.progress, self.retrying = Signal("started", 1), Signal("progress", 3), Signal("retrying", 3)
        self.finished, self.failed, self.done = Signal("finished", 1), Signal("failed", 1), Signal("done", 1)
        self.pool, self.options = Pool(IDLE_PER_LANE * settings.jobs), Options()
        self.options.connect_ms = <uint64_t>(settings.connect_timeout * 1000)
        self.hosts, self.hosts_by_text, self.in_flight = {}, {}, {}
        self.ready, self.sources, self.not_done = deque(), deque(), deque()
        self.busy, self.delayed = set(), {}
        self.takes_times, self.method = settings.timings, settings.method.encode("ascii")
        self.idle_ns = <uint64_t>(settings.idle_timeout * 1e9)
        self.max_time_ns = <uint64_t>(settings.max_time * 1e9)
        self.min_speed, self.speed_ns = settings.min_speed[0], <uint64_t>(settings.min_speed[1] * 1e9)
        self.tick_ns = <uint64_t>TICK_MAX_MS * 1000000
        for limit in (self.idle_ns, self.max_time_ns, self.speed_ns):
            if limit:
                self.tick_ns = max(min(self.tick_ns, <uint64_t>limit // 4), <uint64_t>TICK_MIN_MS * 1000000)
        if settings.limit_rate:
            from qhttp.bulk.rate import TokenBucket
            self.bucket = TokenBucket(settings.limit_rate)

    def set_parts(self, identity, choose_proxy, policy, session):
        """What is made by those who know the settings: an Identity, a ProxyChoice, a RetryPolicy, a Session; None where not
        needed."""
        self.identity, self.choose_proxy, self.policy = identity, choose_proxy, policy
        self.files = FileThread(self.loop, self.pump_later, session)
        self.session = session if session is not None and not session.is_new else None

    def random(self):
        """A number from 0 to 1, for jitter."""
        return Random().random()

    # -- the loop's view
    cdef bint is_pending(self):
        return self.has_begun and not self.is_over

    cdef bint is_blocked(self):
        return self.n_emitting > 0 or self.files.n_telling > 0      # a slot runs, and others wait to be told

    cdef object run_deferred(self):
        self.pump()

    @property
    def is_done(self):
        """Whether all that was asked for has ended."""
        return not self.is_pending()

    def turn_loop(self, msecs=None):
        """Turns the loop until all has ended, or for at most so many milliseconds (int); says which."""
        if msecs is None and self.is_blocked():
            raise RuntimeError("run() without a limit would wait for the slot that calls it")
        return self.loop.run_while(self, msecs)

    def turn_until(self, condition):
        """Turns the loop until `condition()` holds or all has ended."""
        while not condition() and self.is_pending():
            self.loop.turn(LONGEST_WAIT_MS)

    # -- rows in
    def check_open(self):
        """Raises RuntimeError in another thread or process, or after the end."""
        self.loop.check()
        if self.files.is_closed:
            raise RuntimeError("this is closed already: make another one")

    def begin(self):
        """Starts; the loop does the rest."""
        self.check_open()
        if not self.has_begun:
            self.has_begun, self.is_over = True, False
            self.started_wall_ns = time_ns()
            self.loop.keep(self)
        self.loop.schedule(self)

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
        self.is_dry = False
        self.loop.schedule(self)

    def rows_left(self):
        """Rows that are not done, failed ones first, and then those of the sources."""
        cdef Transfer transfer
        for row in self.not_done:
            yield row if isinstance(row, dict) else {"url": row}
        for transfer in list(self.in_work()):
            yield transfer.row
        while self.sources:
            for row in self.sources.popleft():
                if row is not None:
                    yield row if isinstance(row, dict) else {"url": row}

    def in_work(self):
        """Transfers that have a lane, or wait for one."""
        cdef Transfer transfer
        cdef Host host
        for transfer in list(self.busy):
            yield transfer
            if transfer.followers is not None:
                yield from transfer.followers
        yield from list(self.delayed)
        for host in list(self.hosts.values()):
            yield from list(host.again)
            for i in range(host.waiting.n()):
                yield host.waiting.item(i)

    @property
    def is_stopped(self):
        """Whether nothing new is to start."""
        return self.is_stopping

    @property
    def running(self):
        """The transfers that have a lane, or whose pieces have."""
        cdef Transfer transfer
        return list({transfer.told(): None for transfer in self.busy})

    @property
    def n_files_waiting(self):
        """What the file thread has still to do: int."""
        return self.files.n_waiting

    @property
    def n_running(self):
        return len(self.busy)

    @property
    def n_queued(self):
        """Transfers that were read and wait, for a lane or for their next try."""
        return self.n_waiting + len(self.delayed)

    # -- the pump
    cdef object pump(self):
        cdef Transfer transfer
        while (not self.is_stopping and not self.is_over and len(self.busy) < self.settings.jobs
                and self.files.n_waiting < FILES_CAP and self.files.n_bytes_waiting < FILES_BYTES_CAP):
            transfer = self.next_transfer()
            if transfer is None:
                break
            self.begin_transfer(transfer)
        if self.settings.pipelining > 1:
            for running in list(self.busy):
                if not self.is_stopping:
                    self.send_ahead(running)
        self.check_over()

    cdef Transfer next_transfer(self):
        """One that may start now; None: there is none."""
        cdef Host host
        cdef Transfer transfer
        cdef uint64_t now = self.loop.now()
        cdef Py_ssize_t n = len(self.ready)
        while n > 0:
            n -= 1
            host = self.ready.popleft()
            host.is_listed = False
            if not host.n_waiting():
                continue
            if not self.may_start(host, now):
                if host.n_running == 0:         # nothing of its own will bring it here again
                    self.list_host(host)
                continue
            self.n_waiting -= 1
            transfer = host.again.pop() if host.again else host.waiting.take_first()
            if host.n_waiting():
                self.list_host(host)
            if transfer.state == ENDED:         # a piece that nobody needs any more
                n = len(self.ready)
                continue
            return transfer
        while (self.sources and not self.is_dry and not self.is_stopping
                and self.n_waiting + len(self.delayed) < self.settings.window):
            transfer = self.take_row()
            if transfer is None:
                continue
            if self.is_stopping:        # by the iterator
                transfer.host.waiting.append(transfer)
                self.n_waiting += 1
                break
            if not transfer.host.n_waiting() and self.may_start(transfer.host, now):
                return transfer
            transfer.host.waiting.append(transfer)
            self.n_waiting += 1
            if transfer.host.n_running == 0:
                self.list_host(transfer.host)
        return None

    cdef bint may_start(self, Host host, uint64_t now):
        if host.n_running >= self.settings.per_host:
            return False
        if host.paused_until_ns > now or host.next_start_ns > now:
            self.wake_at(max(host.paused_until_ns, host.next_start_ns))
            return False
        return True

    cdef object list_host(self, Host host):
        if not host.is_listed:
            host.is_listed = True
            self.ready.append(host)

    cdef object wake_at(self, uint64_t when_ns):
        """Pumps again then, or earlier."""
        if self.wake_up is not None and self.wake_up_ns <= when_ns:
            return
        if self.wake_up is not None:
            self.wake_up.cancel()
        self.wake_up_ns = when_ns
        self.wake_up = self.loop.call_at(when_ns, self.woken)

    def pump_later(self):
        self.loop.schedule(self)

    def woken(self):
        self.wake_up = None
        self.pump()

    # -- a transfer's way
    cdef Transfer take_row(self):
        """The next row's transfer; None: that was no good one, or there is none."""
        cdef Transfer transfer
        try:
            row = next(self.sources[0])
        except StopIteration:
            self.sources.popleft()
            return None
        except Exception as error:      # out of the caller's own iterator
            self.sources.popleft()
            self.loop.note_error(error)
            return None
        if row is None:
            self.is_dry = True
            return None
        transfer = self.make_transfer(row)
        return transfer if transfer.state != ENDED else None

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
        except (ValueError, TypeError, QHttpError) as error:
            transfer.end_with(error if isinstance(error, QHttpError) else RequestError(str(error)))
        return transfer

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
        for origin, host in list(self.hosts.items()):
            if not host.n_running and not host.n_waiting() and not host.is_listed and host.paused_until_ns < self.loop.now():
                del self.hosts[origin]
        self.hosts_by_text = {text: host for text, host in self.hosts_by_text.items() if self.hosts.get(host.origin) is host}

    cdef object begin_transfer(self, Transfer transfer):
        cdef Host host = transfer.host
        host.n_running += 1
        self.busy.add(transfer)
        if self.settings.host_rate:
            host.next_start_ns = max(host.next_start_ns, self.loop.now()) + <uint64_t>(1e9 / self.settings.host_rate)
        if self.watch is None:
            self.watch = self.loop.call_at(self.loop.now() + self.tick_ns, self.look)
        transfer.start()

    cdef object lane_free(self, Outcome outcome):
        cdef Transfer transfer = <Transfer>outcome
        cdef Host host = transfer.host
        if transfer not in self.busy:
            return
        self.busy.discard(transfer)
        host.n_running -= 1
        followers, transfer.followers = transfer.followers, None
        if followers:
            self.pass_lane(host, followers)
        if host.n_waiting():
            self.list_host(host)
        self.loop.schedule(self)

    cdef object wait_again(self, Outcome transfer, uint64_t delay_ns):
        """Queues it once more, now or later."""
        self.delayed[transfer] = None
        if delay_ns:                    # not kept by the loop: it is we who are pending
            self.delayed[transfer] = self.loop.call_at(self.loop.now() + delay_ns, lambda: self.queue_again(transfer))
        else:
            self.queue_again(transfer)

    def queue_again(self, Transfer transfer):
        if transfer not in self.delayed:
            return
        timer = self.delayed.pop(transfer)
        if timer is not None:
            timer.cancel()
        transfer.host.again.append(transfer)
        self.n_waiting += 1
        self.list_host(transfer.host)
        self.loop.schedule(self)

    cdef object ended(self, Outcome transfer):
        """It is in its place, or never will be."""
        if transfer.was_skipped and transfer.error is None:
            self.n_skipped += 1
        elif transfer.error is None:
            self.n_done += 1
        else:
            self.n_failed += 1
        if transfer.error is None:
            if self.finished.slots is not None:
                self.emit(self.finished, transfer)
        else:
            self.not_done.append(transfer.given if transfer.given is not None else transfer.url)
            if self.files is not None and self.files.session is not None:
                self.note_failure(transfer)
            if self.failed.slots is not None:
                self.emit(self.failed, transfer)
            if self.settings.fail_fast and not self.is_stopping:
                self.stop()
        self.loop.schedule(self)

    def note_failure(self, Transfer transfer):
        session, row = self.files.session, transfer.row
        url, path, cause = str(transfer.url), transfer.path, str(transfer.error)
        self.files.call(lambda: session.note_failed(url, path, cause, row), lambda result, error: None)

    def next_try(self, Transfer transfer, error):
        cdef Host host = transfer.host
        cdef uint64_t now = self.loop.now()
        after = None
        status = error.status if isinstance(error, HTTPStatusError) else None
        if status is not None:
            from qhttp.bulk.retry import parse_retry_after
            value = transfer.header("retry-after")
            after = parse_retry_after(value, time_ns() / 1e9) if value is not None else None
        if status in REFUSALS:
            self.pause_host(host, after)
        if self.is_stopping:
            return None
        if transfer.failures is None:
            transfer.failures = Failures(self.policy)
        spent_s = (now - transfer.start_ns) / 1e9
        delay = transfer.failures.delay_s(error, transfer.method, self.random, after, spent_s)
        if delay is None or (self.max_time_ns and (spent_s + delay) * 1e9 > self.max_time_ns) or not host.budget.take():
            return None
        self.n_retries += 1
        return delay

    def pause_host(self, Host host, after):
        """It has said that it is asked too much: nobody starts there for a while. What it says to those who were under way
        when the pause began is the same refusal."""
        cdef uint64_t now = self.loop.now()
        if after is not None:
            pause_s = min(after, self.policy.after_cap_s)
        elif host.paused_until_ns > now:
            return
        else:
            pause_s = min(PAUSE_CAP_S, PAUSE_BASE_S * 2 ** min(host.n_refusals, 16)) * self.random()
        if host.paused_until_ns <= now:
            host.n_refusals += 1
        host.paused_until_ns = max(host.paused_until_ns, now + <uint64_t>(pause_s * 1e9))
        self.list_host(host)

    # -- requests before their turn
    cdef object send_ahead(self, Transfer transfer):
        """Sends requests to the same host behind that of a transfer, on its connection (RFC 9112 section 9.3.2)."""
        cdef Host host = transfer.host
        cdef Exchange exchange = transfer.exchange, ahead
        cdef Transfer follower
        cdef Connection connection
        cdef bint any_new = False
        if exchange is None or not exchange.may_send_behind() or host.paused_until_ns > self.loop.now():
            return
        connection = exchange.connection
        if transfer.followers is None:
            transfer.followers = []
        while len(transfer.followers) + 1 < self.settings.pipelining:
            if not host.n_waiting() and not self.read_for(host):
                break
            follower = host.again.pop() if host.again else host.waiting.take_first()
            self.n_waiting -= 1
            if follower.state == ENDED:
                continue
            is_ready = follower.get_ready()
            if follower.state == WAITING and (self.is_stopping or not is_ready or not follower.may_go_ahead()
                                              or not exchange.may_send_behind()):
                host.again.append(follower)
                self.n_waiting += 1
                break
            if not is_ready:
                continue
            ahead = follower.exchange = follower.make_exchange()
            ahead.stand_in_line(connection)
            transfer.followers.append(follower)
            any_new = True
        if any_new:
            connection.send_line()

    def read_for(self, Host host):
        """Reads rows until there is one for that host; False: there is none within the window."""
        cdef Transfer transfer
        while self.sources and not self.is_dry and self.n_waiting + len(self.delayed) < self.settings.window:
            transfer = self.take_row()
            if transfer is not None:
                transfer.host.waiting.append(transfer)
                self.n_waiting += 1
                if transfer.host is host:
                    return True
                self.list_host(transfer.host)
        return False

    def pass_lane(self, Host host, list followers):
        """The first of those whose requests are out has the lane now; if the connection is gone, all are as if they were
        not."""
        cdef Transfer first = followers[0], follower
        if first.exchange is not None and first.exchange.connection is not None and not self.is_stopping:
            first.followers, first.state = followers[1:], RUNNING
            host.n_running += 1
            self.busy.add(first)
            self.loop.call_soon(first.take_turn)
            return
        for follower in reversed(followers):
            if follower.exchange is not None:
                follower.exchange.withdraw()
            follower.exchange = None
            host.again.append(follower)
            self.n_waiting += 1

    # -- limits
    def look(self):
        """Looks, now and then, whether a running transfer is too slow."""
        cdef Transfer transfer
        cdef uint64_t now = self.loop.now()
        self.watch = None
        for transfer in list(self.busy):
            if transfer.state == RUNNING:
                error = self.overdue(transfer, now)
                if error is not None:
                    transfer.time_out(error)
        if self.busy:
            self.watch = self.loop.call_at(now + self.tick_ns, self.look)

    def overdue(self, Transfer transfer, uint64_t now):
        cdef Exchange exchange = transfer.exchange
        cdef uint64_t moved
        if self.max_time_ns and now - transfer.start_ns >= self.max_time_ns:
            return TimeoutError(f"it took longer than {self.settings.max_time:g} s in all")
        if exchange is None or not exchange.is_moving():
            return None
        if exchange.congested:          # it waits for us
            transfer.since_ns = transfer.mark_ns = now
            transfer.mark_n = exchange.n_moved()
            return None
        moved = max(exchange.last_moved(), transfer.since_ns)
        if self.idle_ns and now > moved and now - moved >= self.idle_ns:
            return TimeoutError(f"no byte came for {self.settings.idle_timeout:g} s")
        if self.min_speed and self.speed_ns and self.bucket is None and now - transfer.mark_ns >= self.speed_ns:
            moved = exchange.n_moved()
            if (moved - min(moved, transfer.mark_n)) * 1e9 < self.min_speed * (now - transfer.mark_ns):
                return TimeoutError(f"slower than {self.settings.min_speed[0]:g} bytes/s over {self.settings.min_speed[1]:g} s")
            transfer.mark_ns, transfer.mark_n = now, moved
        return None

    def pacer_for(self, Transfer transfer):
        """A function for its sink: pacer(0) asks for leave to receive, pacer(n) says that so many bytes have come; or None."""
        cdef Host host = transfer.host
        buckets = [bucket for bucket in (self.bucket, host.bucket) if bucket is not None]
        if not buckets:
            return None
        from qhttp.bulk.rate import first_wait_s

        def pacer(n):
            now = self.loop.now()
            if n:
                for bucket in buckets:
                    bucket.take(n, now)
                return True
            wait_s = first_wait_s(buckets, now)
            if wait_s <= 0:
                return True
            self.loop.call_at(now + <uint64_t>(max(wait_s, PACE_MS / 1000) * 1e9), transfer.resume)
            return False
        return pacer

    # -- the end
    def stop(self, gently=False):
        """Nothing new starts. Without `gently` what runs is broken off; what has come stays in the parts."""
        cdef Transfer transfer
        self.loop.check()
        self.is_stopping = True
        if not gently:
            for transfer in list(self.busy):
                transfer.give_back()
            for transfer in list(self.delayed):
                self.queue_again(transfer)
        self.loop.schedule(self)

    cdef object check_over(self):
        if self.is_over or not self.has_begun or self.busy or self.files.n_waiting:
            return
        if not self.is_stopping and (self.sources or self.n_waiting or self.delayed):
            return
        self.is_over = True
        for timer in (self.watch, self.wake_up):
            if timer is not None:
                (<Timer>timer).cancel()
        self.watch = self.wake_up = None
        self.loop.let_go(self)
        self.at_end()

    def at_end(self):
        """All that was asked for has ended (Downloader's own)."""

    def close_files(self):
        """Ends the file thread, after what it has to do, and closes idle connections."""
        self.loop.check()
        self.files.close()
        self.pool.close()
