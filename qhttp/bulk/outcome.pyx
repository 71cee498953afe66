# cython: nonecheck=True
# (what is public may be called at any time, also before there is a host)
"""What a transfer is asked for, what became of it, and whom it belongs to: the base of Transfer, and all that is public of
it."""
from libc.stdint cimport uint64_t

from qhttp._core cimport Task
from qhttp._signal cimport Signal
from qhttp.engine.observer cimport Observer

from qhttp._core import describe_head
from qhttp.protocol.shown import shown_url


cdef class Runner(Task):
    cdef object emit(self, Signal signal, a, b=None, c=None):
        self.n_emitting += 1
        error = signal.fire(a, b, c)
        self.n_emitting -= 1
        if error is not None:
            self.loop.note_error(error)

    cdef object lane_free(self, Outcome transfer):
        raise NotImplementedError

    cdef object wait_again(self, Outcome transfer, uint64_t delay_ns):
        raise NotImplementedError

    cdef object ended(self, Outcome transfer):
        raise NotImplementedError

    cdef object forget(self, Outcome transfer):
        raise NotImplementedError

    cdef Host host_of(self, url):
        raise NotImplementedError

    def next_try(self, Outcome transfer, error):
        """Seconds until the transfer is tried again, or None: this was the end of it."""
        raise NotImplementedError


cdef class Host:
    def __repr__(self):
        scheme, host, port = self.origin or ("", "", 0)
        return f"<qhttp host {scheme}://{host}:{port}: {self.n_running} running>"

    cdef Py_ssize_t n_waiting(self):
        return self.waiting.n() + len(self.again)

    cdef object has_answered(self):
        """A body has come whole from it: it is well."""
        self.budget.succeeded()
        self.n_refusals = 0
        if self.n_lanes < self.n_lanes_most:
            self.n_good += 1
            if self.n_good >= self.n_lanes:
                self.n_good, self.n_lanes = 0, self.n_lanes + 1


cdef class Outcome(Observer):
    """What became of a URL. Read-only; what is not known yet, or never will be, is None, 0, or -1 for `size`.

    url, url_effective, request_method, row, path, status, size, n_done, n_total, n_resumed, error, was_skipped, n_retries,
    n_redirects, etag, sha256, checksums, headers, content, timings, time_namelookup ... time_total (seconds since it was
    started; 0.0: not reached, or not taken).
    """

    def __cinit__(self):
        self.size = -1

    cdef Outcome told(self):
        """Whom the caller hears of."""
        return self

    @property
    def url_effective(self):
        """str: where the answer came from, after redirects."""
        return self.effective if self.effective is not None else self.url

    @property
    def request_method(self):
        """str: GET, as a rule; after a redirect what is asked with then."""
        return self.method.decode() if self.method is not None else "GET"

    @property
    def row(self):
        """dict: what was asked for."""
        return self.given if self.given is not None else {"url": self.url}

    @property
    def headers(self):
        """[(name, value)] of the final answer; [] where there is none."""
        return describe_head(self.block)[4] if self.block is not None else []

    def header(self, name, default=None):
        """The first value of a field of the answer (str), or `default`."""
        name = name.lower()
        return next((value for given, value in self.headers if given.lower() == name), default)

    @property
    def etag(self):
        """str or None: its ETag, as sent."""
        return self.header("etag")

    @property
    def checksums(self):
        """dict: algorithm -> hex digest of what was computed."""
        return self.check.digests if self.check is not None else {}

    @property
    def sha256(self):
        """str or None: hex, where it was computed."""
        return self.checksums.get("sha256")

    @property
    def state_name(self):
        """str: "waiting", "running", "in pieces", "placing" or "ended"."""
        return ("waiting", "running", "in pieces", "placing", "ended")[self.state]

    cdef double since_start(self, uint64_t moment):
        return (moment - self.start_ns) / 1e9 if moment > self.start_ns else 0.0

    @property
    def time_namelookup(self):
        """float: seconds until the address was known."""
        return self.since_start(self.connect_ns)

    @property
    def time_connect(self):
        """float: seconds until the connection stood; 0.0 where one was there already."""
        return self.since_start((self.secure_ns or self.sent_ns) if self.connect_ns else 0)

    @property
    def time_appconnect(self):
        """float: seconds until TLS was ready; 0.0 without."""
        return self.since_start(self.sent_ns if self.connect_ns and self.host is not None and self.host.route.tls else 0)

    @property
    def time_starttransfer(self):
        """float: seconds until the first byte of the answer."""
        return self.since_start(self.first_ns if self.sent_ns else 0)

    @property
    def time_total(self):
        """float: seconds until its end."""
        return self.since_start(self.end_ns)

    @property
    def timings(self):
        """qhttp.Timings: where its time went, in seconds; taken in any case. Of a file in pieces `dns` to `first_byte` are those
        of the request for the first one."""
        return self.timings_between(self.start_ns, self.first_ns, self.end_ns)

    def to_dict(self):
        """dict with curl's names for what is known; can be pickled and written as JSON."""
        return {
            "url": self.url, "url_effective": self.url_effective, "http_code": self.status,
            "path": self.path if self.error is None else None,
            "size_download": self.n_done - min(self.n_resumed, self.n_done),
            "time_namelookup": self.time_namelookup, "time_connect": self.time_connect, "time_appconnect": self.time_appconnect,
            "time_starttransfer": self.time_starttransfer, "time_total": self.time_total, "num_retries": self.n_retries,
            "num_redirects": self.n_redirects, "errormsg": str(self.error) if self.error is not None else None,
            "error": type(self.error).__name__ if self.error is not None else None, "sha256": self.sha256,
            "checksums": self.checksums, "etag": self.etag,
            "skipped": self.was_skipped, "resumed": self.n_resumed,
        }

    def __repr__(self):
        return f"<qhttp transfer of {shown_url(str(self.url))}: {self.error or self.state_name}>"

    # -- of Transfer
    cdef object send(self):
        raise NotImplementedError

    cdef object break_off(self):
        raise NotImplementedError

    cdef object complete(self):
        raise NotImplementedError

    cdef object place_file(self, bytes body):
        raise NotImplementedError

    cdef object fail_with(self, error):
        raise NotImplementedError

    cdef object end_with(self, error):
        raise NotImplementedError
