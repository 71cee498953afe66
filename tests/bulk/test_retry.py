"""Which failures are tried again, after which waits, and how far a host's budget goes."""
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qhttp import errors
from qhttp.bulk.retry import (
    OWN_RETRIES,
    RETRY_AFTER_MAX_S,
    STATUSES,
    Failures,
    RetryBudget,
    RetryPolicy,
    is_retryable,
    own_retries,
    parse_retry_after,
)

NOW = 784111777     # Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 section 5.6.7


def most():
    return 1.0


def least():
    return 0.0


def final(error):
    error.is_final = True
    return error


# -- which
def test_is_retryable_status_only_where_it_may_go_away():
    assert {status for status in range(100, 600) if is_retryable(status, "GET")} == {408, 425, 429, 500, 502, 503,
                                                                                     504} == STATUSES
    assert {status for status in range(100, 600) if is_retryable(errors.HTTPStatusError("x", status), b"GET")} == STATUSES


@pytest.mark.parametrize("error", [
    errors.ConnectError("x"), errors.HostNotFound("x"), errors.TimeoutError("x"), errors.UnexpectedClose("x"),
    errors.NetworkError("x"),
    errors.ProtocolError("x"), errors.BodyError("x"), errors.Truncated("x"), errors.DecodeError("x"),
    errors.ChecksumMismatch("x"),
], ids=lambda error: type(error).__name__)
def test_is_retryable_error_of_the_way_is(error):
    assert is_retryable(error, "GET")
    assert not is_retryable(final(error), "GET")


@pytest.mark.parametrize("error", [
    errors.DeviceError("x"), errors.FileError("x"), errors.TooLarge("x"), errors.ResumeError("x"), errors.RedirectError("x"),
    errors.RequestError("x"), errors.AuthenticationRequired("x"), errors.ProxyAuthenticationRequired("x"),
    errors.ManifestError("x"),
    errors.QHttpError("x"), ValueError("x"), KeyboardInterrupt(),
], ids=lambda error: type(error).__name__)
def test_is_retryable_error_that_stays_is_not(error):
    assert not is_retryable(error, "GET")


@pytest.mark.parametrize("method, expected", [
    ("GET", True), (b"GET", True), ("HEAD", True), ("PUT", True), ("DELETE", True), ("OPTIONS", True),
    ("POST", False), (b"POST", False), ("PATCH", False), ("get", False), ("", False), ("GÉT", False),
])
def test_is_retryable_only_where_the_method_may_be_sent_twice(method, expected):
    assert is_retryable(503, method) is expected
    assert is_retryable(errors.Truncated("x"), method) is expected


@pytest.mark.parametrize("cause, expected", [(errors.HostNotFound("x"), 1), (errors.ChecksumMismatch("x"), 2),
                                             (errors.ConnectError("x"), None), (errors.BodyError("x"), None), (503, None)])
def test_own_retries_of_what_is_mostly_no_glitch(cause, expected):
    assert own_retries(cause) == expected


# -- when
@pytest.mark.parametrize("n_tried, most_s",
                         [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (7, 32.0), (8, 60.0), (50, 60.0), (5000, 60.0)])
def test_delay_grows_up_to_its_cap_with_full_jitter(n_tried, most_s):
    policy = RetryPolicy(retries=10_000)
    assert policy.delay_s(n_tried, None, most) == most_s
    assert policy.delay_s(n_tried, None, least) == 0.0
    assert policy.delay_s(n_tried, None, lambda: 0.5) == most_s / 2


@pytest.mark.parametrize("n_tried, expected", [(1, True), (5, True), (6, False), (100, False)])
def test_delay_ends_after_so_many_retries(n_tried, expected):
    assert (RetryPolicy(retries=5).delay_s(n_tried, None, most) is not None) is expected


def test_delay_without_retries_is_none():
    assert RetryPolicy(retries=0).delay_s(1, 1.0, most) is None


@pytest.mark.parametrize("after_s, least_s, most_s", [(0.0, 0.0, 0.5), (10.0, 10.0, 11.0), (3600.0, 3600.0, 3960.0),
                                                      (86400.0, 3600.0, 3960.0), (float("inf"), 3600.0, 3960.0)])
def test_delay_is_never_below_what_the_server_asks_for_up_to_a_cap(after_s, least_s, most_s):
    policy = RetryPolicy()
    assert policy.delay_s(1, after_s, least) == least_s
    assert policy.delay_s(1, after_s, most) == pytest.approx(most_s)


def test_delay_of_many_clients_is_spread():
    rng = random.Random(1)
    delays = [RetryPolicy().delay_s(3, 10.0, rng.random) for _ in range(100)]
    assert min(delays) >= 10 and len(set(delays)) > 90


@pytest.mark.parametrize("elapsed_s, expected", [(0.0, True), (9.5, True), (9.6, False), (100.0, False)])
def test_delay_that_would_end_after_the_limit_of_time_is_none(elapsed_s, expected):
    assert (RetryPolicy(max_time_s=10).delay_s(1, None, most, elapsed_s) is not None) is expected


@pytest.mark.parametrize("name", ["retries", "max_time_s", "base_s", "cap_s", "after_cap_s"])
@pytest.mark.parametrize("value", [-1, float("nan")])
def test_policy_below_nothing_is_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be 0 or more"):
        RetryPolicy(**{name: value})


# -- all of it, for one transfer
def test_failures_of_one_transfer_end_with_its_retries():
    failures = Failures(RetryPolicy(retries=2))
    assert [failures.delay_s(errors.Truncated("x"), "GET", most) for _ in range(4)] == [0.5, 1.0, None, None]
    assert failures.n_tried == 4


@pytest.mark.parametrize("kind, n", OWN_RETRIES)
def test_failures_of_a_kind_with_a_bound_are_counted_apart(kind, n):
    failures = Failures(RetryPolicy(retries=10))
    assert failures.delay_s(503, "GET", least) is not None
    for _ in range(n):
        assert failures.delay_s(kind("x"), "GET", least) is not None
        assert failures.delay_s(503, "GET", least) is not None
    assert failures.delay_s(kind("x"), "GET", least) is None


def test_failures_that_are_not_retryable_end_at_once():
    assert Failures(RetryPolicy()).delay_s(404, "GET", least) is None
    assert Failures(RetryPolicy()).delay_s(503, "POST", least) is None


def test_failures_hand_on_what_the_server_asks_for_and_the_time():
    assert Failures(RetryPolicy()).delay_s(429, "GET", least, 7.0) == 7.0
    assert Failures(RetryPolicy(max_time_s=5)).delay_s(429, "GET", least, 7.0) is None
    assert Failures(RetryPolicy(max_time_s=5)).delay_s(429, "GET", most, None, 4.9) is None


# -- a host's budget
def test_budget_of_a_host_that_is_down_is_its_reserve():
    budget = RetryBudget(reserve=3)
    assert [budget.take() for _ in range(5)] == [True, True, True, False, False]


def test_budget_grows_with_successes():
    budget = RetryBudget(reserve=0, per_success=0.5)
    budget.succeeded()
    assert not budget.take()
    budget.succeeded()
    assert [budget.take(), budget.take()] == [True, False]


@pytest.mark.parametrize("arguments", [{"reserve": -1}, {"per_success": -0.1}])
def test_budget_below_nothing_is_refused(arguments):
    with pytest.raises(ValueError, match="must be 0 or more"):
        RetryBudget(**arguments)


# -- Retry-After
@pytest.mark.parametrize("value, expected", [
    ("0", 0.0), ("120", 120.0), (" 120 ", 120.0), ("1.5", 1.5), ("-5", 0.0), ("9" * 30, RETRY_AFTER_MAX_S),
    ("9" * 9000, RETRY_AFTER_MAX_S),
    ("Sun, 06 Nov 1994 08:49:47 GMT", 10.0), ("Sunday, 06-Nov-94 08:49:47 GMT", 10.0), ("Sun Nov  6 08:49:47 1994", 10.0),
    ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0), ("Sun, 06 Nov 1994 08:49:30 GMT", 0.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ("Sun, 06 Nov 1994 09:49:47 +0100", 10.0),
])
def test_parse_retry_after_reads_seconds_and_dates(value, expected):
    assert parse_retry_after(value, NOW) == expected


@pytest.mark.parametrize("date, expected", [
    ("Sun, 06 Nov 1994 08:49:17 GMT", 30.0), ("Sat, 05 Nov 1994 08:49:47 GMT", 86_400.0),
    ("Mon, 07 Nov 1994 00:00:00 GMT", 0.0),
    (None, 10.0), ("", 10.0), ("some day", 10.0), ("Sun, 99 Foo 1994", 10.0), ("9" * 100, 10.0)])
def test_parse_retry_after_holds_a_date_against_the_date_of_the_answer(date, expected):
    assert parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", NOW, date) == expected
    assert parse_retry_after("120", NOW, date) == 120.0


@pytest.mark.parametrize("value",
                         ["", " ", "soon", "1e3", "0x10", "inf", "nan", "1_0", "--1", "1-2", ".", "-", "1, 2", "٣",
                          "Sun, 99 Foo 1994",
                                   "Sun, 06 Nov 1994 08:49:47 GMT, Sun, 06 Nov 1994 08:49:47 GMT" * 3, "Sun,", "\x00", "GMT"])
def test_parse_retry_after_of_anything_else_is_none(value):
    assert parse_retry_after(value, NOW) is None


@settings(deadline=None)
@given(st.one_of(st.text(max_size=80), st.text("0123456789 :,-+GMTSunNov", max_size=64)))
def test_parse_retry_after_of_any_text_is_a_time_to_wait_or_none(value):
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or 0 <= seconds <= RETRY_AFTER_MAX_S
