# cython: nonecheck=True
# (what is public may be called at any time, also before there is a host)
"""Which transfer runs when.

The pump runs once in a turn of the loop, however many transfers have ended in it. It looks first at hosts that have something
waiting, then takes the next rows; a row whose host is busy waits there, so that memory stays flat and a slow host does not stop
the others.
"""
from libc.stdint cimport uint64_t

from qhttp._connection cimport Connection
from qhttp._core cimport Timer
from qhttp._signal cimport Signal
from qhttp.bulk.files cimport FileThread
from qhttp.bulk.outcome cimport ENDED, RUNNING, WAITING, Host, Outcome
from qhttp.bulk.scarcity cimport Scarcity
from qhttp.bulk.transfer cimport Transfer
from qhttp.engine.exchange cimport Exchange
from qhttp.engine.pool cimport Pool
from qhttp.engine.time_limits cimport Options

from _collections import deque
from time import time_ns

from qhttp.errors import QHttpError, RequestError

cdef enum:
    IDLE_PER_LANE = 2           # idle connections kept: lanes go from host to host, and come back
    FILES_BYTES_CAP = 16 << 20  # of small bodies that wait for the file thread
    FILES_CAP = 4096            # and how many of them
    LONGEST_WAIT_MS = 3600000


cdef class Lanes(Scarcity):
    def __init__(self, settings):
        Scarcity.__init__(self, settings)
        self.started, self.progress, self.retrying = Signal("started", 1), Signal("progress", 3), Signal("retrying", 3)
        self.finished, self.failed, self.done = Signal("finished", 1), Signal("failed", 1), Signal("done", 1)
        self.pool, self.options = Pool(IDLE_PER_LANE * settings.jobs), Options()
        self.options.connect_ms = <uint64_t>(settings.connect_timeout * 1000)
        self.options.public_only = settings.public_only
        if settings.limits is not None:
            self.options.limits = settings.limits
        self.takes_times, self.not_done = settings.timings, deque()

    def set_parts(self, identity, choose_proxy, policy, session):
        """What is made by those who know the settings: an Identity, a ProxyChoice, a RetryPolicy, a Session; None where not
        needed."""
        self.identity, self.choose_proxy, self.policy = identity, choose_proxy, policy
        self.files = FileThread(self.loop, self.pump_later, session if not self.settings.dry_run else None)
        self.files.when_scarce = self.spare
        self.session = session if session is not None and not session.is_new else None
        if session is not None:
            self.in_flight.update(dict.fromkeys(session.names, session))

    # -- the loop's view
    cdef bint is_pending(self):
        return self.has_begun and not self.is_over

    cdef bint is_blocked(self):
        return self.n_emitting > 0 or self.is_reading or self.files.n_telling > 0       # all wait for code of the user's

    cdef object run_deferred(self):
        try:
            self.pump()
        except BaseException:
            self.loop.schedule(self)    # who knows what it has not come to
            raise

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
        try:
            while not condition() and self.is_pending():
                self.loop.turn(LONGEST_WAIT_MS)
        finally:
            self.loop.show_work()

    def begin(self):
        """Starts; the loop does the rest."""
        self.check_open()
        if not self.has_begun:
            self.has_begun, self.is_over = True, False
            self.started_wall_ns, self.started_ns = time_ns(), self.loop.now()
            self.count_descriptors()
            self.loop.keep(self)
        self.loop.schedule(self)

    # -- what it tells
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
    def n_running(self):
        return len(self.busy)

    @property
    def n_queued(self):
        """Transfers that were read and wait, for a lane or for their next try."""
        return self.n_waiting + len(self.delayed)

    @property
    def n_files_waiting(self):
        """What the file thread has still to do: int."""
        return self.files.n_waiting

    def rows_left(self):
        """Rows that are not done, failed ones first, and then those of the sources."""
        cdef Transfer transfer
        for row in self.not_done:
            yield row if isinstance(row, dict) else {"url": row}
        for transfer in list(self.in_work()):
            yield transfer.row
        if self.row_read is not None:
            yield self.row_read if isinstance(self.row_read, dict) else {"url": self.row_read}
        while self.sources:
            for row in self.read_out(self.sources[0]):
                if row is not None:
                    yield row if isinstance(row, dict) else {"url": row}

    def read_out(self, source):
        """What it still gives. It stays a source until it has ended: not all may be asked for."""
        cdef bint was_reading
        while True:
            was_reading, self.is_reading = self.is_reading, True        # it may turn the loop, or be the one who asks
            try:
                row = next(source)
            except StopIteration:
                break
            finally:
                self.is_reading = was_reading
            yield row
        self.leave_source(source)
        if self.has_begun:
            self.loop.schedule(self)    # it may have been all that was waited for

    def in_work(self):
        """Transfers that are under way, or wait for a lane; each once."""
        cdef Transfer transfer
        cdef Host host
        cdef dict found = dict.fromkeys(self.wholes)
        for transfer in self.busy:
            found[transfer.told()] = None
            found.update(dict.fromkeys(transfer.followers or ()))
        for transfer in self.delayed:
            found[transfer.told()] = None
        for host in self.hosts.values():
            found.update({(<Transfer>waiting).told(): None for waiting in host.again})
            found.update({host.waiting.item(i): None for i in range(host.waiting.n())})
        return [transfer for transfer in found if (<Transfer>transfer).state != ENDED]

    # -- the pump
    cdef object pump(self):
        cdef Transfer transfer
        while ((not self.is_stopping or self.is_gentle) and not self.is_over and self.may_begin()
                and self.files.n_waiting < FILES_CAP and self.files.n_bytes_waiting < FILES_BYTES_CAP):
            transfer = self.next_transfer()
            if transfer is None:
                break
            try:
                self.begin_transfer(transfer)
            except Exception as error:
                transfer.broken(error)
        if self.settings.pipelining > 1:
            for running in list(self.busy):
                if not self.is_stopping:
                    self.send_ahead(running)
        if self.busy and self.watch is None:
            self.watch = self.loop.call_at(self.loop.now() + self.tick_ns, self.look)
        self.check_over()

    cdef Transfer next_transfer(self):
        """One that may start now; None: there is none."""
        cdef Host host
        cdef Transfer transfer = None
        cdef uint64_t now = self.loop.now()
        cdef Py_ssize_t n = self.n_ready
        while n > 0 and self.n_ready:
            n -= 1
            host = self.take_listed()
            try:
                if host.n_waiting() and self.may_start(host, now):
                    transfer = self.take_waiting(host)
            finally:                    # also where there was no memory for that
                if host.n_waiting() and host.n_running < host.n_lanes:      # else it is listed as soon as a lane is free
                    self.list_host(host)
            if transfer is not None:
                return transfer
        while (self.sources and not self.is_dry and not self.is_stopping and not self.is_reading
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
            if transfer.host.n_running < transfer.host.n_lanes:
                self.list_host(transfer.host)
        return None

    cdef Transfer take_waiting(self, Host host):
        """The next of those that wait at a host; at a gentle end only the pieces of what is under way. None: there is none."""
        cdef Transfer transfer = None
        if not self.is_stopping:
            while transfer is None and host.n_waiting():
                transfer = host.again.pop() if host.again else host.waiting.take_first()
                if transfer.state == ENDED:         # it was cancelled meanwhile
                    transfer = None
                    self.n_waiting -= 1
        else:
            for waiting in host.again:
                if (<Transfer>waiting).told() is not waiting and (<Transfer>waiting).state != ENDED:
                    transfer = waiting
                    host.again.remove(transfer)
                    break
        if transfer is not None:
            self.n_waiting -= 1
        return transfer

    cdef object put_back(self, Transfer transfer):
        """It waits again, before others."""
        transfer.host.again.append(transfer)
        self.n_waiting += 1
        self.list_host(transfer.host)

    cdef bint may_start(self, Host host, uint64_t now):
        if host.n_running >= host.n_lanes:
            return False
        if host.paused_until_ns > now or host.next_start_ns > now:
            self.wake_at(max(host.paused_until_ns, host.next_start_ns))
            return False
        return True

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
        self.loop.schedule(self)

    # -- lanes
    cdef object begin_transfer(self, Transfer transfer):
        cdef Host host = transfer.host
        try:
            self.busy.add(transfer)
        except MemoryError:             # it may be in there all the same
            self.busy.discard(transfer)
            raise
        host.n_running += 1
        transfer.state = RUNNING
        if self.settings.host_rate:
            host.next_start_ns = max(host.next_start_ns, self.loop.now()) + <uint64_t>(1e9 / self.settings.host_rate)
        transfer.start()

    cdef object lane_free(self, Outcome outcome):
        cdef Transfer transfer = <Transfer>outcome
        cdef Host host = transfer.host
        if transfer not in self.busy:
            return
        self.busy.discard(transfer)
        host.n_running -= 1
        self.loop.schedule(self)
        followers, transfer.followers = transfer.followers, None
        if followers:
            self.pass_lane(host, followers)
        if host.n_waiting():
            self.list_host(host)

    cdef object ended(self, Outcome transfer):
        """It is in its place, or never will be."""
        try:
            self.tell_end(transfer)
        finally:
            self.loop.schedule(self)

    cdef object tell_end(self, Outcome transfer):
        if transfer.was_skipped and transfer.error is None:
            self.n_skipped += 1
        elif transfer.error is None:
            self.n_done += 1
        else:
            self.n_failed += 1
        if transfer.error is None:
            if self.n_lanes < self.n_lanes_most:
                self.thrive()
            if self.finished.slots is not None:
                self.emit(self.finished, transfer)
            return
        try:
            self.not_done.append(transfer.given if transfer.given is not None else transfer.url)
            if self.files is not None and self.files.session is not None:
                self.note_failure(transfer)
        except Exception as error:      # it has ended all the same
            self.loop.note_error(error)
        if self.failed.slots is not None:
            self.emit(self.failed, transfer)
        if self.settings.fail_fast and not self.is_stopping:
            self.stop()

    def note_failure(self, Transfer transfer):
        session, row = self.files.session, transfer.row
        url, path, cause = str(transfer.url), transfer.path, str(transfer.error)
        self.files.call(lambda: session.note_failed(url, path, cause, row), lambda result, error: None)

    # -- requests before their turn
    cdef object send_ahead(self, Transfer transfer):
        """Sends requests to the same host behind that of a transfer, on its connection (RFC 9112 section 9.3.2)."""
        cdef Exchange exchange = transfer.exchange
        cdef Connection connection
        cdef bint any_new
        if exchange is None or not exchange.may_send_behind() or transfer.host.paused_until_ns > self.loop.now():
            return
        connection = exchange.connection
        if transfer.followers is None:
            transfer.followers = []
        self.n_lining_up += 1           # one of those that wait is in hand
        try:
            any_new = self.line_up(transfer, exchange, connection)
        finally:
            self.n_lining_up -= 1
        if any_new and transfer.exchange is exchange and exchange.connection is connection:
            connection.send_line()

    cdef bint line_up(self, Transfer transfer, Exchange exchange, Connection connection) except -1:
        """Puts requests in line behind that of a transfer; says whether there are any."""
        cdef Host host = transfer.host
        cdef Exchange ahead
        cdef Transfer follower
        cdef bint any_new = False
        while transfer.followers is not None and len(transfer.followers) + 1 < self.settings.pipelining:
            if not host.n_waiting() and not self.read_for(host):
                break
            follower = self.take_waiting(host)
            if follower is None:
                break
            if not follower.get_ready():        # its slots have turned the loop, maybe
                if follower.state == WAITING:
                    self.put_back(follower)
                    self.loop.schedule(self)
                continue
            if not self.may_follow(transfer, exchange, connection):
                self.put_back(follower)
                self.loop.schedule(self)
                break
            if not follower.may_go_ahead():     # until there is a lane for it: to look again at once would go on for ever
                self.put_back(follower)
                break
            try:
                ahead = follower.make_exchange()
                ahead.compose(False)            # a signal's handler in there may have turned the loop
                if follower.state != WAITING:
                    continue
                if not self.may_follow(transfer, exchange, connection):
                    self.put_back(follower)
                    self.loop.schedule(self)
                    break
                transfer.followers.append(follower)
                follower.exchange = ahead
                ahead.take_place(connection)
                any_new = True
            except MemoryError as error:
                self.not_sent_ahead(transfer, follower)
                follower.broken(error)
            except Exception as error:
                self.not_sent_ahead(transfer, follower)
                follower.end_with(error if isinstance(error, QHttpError) else RequestError(str(error)))
        return any_new

    cdef bint may_follow(self, Transfer transfer, Exchange exchange, Connection connection):
        """Whether requests may still be sent behind that one of a transfer."""
        return (not self.is_stopping and transfer.exchange is exchange and exchange.connection is connection
                and transfer.followers is not None and exchange.may_send_behind())

    def not_sent_ahead(self, Transfer transfer, Transfer follower):
        """Its request could not be made, or does not stand in line."""
        follower.exchange = None
        if transfer.followers and transfer.followers[len(transfer.followers) - 1] is follower:
            transfer.followers.pop()

    def read_for(self, Host host):
        """Reads rows until there is one for that host; False: there is none within the window."""
        cdef Transfer transfer
        while (self.sources and not self.is_dry and not self.is_stopping and not self.is_reading
                and self.n_waiting + len(self.delayed) < self.settings.window):
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
        if (first.state != ENDED and first.exchange is not None and first.exchange.connection is not None
                and not self.is_stopping):
            try:
                behind = followers[1:]
                self.busy.add(first)
                first.followers, first.state = behind, RUNNING
                host.n_running += 1
            except MemoryError:
                self.busy.discard(first)
        if first.state == RUNNING:
            first.since_ns, first.mark_ns, first.mark_n = self.loop.now(), self.loop.now(), 0
            self.loop.schedule(first)
            return
        for follower in reversed(followers):
            if follower.exchange is not None:
                follower.exchange.withdraw()
            follower.exchange = None
            if follower.state == ENDED:     # a piece, say, that is not wanted any more
                continue
            try:
                host.again.append(follower)
                self.n_waiting += 1
            except MemoryError as error:
                follower.broken(error)

    # -- the end
    def stop(self, gently=False):
        """Nothing new starts. Without `gently` what runs is broken off; what has come stays in the parts. With it what runs comes to
        its end, without further tries."""
        cdef Transfer transfer
        self.loop.check()
        self.is_stopping, self.is_gentle = True, gently
        if not gently:
            for transfer in [*self.wholes, *self.busy]:
                transfer.give_back()
            for transfer in list(self.delayed):
                self.queue_again(transfer)
            for transfer in list(self.in_work()):
                transfer.give_back()    # what it has of its part
        self.loop.schedule(self)

    cdef object check_over(self):
        if (self.is_over or not self.has_begun or self.busy or self.wholes or self.files.n_waiting or self.is_reading
                or self.n_lining_up):
            return
        if not self.is_stopping and (self.sources or self.n_waiting or self.delayed):
            return
        if self.is_stopping:            # gently: those that wait for another run let go of their parts
            for transfer in self.in_work():
                transfer.give_back()
            if self.files.n_waiting:
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
