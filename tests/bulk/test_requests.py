"""Requests: what fields they have, the way to a host, and what a row may ask for."""
import types

import pytest

import qhttp
from qhttp.bulk.access import CookieStore, ProxyChoice
from qhttp.bulk.identity import Identity
from qhttp.bulk.requests import (
    OURS,
    SECRET,
    basic_fields,
    checked_headers,
    checked_row,
    fields_for,
    head_tail,
    host_field,
    route_to,
    with_given,
)
from qhttp.bulk.settings import Settings
from qhttp.engine.route import CACHING, CONNECT, SOCKS

HOME, AWAY = ("http", "a.test", 80), ("http", "b.test", 80)


@pytest.mark.parametrize(
    "origin, value",
    [
        (("http", "a.test", 80), "a.test"),
        (("https", "a.test", 443), "a.test"),
        (("http", "a.test", 443), "a.test:443"),
        (("https", "a.test", 80), "a.test:80"),
        (("http", "::1", 80), "[::1]"),
        (("https", "2001:db8::1", 8443), "[2001:db8::1]:8443"),
        (("http", "127.0.0.1", 8080), "127.0.0.1:8080"),
    ],
)
def test_host_field_names_a_port_that_is_not_the_schemes(origin, value):
    assert host_field(origin) == value


def test_basic_fields_ask_for_no_coding_unless_told():
    fields = dict(basic_fields(Settings(), HOME))
    assert fields["Accept-Encoding"] == "identity" and fields["Host"] == "a.test" and qhttp.__version__ in fields["User-Agent"]
    assert "gzip" in dict(basic_fields(Settings(compressed=True), HOME))["Accept-Encoding"]


def test_with_given_replaces_in_any_case_and_keeps_what_comes_twice():
    fields = with_given([("Host", "a"), ("Accept", "*/*")], [("accept", "text/html"), ("X", "1"), ("X", "2")])
    assert fields == [("Host", "a"), ("accept", "text/html"), ("X", "1"), ("X", "2")]


def test_head_tail_is_the_rest_of_a_head():
    tail = head_tail(Settings(headers=[("User-Agent", "me"), ("X", "\xe9")]), ("http", "a.test", 8080))
    assert (
        tail
        == b" HTTP/1.1\r\nHost: a.test:8080\r\nAccept: */*\r\nAccept-Encoding: identity\r\nUser-Agent: me\r\nX: \xe9\r\n\r\n"
    )


# -- fields of a request that is not a plain one
def transfer_at(origin, headers=(), ranges=(), url="http://a.test/x"):
    return types.SimpleNamespace(
        place=(origin, b"/x"), is_at_home=origin == HOME, request_headers=headers, range_fields=list(ranges), url_effective=url,
        has_lost_body=False,
    )


def runner_with(identity=None, **settings):
    return types.SimpleNamespace(settings=Settings(**settings), identity=identity)


@pytest.mark.parametrize("name", sorted(SECRET))
@pytest.mark.parametrize("spelling", [str.lower, str.title, str.upper])
def test_fields_for_secrets_stay_at_home(name, spelling):
    given = [(spelling(name), "hidden"), ("X-Mine", "yes")]
    for settings, headers in ((given, []), ([], given)):
        at_home = fields_for(runner_with(headers=settings), transfer_at(HOME, headers))
        away = fields_for(runner_with(headers=settings), transfer_at(AWAY, headers))
        assert (spelling(name), "hidden") in at_home
        assert "hidden" not in str(away) and ("X-Mine", "yes") in away


@pytest.mark.parametrize("origin", [("https", "a.test", 443), ("http", "a.test", 8080), ("http", "sub.a.test", 80)])
def test_fields_for_another_scheme_port_or_host_is_not_home(origin):
    fields = fields_for(runner_with(headers=[("Authorization", "hidden")]), transfer_at(origin))
    assert "hidden" not in str(fields)


def test_fields_for_host_of_the_caller_counts_at_home_only():
    given = [("Host", "virtual.test")]
    assert ("Host", "virtual.test") in fields_for(runner_with(headers=given), transfer_at(HOME))
    assert [value for name, value in fields_for(runner_with(headers=given), transfer_at(AWAY)) if name == "Host"] == ["b.test"]


def test_fields_for_row_goes_before_settings():
    fields = fields_for(runner_with(headers=[("Accept", "a"), ("X", "all")]), transfer_at(HOME, [("accept", "b")]))
    assert [value for name, value in fields if name.lower() == "accept"] == ["b"] and ("X", "all") in fields


def test_fields_for_cookie_of_the_store_unless_the_caller_has_one():
    identity = types.SimpleNamespace(cookies=CookieStore())
    identity.cookies.store("http://a.test/", [("Set-Cookie", "k=v")])
    assert ("Cookie", "k=v") in fields_for(runner_with(identity), transfer_at(HOME))
    own = fields_for(runner_with(identity), transfer_at(HOME, [("Cookie", "mine=1")]))
    assert [value for name, value in own if name == "Cookie"] == ["mine=1"]
    assert not any(name == "Cookie" for name, _ in fields_for(runner_with(identity), transfer_at(AWAY, url="http://b.test/")))


def test_fields_for_range_comes_last():
    assert fields_for(runner_with(), transfer_at(HOME, ranges=[("Range", "bytes=5-")]))[-1] == ("Range", "bytes=5-")


# -- what a row may ask for
@pytest.mark.parametrize("given", [[("A", "b")], [["A", "b"]], {"A": "b"}, (("A", "b"),)])
def test_checked_headers_takes_pairs_and_dicts(given):
    assert checked_headers(given) == [("A", "b")]


@pytest.mark.parametrize("name", sorted(OURS))
def test_checked_headers_that_are_ours_are_refused_by_name(name):
    with pytest.raises(ValueError, match=f"(?i)header {name}"):
        checked_headers([(name.title(), "x")])


@pytest.mark.parametrize(
    "pair", [("", "x"), ("A B", "x"), ("A:", "x"), ("A\r\n", "x"), ("A", "x\ny"), ("A", "x\r"), ("A", "\0"), ("A", "\u20ac")]
)
def test_checked_headers_that_would_break_the_head_are_refused(pair):
    with pytest.raises(ValueError):
        checked_headers([pair])


def test_checked_headers_refusal_does_not_show_the_value():
    with pytest.raises(ValueError) as refusal:
        checked_headers([("Authorization", "hidden\r\nX: y")])
    assert "hidden" not in str(refusal.value)


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"url": ""},
        {"url": 5},
        {"url": "http://a/", "size": -1},
        {"url": "http://a/", "size": "5"},
        {"url": "http://a/", "checksum": "md5"},
        {"url": "http://a/", "checksum": "sha256:00"},
        {"url": "http://a/", "checksum": ["nosuch:00"]},
        {"url": "http://a/", "out": 5},
        {"url": "http://a/", "headers": [("Range", "bytes=0-")]},
        {"url": "http://a/", "headers": "X: y"},
        {"url": "http://a/", "mirrors": "x"},
        {"url": "http://a/", "dir": b"x"},
    ],
)
def test_checked_row_that_is_none_is_refused(row):
    with pytest.raises((ValueError, TypeError)):
        checked_row(row)


def test_checked_row_keeps_what_is_known():
    row = {
        "url": "http://a/",
        "out": "x",
        "size": 5,
        "checksum": "sha256:" + "0" * 64,
        "headers": {"A": "b"},
        "extra": object(),
        "dir": None,
    }
    checked = checked_row(row)
    assert (checked["url"], checked["out"], checked["size"], checked["headers"]) == ("http://a/", "x", 5, [("A", "b")])
    assert "dir" not in checked


# -- the way to a host
def route(origin, proxy=None, **settings):
    settings = Settings(**settings)
    return route_to(origin, settings, ProxyChoice(proxy) if proxy else None, Identity.needed(settings, proxy is not None))


def test_route_to_plain_origin_is_direct():
    way, head = route(HOME)
    assert (way.host, way.port, way.tls, way.proxy, head) == ("a.test", 80, None, None, b"")


def test_route_to_https_has_tls():
    way, head = route(("https", "a.test", 443))
    assert way.tls is not None and way.port == 443 and head == b""


@pytest.mark.parametrize(
    "origin, proxy, kind, head",
    [
        (HOME, "http://p.test:3128", CACHING, b"http://a.test"),
        (("http", "a.test", 81), "p.test:3128", CACHING, b"http://a.test:81"),
        (("https", "a.test", 443), "http://p.test:3128", CONNECT, b""),
        (HOME, "socks5://p.test", SOCKS, b""),
        (("https", "a.test", 443), "socks5h://p.test", SOCKS, b""),
        (("http", "::1", 80), "http://p.test", CACHING, b"http://[::1]"),
    ],
)
def test_route_to_goes_through_the_proxy(origin, proxy, kind, head):
    way, found = route(origin, proxy)
    assert (way.proxy.kind, way.proxy.host, found) == (kind, "p.test", head)


def test_route_to_proxies_with_other_users_are_others():
    first, second = (route(HOME, f"http://{user}:pw@p.test")[0] for user in ("one", "two"))
    assert first.key != second.key
    assert "pw" not in repr(first.proxy)


@pytest.mark.parametrize("family, number", [(0, 0), (4, 2), (6, 10)])
def test_route_to_keeps_the_family(family, number):
    assert route(HOME, family=family)[0].family == number
