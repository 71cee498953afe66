"""Resolver: addresses in order, one look-up for all who ask, bounded threads, a cache, and forks."""
import _socket
import os
import socket
import sys
import threading

import pytest
from core.process_tools import in_child, in_thread
from support.loops import turn_for, turn_until

import qhttp
from qhttp.engine import resolver as resolver_module
from qhttp.engine.resolver import Resolver, in_turns, literal_address

V4, V6 = socket.AF_INET, socket.AF_INET6
ADDRESS = [(V4, ("127.0.0.1", 80))]


class Asked:
    """A look_up that can be told to wait, and counts."""

    def __init__(self):
        self.hosts, self.now, self.most, self.idents = [], 0, 0, []
        self.gate, self.lock = threading.Event(), threading.Lock()
        self.gate.set()
        self.error = None

    def __call__(self, host, port):
        with self.lock:
            self.hosts.append(host)
            self.idents.append(threading.get_ident())
            self.now += 1
            self.most = max(self.most, self.now)
        self.gate.wait(20)
        with self.lock:
            self.now -= 1
        if self.error is not None:
            raise self.error
        return [(V4, (host, port))]


@pytest.fixture
def asked(monkeypatch):
    asked = Asked()
    monkeypatch.setattr(resolver_module, "look_up", asked)
    yield asked
    asked.gate.set()


@pytest.fixture
def resolver(asked):
    resolver = Resolver(idle_s=0.02)
    yield resolver
    asked.gate.set()
    turn_until(lambda: resolver._n_threads == 0)


def ask(resolver, *hosts, port=80, seconds=5.0):
    """What the callbacks get, host by host, once all have been called."""
    answers = {}
    for host in hosts:
        resolver.lookup(qhttp.loop(), host, port, lambda *answer, host=host: answers.setdefault(host, answer))
    turn_until(lambda: len(answers) == len(hosts), seconds)
    return [answers[host] for host in hosts]


# -- literal addresses
@pytest.mark.parametrize("host, expected", [
    ("127.0.0.1", [(V4, ("127.0.0.1", 80))]), ("0.0.0.0", [(V4, ("0.0.0.0", 80))]),
    ("255.255.255.255", [(V4, ("255.255.255.255", 80))]),
    ("::1", [(V6, ("::1", 80, 0, 0))]), ("::", [(V6, ("::", 80, 0, 0))]), ("2001:DB8::5", [(V6, ("2001:db8::5", 80, 0, 0))]),
    ("::ffff:1.2.3.4", [(V6, ("::ffff:1.2.3.4", 80, 0, 0))]),
])
def test_literal_address_of_an_address_is_itself(host, expected):
    assert literal_address(host, 80) == expected


def test_literal_address_with_a_scope_has_its_number():
    [(family, address)] = literal_address("fe80::1%lo", 80)
    assert (family, address[0].partition("%")[0], address[3]) == (V6, "fe80::1", socket.if_nametoindex("lo"))


@pytest.mark.parametrize("host", ["", "localhost", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.4 ", "127.1",
                                  "3com.example",
                                  "0x7f.0.0.1", ":", "::g", "1:2", "fe80::1%nosuchif", "[::1]", "1234567890", "\u0661.2.3.4",
                                  "\xb2.1.1.1"])
def test_literal_address_of_anything_else_is_none(host):
    assert literal_address(host, 80) is None


# -- in_turns
@pytest.mark.parametrize("families, order", [
    ([], []), ([V4], [0]), ([V4, V4], [0, 1]), ([V6, V6, V4], [0, 2, 1]), ([V4, V6], [0, 1]),
    ([V6, V6, V6, V4, V4], [0, 3, 1, 4, 2]), ([V4, V6, V6, V6], [0, 1, 2, 3]), ([V6, V4, V6, V4], [0, 1, 2, 3]),
])
def test_in_turns_families_alternate_and_keep_their_order(families, order):
    addresses = [(family, (n,)) for n, family in enumerate(families)]
    assert in_turns(addresses) == [addresses[n] for n in order]


# -- look_up
@pytest.mark.parametrize("host, asked_for", [("plain.test", b"plain.test"), ("b\xfccher.test", b"xn--bcher-kva.test")])
def test_look_up_asks_the_system_for_stream_addresses(monkeypatch, host, asked_for):
    calls = []

    def getaddrinfo(*arguments):
        calls.append(arguments)
        return [(V6, 1, 6, "", ("::1", 80, 0, 0)), (V6, 1, 6, "", ("::2", 80, 0, 0)), (V4, 1, 6, "", ("127.0.0.1", 80))]

    monkeypatch.setattr(_socket, "getaddrinfo", getaddrinfo)
    assert resolver_module.look_up(host, 80) == [
        (V6, ("::1", 80, 0, 0)), (V4, ("127.0.0.1", 80)), (V6, ("::2", 80, 0, 0))]
    assert calls == [(asked_for, 80, 0, socket.SOCK_STREAM)]


@pytest.mark.parametrize("host", ["\xfc" * 70, "\xfc..test"])
def test_look_up_impossible_name_is_a_unicode_error(host):
    with pytest.raises(UnicodeError):
        resolver_module.look_up(host, 80)


# -- lookup
def test_lookup_tells_the_addresses_in_a_later_turn(resolver):
    answers = []
    resolver.lookup(qhttp.loop(), "a.test", 80, lambda *answer: answers.append(answer))
    assert answers == []
    turn_until(lambda: answers)
    assert answers == [([(V4, ("a.test", 80))], None)]


def test_lookup_runs_in_another_thread_and_calls_back_in_the_own(resolver, asked):
    idents = []
    resolver.lookup(qhttp.loop(), "a.test", 80, lambda *_: idents.append(threading.get_ident()))
    turn_until(lambda: idents)
    assert idents == [threading.get_ident()] and asked.idents != idents


def test_lookup_of_the_same_name_at_once_is_one(resolver, asked):
    asked.gate.clear()
    answers = []
    for _ in range(10):
        resolver.lookup(qhttp.loop(), "a.test", 80, lambda *answer: answers.append(answer))
    turn_until(lambda: asked.hosts)
    asked.gate.set()
    turn_until(lambda: len(answers) == 10)
    assert asked.hosts == ["a.test"]
    assert all(answer == answers[0] for answer in answers)


def test_lookup_of_the_same_name_with_another_port_is_another(resolver, asked):
    assert ask(resolver, "a.test", port=1) != ask(resolver, "a.test", port=2)
    assert asked.hosts == ["a.test"] * 2


def test_lookup_from_several_threads_is_one_and_each_is_told_in_its_own(resolver, asked):
    asked.gate.clear()
    told = []

    def work():
        resolver.lookup(qhttp.loop(), "a.test", 80, lambda *_: told.append(threading.get_ident()))
        began.release()
        turn_until(lambda: threading.get_ident() in told)

    began = threading.Semaphore(0)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in threads:
        began.acquire()
    idents = [thread.ident for thread in threads]
    asked.gate.set()
    for thread in threads:
        thread.join()
    assert sorted(told) == sorted(idents) and asked.hosts == ["a.test"]


def test_lookup_for_a_loop_that_has_gone_harms_nobody(resolver, asked):
    asked.gate.clear()
    answers = []
    in_thread(lambda: resolver.lookup(qhttp.loop(), "a.test", 80, lambda *_: answers.append("theirs")))
    resolver.lookup(qhttp.loop(), "a.test", 80, lambda *_: answers.append("mine"))
    asked.gate.set()
    turn_until(lambda: answers)
    assert answers == ["mine"]


# -- cache
def test_lookup_again_within_the_time_is_answered_from_the_cache_in_a_later_turn(resolver, asked):
    first = ask(resolver, "a.test")
    answers = []
    resolver.lookup(qhttp.loop(), "a.test", 80, lambda *answer: answers.append(answer))
    assert answers == []
    qhttp.loop().run(0)
    assert answers == first and asked.hosts == ["a.test"]


def test_lookup_after_the_time_asks_again(resolver, asked, monkeypatch):
    ask(resolver, "a.test")
    now = resolver_module.monotonic()
    monkeypatch.setattr(resolver_module, "monotonic", lambda: now + 29)
    ask(resolver, "a.test")
    assert asked.hosts == ["a.test"]
    monkeypatch.setattr(resolver_module, "monotonic", lambda: now + 31)
    ask(resolver, "a.test")
    assert asked.hosts == ["a.test"] * 2


def test_lookup_with_ttl_zero_asks_every_time(resolver, asked):
    resolver.ttl_s = 0
    ask(resolver, "a.test")
    ask(resolver, "a.test")
    assert asked.hosts == ["a.test"] * 2


def test_lookup_of_more_names_than_are_cached_forgets_the_oldest(resolver, asked):
    resolver.max_cached = 2
    for host in ("a", "b", "c"):
        ask(resolver, host)
    asked.hosts.clear()
    for host in ("b", "c", "a"):
        ask(resolver, host)
    assert asked.hosts == ["a"]


def test_lookup_answer_changed_by_its_receiver_leaves_the_cache(resolver):
    [(addresses, _)] = ask(resolver, "a.test")
    expected = list(addresses)
    qhttp.loop().run(0)
    assert ask(resolver, "a.test") == [(expected, None)]


# -- failures
@pytest.mark.parametrize("error", [OSError("no such name"), socket.gaierror(-2, "unknown"), UnicodeError("label too long")])
def test_lookup_that_fails_tells_the_error_and_does_not_keep_it(resolver, asked, error):
    asked.error = error
    [(addresses, told)] = ask(resolver, "a.test")
    assert addresses is None and told is error
    asked.error = None
    [(addresses, told)] = ask(resolver, "a.test")
    assert addresses and told is None


def test_lookup_that_finds_nothing_is_not_kept(resolver, monkeypatch):
    calls = []
    monkeypatch.setattr(resolver_module, "look_up", lambda *_: calls.append(1) or [])
    assert ask(resolver, "a.test")[0][0] == []
    assert ask(resolver, "a.test")[0][0] == []
    assert len(calls) == 2


def test_lookup_that_fails_in_an_unforeseen_way_is_told_all_the_same(asked, monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    asked.error = MemoryError()
    [(addresses, told)] = ask(Resolver(idle_s=0.02), "a.test", seconds=1)
    assert addresses is None and told is not None


# -- threads
def test_lookup_of_many_names_uses_no_more_threads_than_allowed(resolver, asked):
    resolver.max_threads = 2
    asked.gate.clear()
    answers = []
    for n in range(8):
        resolver.lookup(qhttp.loop(), f"n{n}", 80, lambda *answer: answers.append(answer))
    turn_until(lambda: asked.now == 2)
    turn_for(0.02)
    assert asked.now == 2
    asked.gate.set()
    turn_until(lambda: len(answers) == 8)
    assert asked.most == 2


def test_lookup_one_after_the_other_uses_one_thread(resolver, asked):
    resolver.idle_s = 5
    for n in range(5):
        ask(resolver, f"n{n}")
    assert len(set(asked.idents)) == 1
    resolver.idle_s = 0.001
    ask(resolver, "last")


def test_lookup_thread_without_work_ends(resolver):
    before = len(os.listdir("/proc/self/task"))
    ask(resolver, "a.test")
    turn_until(lambda: len(os.listdir("/proc/self/task")) == before)


def test_lookup_after_its_thread_has_ended_starts_another(resolver, asked):
    ask(resolver, "a.test")
    turn_until(lambda: resolver._n_threads == 0)
    ask(resolver, "b.test")
    assert asked.hosts == ["a.test", "b.test"]


def test_lookup_goes_on_beside_as_many_slow_ones_as_there_are_threads(resolver, asked):
    resolver.max_threads, resolver.slow_s = 2, 0.01
    asked.gate.clear()
    for host in ("slow", "slower"):
        resolver.lookup(qhttp.loop(), host, 80, print)
    turn_until(lambda: asked.now == 2)
    resolver.lookup(qhttp.loop(), "other", 80, print)
    turn_until(lambda: "other" in asked.hosts)


def test_lookup_of_slow_names_has_a_bound(resolver, asked):
    resolver.max_threads, resolver.slow_s, resolver.max_slow = 1, 0.01, 2
    asked.gate.clear()
    answers = []
    for n in range(6):
        resolver.lookup(qhttp.loop(), f"n{n}", 80, lambda *answer: answers.append(answer))
    turn_until(lambda: asked.now == 3)
    turn_for(0.05)
    assert asked.now == 3
    asked.gate.set()
    turn_until(lambda: len(answers) == 6)


def test_lookup_that_nobody_waits_for_any_more_is_not_begun(resolver, asked):
    resolver.max_threads = 1
    asked.gate.clear()
    answers, gone = [], []
    resolver.lookup(qhttp.loop(), "first", 80, lambda *answer: answers.append(answer))
    turn_until(lambda: asked.now == 1)
    resolver.lookup(qhttp.loop(), "unwanted", 80, gone.append)
    resolver.lookup(qhttp.loop(), "last", 80, lambda *answer: answers.append(answer))
    resolver.forget("unwanted", 80, gone.append)
    asked.gate.set()
    turn_until(lambda: len(answers) == 2)
    assert asked.hosts == ["first", "last"] and gone == [] and resolver._asking == {}


def test_lookup_of_a_name_that_is_being_looked_up_for_nobody_waits_for_that(resolver, asked):
    asked.gate.clear()
    answers, gone = [], []
    resolver.lookup(qhttp.loop(), "a.test", 80, gone.append)
    turn_until(lambda: asked.now == 1)
    resolver.forget("a.test", 80, gone.append)
    resolver.lookup(qhttp.loop(), "a.test", 80, lambda *answer: answers.append(answer))
    asked.gate.set()
    turn_until(lambda: answers)
    assert asked.hosts == ["a.test"] and gone == []


def test_lookup_can_be_forgotten_while_the_own_thread_has_the_lock(resolver, asked):
    """By the handler of a signal, say, that aborts a request."""
    asked.gate.clear()
    gone = []
    resolver.lookup(qhttp.loop(), "a.test", 80, gone.append)
    with resolver._lock:
        resolver.forget("a.test", 80, gone.append)
    asked.gate.set()
    turn_until(lambda: not resolver._asking)
    assert gone == []


def no_thread(*_):
    raise RuntimeError("can't start new thread")


def test_lookup_without_a_thread_to_start_is_done_by_the_own_in_a_later_turn(resolver, asked, monkeypatch):
    monkeypatch.setattr(resolver_module, "start_new_thread", no_thread)
    assert ask(resolver, "a.test", "b.test") == [([(V4, (host, 80))], None) for host in ("a.test", "b.test")]
    assert asked.idents == [threading.get_ident()] * 2


def test_lookup_by_the_own_thread_that_is_interrupted_is_told_and_works_again(resolver, asked, monkeypatch):
    with monkeypatch.context() as without:
        without.setattr(resolver_module, "start_new_thread", no_thread)
        asked.error, answers = KeyboardInterrupt(), []
        resolver.lookup(qhttp.loop(), "a.test", 80, lambda *answer: answers.append(answer))
        with pytest.raises(KeyboardInterrupt):
            turn_until(lambda: answers)
        turn_until(lambda: answers)
    asked.error = None
    assert answers[0][0] is None and isinstance(answers[0][1], OSError)
    assert ask(resolver, "a.test") == [([(V4, ("a.test", 80))], None)]


def test_lookup_after_no_thread_could_be_started_works_again(resolver, asked, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(resolver_module, "start_new_thread", no_thread)
        ask(resolver, "a.test", "b.test")
    assert all(addresses for addresses, _ in ask(resolver, "a.test", "c.test"))


def test_lookup_that_cannot_start_a_second_thread_is_done_by_the_first(resolver, asked, monkeypatch):
    asked.gate.clear()
    answers = []
    resolver.lookup(qhttp.loop(), "a.test", 80, lambda *answer: answers.append(answer))
    turn_until(lambda: asked.hosts)
    monkeypatch.setattr(resolver_module, "start_new_thread", no_thread)
    resolver.lookup(qhttp.loop(), "b.test", 80, lambda *answer: answers.append(answer))
    asked.gate.set()
    turn_until(lambda: len(answers) == 2)
    assert [error for _, error in answers] == [None, None]


# -- forks
@pytest.fixture
def shared(asked, monkeypatch):
    """The resolver of the module: the one that looks after forks."""
    shared = resolver_module.resolver
    monkeypatch.setattr(shared, "idle_s", 0.02)
    shared._cache.clear()
    yield shared
    asked.gate.set()
    shared._cache.clear()
    turn_until(lambda: shared._n_threads == 0)


def test_lookup_in_a_child_works_while_the_parents_hangs(shared, asked):
    asked.gate.clear()
    answers = []
    shared.lookup(qhttp.loop(), "a.test", 80, lambda *answer: answers.append(answer))
    turn_until(lambda: asked.hosts)

    def child():
        asked.gate.set()
        return ask(shared, "a.test", "b.test")

    assert in_child(child) == [([(V4, (host, 80))], None) for host in ("a.test", "b.test")]
    assert answers == []
    asked.gate.set()
    turn_until(lambda: answers)


def test_lookup_in_a_child_works_when_the_lock_was_held(shared, asked):
    with shared._lock:
        assert in_child(lambda: ask(shared, "a.test")) == [([(V4, ("a.test", 80))], None)]


def test_lookup_in_a_child_does_not_count_on_the_parents_idle_threads(shared, asked, monkeypatch):
    monkeypatch.setattr(shared, "idle_s", 5)
    ask(shared, "a.test")
    assert in_child(lambda: ask(shared, "b.test")) == [([(V4, ("b.test", 80))], None)]
    monkeypatch.setattr(shared, "idle_s", 0.001)
    ask(shared, "c.test")
