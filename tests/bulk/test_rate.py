"""Token buckets against made-up times, and the words for sizes, rates and speeds."""
import pytest

from qhttp.bulk.rate import RATE_MIN, SPEED_WINDOW_S, TokenBucket, first_wait_s, parse_rate, parse_size, parse_speed

S = 1_000_000_000       # a second
START = 7 * S


def test_bucket_that_is_new_lets_its_burst_through_and_then_waits():
    bucket = TokenBucket(100, burst=50)
    assert bucket.wait_s(START) == 0.0
    bucket.take(50, START)
    assert bucket.wait_s(START) == 0.0      # nothing is owed
    bucket.take(25, START)
    assert bucket.wait_s(START) == pytest.approx(0.25)


def test_bucket_without_a_burst_saves_up_one_second():
    bucket = TokenBucket(100)
    assert bucket.burst == 100
    bucket.take(300, START)
    assert bucket.wait_s(START) == pytest.approx(2.0)


@pytest.mark.parametrize("elapsed_ns, expected", [(0, 2.0), (S // 2, 1.5), (2 * S, 0.0), (9 * S, 0.0)])
def test_bucket_that_is_overdrawn_fills_with_time(elapsed_ns, expected):
    bucket = TokenBucket(10, burst=10)
    bucket.take(30, START)
    assert bucket.wait_s(START + elapsed_ns) == pytest.approx(expected)


def test_bucket_after_the_wait_it_asked_for_asks_for_no_other():
    bucket = TokenBucket(3, burst=1)
    now = START
    for _ in range(100):
        bucket.take(1, now)
        now += round(bucket.wait_s(now, 1) * S)
        assert bucket.wait_s(now, 1) == 0.0
    assert (now - START) / S == pytest.approx(100 / 3, rel=1e-6)


def test_bucket_never_saves_up_more_than_its_burst():
    bucket = TokenBucket(10, burst=5)
    bucket.take(0, START)
    bucket.take(5, START + 100 * S)
    bucket.take(1, START + 100 * S)
    assert bucket.wait_s(START + 100 * S) == pytest.approx(0.1)


@pytest.mark.parametrize("piece", [1, 7, 1000, 65536])
def test_bucket_lets_its_rate_through_whatever_the_pieces(piece):
    bucket, now, n = TokenBucket(1000, burst=10), START, 0
    while n < 100_000:
        now += round(bucket.wait_s(now) * S)
        bucket.take(piece, now)
        n += piece
    now += round(bucket.wait_s(now) * S)
    assert n / ((now - START) / S) == pytest.approx(1000, rel=2e-3)


def test_bucket_asked_for_more_than_its_burst_waits_until_it_is_full():
    bucket = TokenBucket(10, burst=5)
    bucket.take(5, START)
    assert bucket.wait_s(START, 1000) == pytest.approx(0.5)


def test_bucket_takes_no_harm_from_a_clock_that_goes_back():
    bucket = TokenBucket(10, burst=10)
    bucket.take(20, START)
    assert bucket.wait_s(START - 5 * S) == pytest.approx(1.0)
    assert bucket.wait_s(START) == pytest.approx(1.0)


@pytest.mark.parametrize("rate, burst, named", [(0, None, "rate"), (-1, None, "rate"), (float("nan"), None, "rate"),
                                                (float("inf"), None, "rate"), (1, 0, "burst"), (1, -1, "burst")])
def test_bucket_of_an_impossible_rate_is_refused(rate, burst, named):
    with pytest.raises(ValueError, match=f"^{named} must be"):
        TokenBucket(rate, burst)


def test_first_wait_is_that_of_the_bucket_that_is_latest():
    total, host = TokenBucket(100, burst=1), TokenBucket(10, burst=1)
    total.take(31, START)
    host.take(2, START)
    assert first_wait_s((total, host), START) == pytest.approx(0.3)
    assert first_wait_s((None, host), START) == pytest.approx(0.1)
    assert first_wait_s((None, host), START, 1) == pytest.approx(0.2)


@pytest.mark.parametrize("buckets", [(), (None, None)])
def test_first_wait_without_limits_is_none(buckets):
    assert first_wait_s(buckets, START) == 0.0


# -- words
@pytest.mark.parametrize("text, expected", [
    ("0", 0), ("500", 500), ("64k", 65536), ("64K", 65536), ("1.5M", 1572864), (" 2g ", 2 << 30), ("1T", 1 << 40),
    ("1p", 1 << 50),
    ("2GiB", 2 << 30), ("2kib", 2048), (".5k", 512), ("3.", 3),
])
def test_parse_size_reads(text, expected):
    size = parse_size(text)
    assert (size, type(size)) == (expected, int)


@pytest.mark.parametrize("text",
                         ["", "k", ".", "-1", "+1", "1e3", "1 k", "1kk", "1x", "0x10", "1_000", "inf", "nan", "1.2.3", "ib",
                          "5ib",
                                  "٣", "9" * 30, "99999p", "1,5M", "10MB"])
def test_parse_size_of_anything_else_says_what_is_expected(text):
    with pytest.raises(ValueError, match=r"a size looks like 500, 64k or 1\.5M"):
        parse_size(text)


@pytest.mark.parametrize("text", ["0.9", ".5", "0.0009k", "0.1ib"])
def test_parse_size_of_less_than_a_byte_is_not_taken_for_no_limit(text):
    with pytest.raises(ValueError, match="a size looks like"):
        parse_size(text)
    with pytest.raises(ValueError, match="a speed looks like"):
        parse_speed(f"{text}/30s")


@pytest.mark.parametrize("text", ["0.0000001/h", "0.00000000099", "0.00008/d"])
def test_parse_rate_too_low_for_a_pause_in_nanoseconds_is_refused(text):
    with pytest.raises(ValueError, match="one in 1000000000 seconds at least"):
        parse_rate(text)


def test_parse_rate_at_its_bound_is_taken():
    assert parse_rate("0.000000001") == RATE_MIN and parse_rate("0/d") == 0


@pytest.mark.parametrize("text, expected", [
    ("5/s", 5.0), ("5", 5.0), ("300/m", 5.0), ("36/h", 0.01), ("0.5/s", 0.5), (" 5 / S ", 5.0), ("0", 0.0), ("864/d", 0.01),
])
def test_parse_rate_reads(text, expected):
    assert parse_rate(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "/s", "5/", "5/x", "5//s", "5/s/s", "-5/s", "five/s", "5k/s", "inf/s", "nan", "9" * 400])
def test_parse_rate_of_anything_else_says_what_is_expected(text):
    with pytest.raises(ValueError, match="a rate looks like 5/s"):
        parse_rate(text)


@pytest.mark.parametrize("text, expected", [
    ("1k/30s", (1024, 30.0)), ("1k/30", (1024, 30.0)), ("100/1m", (100, 60.0)), ("1.5M/0.5s", (1572864, 0.5)),
    ("1k", (1024, SPEED_WINDOW_S)), ("0/1s", (0, 1.0)), (" 1k / 30 s ".replace("0 s", "0s"), (1024, 30.0)),
])
def test_parse_speed_reads(text, expected):
    assert parse_speed(text) == expected


@pytest.mark.parametrize("text",
                         ["", "/30s", "1k/", "1k/0s", "1k/-1s", "1k/30x", "1k/30s/2", "fast", "1k/inf", "1k/" + "9" * 400])
def test_parse_speed_of_anything_else_says_what_is_expected(text):
    with pytest.raises(ValueError, match="a speed looks like 1k/30s"):
        parse_speed(text)


@pytest.mark.parametrize("parse", [parse_size, parse_rate, parse_speed])
def test_words_that_are_long_are_not_repeated_whole(parse):
    with pytest.raises(ValueError) as caught:
        parse("x" * 10_000)
    assert len(str(caught.value)) < 250
