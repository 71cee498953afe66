"""From a host to a connection: addresses in turn, refusals, silence, limits of time, and calling it off."""
import _socket
import errno
import gc
import os
import resource
import socket
import threading
import time

import pytest
from core.process_tools import descriptors
from engine.recording import PATIENCE_MS, Recorded
from support import faults
from support.actions import Pause, ReceiveRequest, Reset, Send
from support.loops import turn_until

import qhttp
from qhttp.engine import resolver as resolver_module

DELAY_S = 0.25              # between the starts of two attempts
OK = ("NoError", faults.BODY)


def address(server):
    return server.host, server.port


def fetch_by_name(names, *addresses, prepare=lambda http: None):
    """The recorded client of one GET of a name with these addresses, its result, and how long it took."""
    names["name.test"] = list(addresses)
    recorded = Recorded("name.test", 80)
    prepare(recorded.http)
    began = time.monotonic()
    outcome = recorded.get()
    return recorded, outcome, time.monotonic() - began


# -- names and literal addresses
def test_name_is_looked_up_and_told(scripted_server, names):
    recorded, outcome, _ = fetch_by_name(names, address(scripted_server(faults.answer())))
    assert outcome == OK
    assert recorded.states == ["HostLookup", "Connecting", "Sending", "Reading", "Connected"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "2001:db8::1"])
def test_literal_address_is_not_looked_up(names, closed_port, host):
    recorded = Recorded(host, closed_port.port)
    recorded.http.setConnectTimeout(50)             # nobody may be behind the last one
    assert recorded.get()[0] in ("ConnectionRefused", "UnknownError")
    assert recorded.states == ["Connecting", "Unconnected"]
    assert names.asked == []


def test_name_of_two_objects_is_looked_up_once(scripted_server, names):
    server = scripted_server(beyond=faults.answer())
    names["name.test"] = [address(server)]
    names.gate.clear()
    both = [Recorded("name.test", 80) for _ in range(2)]
    for recorded in both:
        recorded.http.get("/")
    turn_until(lambda: names.asked)
    names.gate.set()
    assert [recorded.wait() for recorded in both] == ["NoError"] * 2
    assert names.asked == ["name.test"]


@pytest.mark.parametrize("answer", [OSError("unknown"), UnicodeError("label too long"), []])
def test_name_without_an_address_is_host_not_found(names, answer):
    names["name.test"] = answer
    recorded = Recorded("name.test", 80)
    assert recorded.get() == ("HostNotFound", b"")
    assert recorded.http.errorString() == "Host name.test not found"
    assert recorded.states == ["HostLookup", "Unconnected"]
    assert recorded.done == [True]


def test_name_not_found_once_is_looked_up_again(scripted_server, names):
    recorded = Recorded("name.test", 80)
    assert recorded.get()[0] == "HostNotFound"
    names["name.test"] = [address(scripted_server(faults.answer()))]
    assert recorded.get() == OK


def test_empty_host_is_not_found(names):
    recorded = Recorded("", 80)
    assert recorded.get()[0] == "HostNotFound"
    assert names.asked == []


def test_name_that_cannot_be_encoded_is_refused_or_fails(names):
    http = qhttp.QHttp()
    try:
        http.setHost("\xfc" * 70)
        http.get("/")
        http.waitForDone(1000)
    except ValueError:
        pass                            # to be told is as good as error(), to wait for ever is not
    assert http.waitForDone(1000)


# -- several addresses
def test_first_address_refused_second_is_tried_at_once(scripted_server, closed_port, names):
    server = scripted_server(faults.answer())
    _, outcome, seconds = fetch_by_name(names, address(closed_port), address(server))
    assert outcome == OK and seconds < DELAY_S
    assert len(server.connections) == 1


def test_first_address_good_second_is_not_tried(scripted_server, names):
    good, other = scripted_server(faults.answer()), scripted_server(faults.answer())
    assert fetch_by_name(names, address(good), address(other))[1] == OK
    assert len(good.connections) == 1 and other.connections == []


def test_first_address_silent_second_is_tried_after_a_while(scripted_server, blackhole, names):
    _, outcome, seconds = fetch_by_name(names, blackhole.address, address(scripted_server(faults.answer())))
    assert outcome == OK
    assert DELAY_S * 0.9 <= seconds < 3


def test_first_silent_second_refused_third_is_tried_at_once(scripted_server, blackhole, closed_port, names):
    _, outcome, seconds = fetch_by_name(
        names, blackhole.address, address(closed_port), address(scripted_server(faults.answer())))
    assert outcome == OK
    assert seconds < DELAY_S * 1.9


def test_two_silent_addresses_are_tried_side_by_side(scripted_server, blackhole, names):
    _, outcome, seconds = fetch_by_name(
        names, blackhole.address, blackhole.address, address(scripted_server(faults.answer())))
    assert outcome == OK
    assert DELAY_S * 1.9 <= seconds < 3


def test_attempt_that_lost_is_closed(scripted_server, blackhole, names):
    qhttp.loop()
    before = descriptors()
    server = scripted_server(faults.answer())
    with_server = len(descriptors())
    recorded, outcome, _ = fetch_by_name(names, blackhole.address, address(server))
    assert outcome == OK
    assert len(descriptors()) == with_server + 2            # both ends of the one that won
    del recorded
    server.close()
    assert descriptors() == before


@pytest.mark.parametrize("n", [1, 2, 5])
def test_all_addresses_refused_is_connection_refused(closed_port, names, n):
    recorded, outcome, _ = fetch_by_name(names, *[address(closed_port)] * n)
    assert outcome[0] == "ConnectionRefused"
    assert recorded.http.errorString() == "Connection refused (or timed out)"
    assert recorded.states == ["HostLookup", "Connecting", "Unconnected"]


def test_address_out_of_reach_is_told_by_its_text(names):
    recorded, outcome, _ = fetch_by_name(names, ("255.255.255.255", 80))
    assert outcome[0] == "UnknownError"
    assert recorded.http.errorString().startswith("HTTP request failed: ")


def test_address_out_of_reach_then_a_good_one_works(scripted_server, names):
    assert fetch_by_name(names, ("255.255.255.255", 80), address(scripted_server(faults.answer())))[1] == OK


def test_address_of_a_family_that_nobody_has_is_passed_over(scripted_server, names, monkeypatch):
    server = scripted_server(faults.answer())
    monkeypatch.setattr(resolver_module, "look_up",
                        lambda *_: [(9999, ("x", 1)), (socket.AF_INET, address(server))])
    assert Recorded("name.test", 80).get() == OK


@pytest.fixture
def use_up_descriptors():
    """A function that leaves this process without a free descriptor until the test has ended, or it is called again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    holders = []

    def use_up(wanted=True):
        if not wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            while holders:
                os.close(holders.pop())
            return
        gc.collect()
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 8, hard))
        with pytest.raises(OSError):
            while True:
                holders.append(os.open("/dev/null", os.O_RDONLY))

    yield use_up
    use_up(False)


def test_no_descriptor_left_is_an_error_and_the_next_request_works(scripted_server, client, use_up_descriptors):
    recorded = client(scripted_server(faults.answer()))
    recorded.http.requestStarted.connect(lambda: use_up_descriptors())
    recorded.http.requestFinished.connect(lambda: use_up_descriptors(False))
    assert recorded.get()[0] == "UnknownError"
    assert "open files" in recorded.http.errorString()
    recorded.http.requestStarted.disconnect()
    assert recorded.get() == OK


class UnwatchableSocket:
    """Stands in for a socket that the poll set refuses, as a full one does: its descriptor is a regular file's."""

    others: list = []

    def __init__(self, *_):
        self.fd = os.open(__file__, os.O_RDONLY)

    def setsockopt(self, *_):
        pass

    def connect_ex(self, _):
        return errno.EINPROGRESS

    def fileno(self):
        return self.fd

    def close(self):
        os.close(self.fd)
        self.others.append(os.open(__file__, os.O_RDONLY))      # another's file gets the number


def test_socket_that_cannot_be_watched_is_closed_once_and_told(scripted_server, client, monkeypatch):
    server = scripted_server(beyond=faults.answer())
    recorded = client(server)
    with monkeypatch.context() as patch:
        patch.setattr(_socket, "socket", UnwatchableSocket)
        patch.setattr(UnwatchableSocket, "others", [])
        assert recorded.get()[0] == "UnknownError"
        for fd in UnwatchableSocket.others:
            os.close(fd)                # still open: nobody has closed the number a second time
    assert [client(server).get() for _ in range(3)] == [OK] * 3


# -- limits of time
def test_connect_that_gets_no_answer_ends_at_the_limit(blackhole):
    recorded = Recorded(blackhole.host, blackhole.port)
    recorded.http.setConnectTimeout(60)
    began = time.monotonic()
    assert recorded.get()[0] == "ConnectionRefused"
    assert 0.06 <= time.monotonic() - began < 3
    assert recorded.http.errorString() == "Connection refused (or timed out)"
    assert recorded.states == ["Connecting", "Unconnected"]


def test_connect_limit_covers_the_look_up(names):
    names.gate.clear()
    recorded = Recorded("name.test", 80)
    recorded.http.setConnectTimeout(60)
    assert recorded.get()[0] == "ConnectionRefused"
    assert recorded.states == ["HostLookup", "Unconnected"]


def test_connect_limit_does_not_cover_the_answer(scripted_server, client):
    recorded = client(scripted_server([ReceiveRequest(), Pause(0.1), Send(faults.whole())]))
    recorded.http.setConnectTimeout(50)
    assert recorded.get() == OK


def test_connect_limit_of_an_attempt_that_was_reset_does_not_end_the_answer_to_the_next(scripted_server, client):
    reset = threading.Event()

    def refuse(peer):
        try:
            Reset()(peer)
        finally:
            reset.set()

    server = scripted_server([refuse], beyond=[ReceiveRequest(), Pause(0.3), Send(faults.whole())])
    recorded = client(server)
    recorded.http.setConnectTimeout(150)

    def wait_for_reset(state):          # the loop is told of it before it has seen that the connection stands
        if state is recorded.http.Connecting and not reset.is_set():
            qhttp.loop().call_soon(lambda: reset.wait(5))

    recorded.http.stateChanged.connect(wait_for_reset)
    assert recorded.get() == OK
    assert len(server.connections) == 2
    recorded.http.close()
    recorded.wait()


def test_connect_limit_leaves_nothing_open(blackhole):
    qhttp.loop()
    before = descriptors()
    recorded = Recorded(blackhole.host, blackhole.port)
    recorded.http.setConnectTimeout(20)
    assert recorded.get()[0] == "ConnectionRefused"
    assert descriptors() == before


# -- calling it off
def test_abort_during_the_look_up_ignores_its_answer(scripted_server, names):
    server = scripted_server(faults.answer())
    names["name.test"] = [address(server)]
    names.gate.clear()
    recorded = Recorded("name.test", 80)
    recorded.http.get("/")
    turn_until(lambda: names.asked)
    recorded.http.abort()
    assert recorded.wait() == "Aborted"
    names.gate.set()
    turn_until(lambda: recorded.http.state().name == "Unconnected")
    qhttp.run(20)
    assert server.connections == [] and recorded.done == [True]


def test_abort_during_the_connect_closes_the_attempts(blackhole):
    qhttp.loop()
    before = descriptors()
    recorded = Recorded(blackhole.host, blackhole.port)
    recorded.http.stateChanged.connect(
        lambda state: state.name == "Connecting" and qhttp.loop().call_later(0.01, recorded.http.abort))
    assert recorded.get()[0] == "Aborted"
    assert descriptors() == before


@pytest.mark.parametrize("when", ["HostLookup", "Connecting", "Sending", "Reading"])
def test_abort_inside_the_change_of_state_ends_it_there(scripted_server, names, when):
    server = scripted_server(faults.answer())
    names["name.test"] = [address(server)]
    recorded = Recorded("name.test", 80)
    recorded.http.stateChanged.connect(lambda state: state.name == when and recorded.http.abort())
    assert recorded.get()[0] == "Aborted"
    assert recorded.done == [True] and recorded.statuses == []
    recorded.http.stateChanged.disconnect()
    recorded.http.setHost("127.0.0.1", scripted_server(faults.answer()).port)
    assert recorded.get() == OK


def test_request_after_a_failed_connect_works(scripted_server, closed_port, names):
    recorded, outcome, _ = fetch_by_name(names, address(closed_port))
    assert outcome[0] == "ConnectionRefused"
    server = scripted_server(faults.answer())
    recorded.http.setHost(server.host, server.port)
    assert recorded.get() == OK
    assert recorded.http.waitForDone(PATIENCE_MS)
