# cython: nonecheck=True
# (what is public may be called at any time, also before there is a host)
"""How long is waited for whom: limits of time and rate, further tries, and hosts that ask for a pause.

Instead of timers for each transfer one look now and then goes over those that run: an attempt that is quick costs nothing.
"""
from libc.stdint cimport uint64_t

from qhttp.bulk.intake cimport Intake
from qhttp.bulk.outcome cimport RUNNING, Host, Outcome
from qhttp.bulk.transfer cimport Transfer
from qhttp.engine.exchange cimport Exchange

from _random import Random
from time import time_ns

from qhttp.bulk.retry import Failures
from qhttp.errors import HTTPStatusError, TimeoutError

cdef enum:
    TICK_MAX_MS = 1000
    TICK_MIN_MS = 10
    PACE_MS = 20                # how often a transfer that waits for tokens looks

REFUSALS = (429, 503)           # statuses by which a host asks all to wait
cdef double PAUSE_BASE_S = 0.1  # without Retry-After: doubled with each refusal in a row, with full jitter ...
cdef double PAUSE_CAP_S = 30.0


cdef class Patience(Intake):
    def __init__(self, settings):
        Intake.__init__(self, settings)
        self.busy = set()
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

    def random(self):
        """A number from 0 to 1, for jitter."""
        return Random().random()

    def next_try(self, Transfer transfer, error):
        cdef Host host = transfer.host
        cdef uint64_t now = self.loop.now()
        after = None
        status = error.status if isinstance(error, HTTPStatusError) else None
        if status is not None:
            from qhttp.bulk.retry import parse_retry_after
            value = transfer.header("retry-after")
            after = parse_retry_after(value, time_ns() / 1e9, transfer.header("date")) if value is not None else None
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

    cdef object wait_again(self, Outcome transfer, uint64_t delay_ns):
        """Queues it once more, now or later."""
        try:
            self.delayed[transfer] = None
            if delay_ns:                # not kept by the loop: it is we who are pending
                self.delayed[transfer] = self.loop.call_at(self.loop.now() + delay_ns, lambda: self.time_is_over(transfer))
            else:
                self.queue_again(transfer)
        except MemoryError:             # it is the caller's still
            self.forget(transfer)
            raise

    def time_is_over(self, Transfer transfer):
        try:
            self.queue_again(transfer)
        except MemoryError as error:
            transfer.broken(error)

    cdef object forget(self, Outcome outcome):
        """It has ended while it waited: nothing waits for it any more."""
        cdef Transfer transfer = <Transfer>outcome
        if transfer.host is None:
            return
        if transfer in self.delayed:
            timer = self.delayed.pop(transfer)
            if timer is not None:
                timer.cancel()
        elif transfer in transfer.host.again:
            transfer.host.again.remove(transfer)
            self.n_waiting -= 1

    def queue_again(self, Transfer transfer):
        if transfer not in self.delayed:
            return
        self.hosts.setdefault(transfer.host.origin, transfer.host)      # it may have been forgotten while it had nothing to do
        transfer.host.again.append(transfer)
        self.n_waiting += 1
        self.list_host(transfer.host)
        timer = self.delayed.pop(transfer)
        if timer is not None:
            timer.cancel()
        self.loop.schedule(self)

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

    # -- limits
    def look(self):
        """Looks, now and then, whether a running transfer is too slow."""
        cdef Transfer transfer
        self.watch = None
        self.loop.schedule(self)        # the pump sets the next look, now or as soon as it can
        for transfer in list(self.busy):
            if transfer.state == RUNNING:
                error = self.overdue(transfer, self.loop.now())     # slots may have run since the last one was looked at
                if error is not None:
                    transfer.time_out(error)

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
        if self.min_speed and self.speed_ns and self.bucket is None and transfer.host.bucket is None and now - transfer.mark_ns >= self.speed_ns:
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
