"""Which failures are tried again, when, and how often a host may be asked to bear it.

A transfer is tried again where the next answer may be another one and the method may be sent twice (RFC 9110 section 9.2.2).
The waits grow and are spread at random, so that many clients do not come back at once; what the server asks for (Retry-After,
RFC 9110 section 10.2.3) is a lower bound. No clocks and no sockets here.
"""
from __future__ import annotations

from qhttp import errors
from qhttp.protocol.request import IDEMPOTENT

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Callable

STATUSES = frozenset((408, 425, 429, 500, 502, 503, 504))      # those that may go away by themselves
ERRORS = (errors.ConnectError, errors.TimeoutError, errors.UnexpectedClose, errors.NetworkError, errors.ProtocolError,
          errors.BodyError)
FINAL_ERRORS = (errors.TooLarge, errors.ResumeError)           # of those above, what is the same next time
OWN_RETRIES = ((errors.HostNotFound, 1), (errors.ChecksumMismatch, 2))      # may be a glitch, mostly is not

RETRY_AFTER_JITTER = 0.1    # of what the server asked for, at most so much more
RETRY_AFTER_MAX_S = 1e9     # longer than that is said by nobody who means it
_MAX_DOUBLINGS = 60         # beyond that a float says nothing new


def is_retryable(cause: BaseException | int, method: str | bytes) -> bool:
    """Whether a failure is worth another try: `cause` is the error, or the status code of an answer that was not wanted.

    An error whose `is_final` is true (a certificate that was refused, say) never is.
    """
    if (method if isinstance(method, bytes) else method.encode()) not in IDEMPOTENT:
        return False
    if isinstance(cause, errors.HTTPStatusError):
        cause = cause.status
    if isinstance(cause, int):
        return cause in STATUSES
    return isinstance(cause, ERRORS) and not isinstance(cause, FINAL_ERRORS) and not getattr(cause, "is_final", False)


def own_retries(cause: BaseException | int) -> int | None:
    """How often a transfer is tried again after failures of this kind, counted apart (OWN_RETRIES); None: no bound."""
    return next((n for kind, n in OWN_RETRIES if isinstance(cause, kind)), None)


class RetryPolicy:
    """How often a transfer is tried again and after which waits. It keeps nothing of any transfer.

    retries: further tries after the first. max_time_s: no try begins later than that after the transfer's start; 0: no limit.
    base_s: bound of the first wait, doubled with each further one up to cap_s. after_cap_s: a Retry-After is not obeyed beyond.
    """

    __slots__ = ("after_cap_s", "base_s", "cap_s", "max_time_s", "retries")

    retries: int
    max_time_s: float
    base_s: float
    cap_s: float
    after_cap_s: float

    def __init__(self, retries: int = 5, max_time_s: float = 0, base_s: float = 0.5, cap_s: float = 60,
                 after_cap_s: float = 3600):
        for name, value in (("retries", retries), ("max_time_s", max_time_s), ("base_s", base_s), ("cap_s", cap_s),
                            ("after_cap_s", after_cap_s)):
            if not value >= 0:
                raise ValueError(f"{name} must be 0 or more, not {value!r}")
        self.retries = retries
        self.max_time_s = max_time_s
        self.base_s = base_s
        self.cap_s = cap_s
        self.after_cap_s = after_cap_s

    def __repr__(self) -> str:
        return f"<qhttp retry policy: {', '.join(f'{name}={getattr(self, name)}' for name in self.__slots__)}>"

    def delay_s(self, n_tried: int, retry_after_s: float | None, random: Callable[[], float],
                elapsed_s: float = 0.0) -> float | None:
        """Seconds to wait after `n_tried` tries have failed (1 or more); None: no more tries.

        Evenly distributed from 0 to min(cap_s, base_s * 2 ** (n_tried - 1)), and not below retry_after_s (None: nothing was
        asked for). random: a function that gives a float from 0 to 1 (random.random). elapsed_s: since the transfer's start.
        """
        if n_tried > self.retries:
            return None
        share = random()
        delay = share * min(self.cap_s, self.base_s * 2.0 ** min(max(n_tried - 1, 0), _MAX_DOUBLINGS))
        if retry_after_s is not None:
            delay = max(delay, min(retry_after_s, self.after_cap_s) * (1 + share * RETRY_AFTER_JITTER))
        return None if self.max_time_s and elapsed_s + delay > self.max_time_s else delay


class Failures:
    """The failures of one transfer, counted; made with the first one. `n_tried`: how many there were."""

    __slots__ = ("_n_own", "_policy", "n_tried")

    n_tried: int

    def __init__(self, policy: RetryPolicy):
        self._policy = policy
        self._n_own: dict[type, int] = {}
        self.n_tried = 0

    def delay_s(self, cause: BaseException | int, method: str | bytes, random: Callable[[], float],
                retry_after_s: float | None = None, elapsed_s: float = 0.0) -> float | None:
        """Counts one more failure. Seconds to wait before the next try, or None: this failure is the transfer's end."""
        self.n_tried += 1
        if not is_retryable(cause, method):
            return None
        bound = own_retries(cause)
        if bound is not None:
            n = self._n_own[type(cause)] = self._n_own.get(type(cause), 0) + 1
            if n > bound:
                return None
        return self._policy.delay_s(self.n_tried, retry_after_s, random, elapsed_s)


class RetryBudget:
    """How many retries one host gets for all of its transfers together: `reserve`, and `per_success` more for each success.

    A host that is down costs `reserve` retries, however many of its URLs are in the list.
    """

    __slots__ = ("_n_left", "per_success")

    per_success: float

    def __init__(self, reserve: int = 10, per_success: float = 2.0):
        for name, value in (("reserve", reserve), ("per_success", per_success)):
            if not value >= 0:
                raise ValueError(f"{name} must be 0 or more, not {value!r}")
        self._n_left = float(reserve)
        self.per_success = per_success

    def __repr__(self) -> str:
        return f"<qhttp retry budget: {self._n_left:g} left>"

    def take(self) -> bool:
        """Takes one retry; False: there is none left."""
        if self._n_left < 1:
            return False
        self._n_left -= 1
        return True

    def succeeded(self) -> None:
        """One transfer of the host has succeeded."""
        self._n_left += self.per_success


def parse_retry_after(value: str, now_s: float, date: str | None = None) -> float | None:
    """Seconds to wait from a Retry-After value: a number, or a date in any of the forms of RFC 9110 section 5.6.7.

    date: the Date of the same answer, which is of the same clock as a date in the value. Where there is none that can be read,
    now_s stands for it: the time of day here in seconds since 1970 (time.time()). 0.0 for what is past, None for what is
    neither.
    """
    text = value.strip()
    try:
        if text and not text.strip("-0123456789."):     # float() knows words, too: nan, inf, 1_0
            seconds = float(text)
        else:
            until_s = _date_s(text)
            seconds = until_s - _answered_s(date, now_s)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S)


def _answered_s(date: str | None, now_s: float) -> float:
    try:
        return now_s if date is None else _date_s(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return now_s


def _date_s(text: str) -> float:
    """Seconds since 1970 of an HTTP date; raises for anything else."""
    from calendar import timegm
    from email.utils import parsedate_tz
    if len(text) > 64:
        raise ValueError("no date is as long")
    date = parsedate_tz(text)
    if date is None:
        raise ValueError("no date")
    return timegm(date[:6]) - (date[9] or 0)
