"""Each fault does to the bytes of a plain socket what its first line says, at its offset, and the way tidies up."""
import contextlib
import random
import socket
import threading
import types

import pytest

from support import actions
from support.actions import Close, Pause, Receive, Send
from support.fault_proxy import FaultyWay, Plan
from support.scripted_server import ScriptedServer
from support.way_faults import Corrupt, Cut, Drip, Drop, HalfClose, Refuse, Repeat, Reset, Split, Stall, Swap, Wait
from support.way_plans import FALSE, HONEST, SeededWay, draw_plan

DATA = bytes(range(256)) * 4
LIMIT_S = 5.0
ASK = b"ask"


@contextlib.contextmanager
def asked(*plans, script=(Receive(len(ASK)), Send(DATA), Close())):
    """A socket that has asked through a way with these plans; `asked(...) as (sock, seen)`: seen.way, seen.server."""
    with ScriptedServer(beyond=script) as server, FaultyWay((server.host, server.port), plans) as way, \
            socket.create_connection((way.host, way.port), LIMIT_S) as sock:
        sock.sendall(ASK)
        yield sock, types.SimpleNamespace(way=way, server=server)


def received(sock) -> tuple[bytes, str]:
    """All that comes, and how it ends: "fin", "reset" or "nothing"."""
    got = bytearray()
    try:
        while data := sock.recv(1 << 16):
            got += data
        return bytes(got), "fin"
    except ConnectionResetError:
        return bytes(got), "reset"
    except TimeoutError:
        return bytes(got), "nothing"


def test_way_without_faults_carries_all():
    with asked() as (sock, seen):
        assert received(sock) == (DATA, "fin")
        assert seen.way.struck == []


@pytest.mark.parametrize("fault, expected", [
    (Cut(100), (DATA[:100], "fin")),
    (Cut(0), (b"", "fin")),
    (HalfClose(7), (DATA[:7], "fin")),
    (Reset(100), (DATA[:100], "reset")),
    (Reset(0), (b"", "reset")),
    (Corrupt(5, 0x80), (DATA[:5] + b"\x85" + DATA[6:], "fin")),
    (Swap(10, 3, 5), (DATA[:10] + DATA[13:18] + DATA[10:13] + DATA[18:], "fin")),
    (Swap(len(DATA) - 4, 3, 5), (DATA[:-4] + DATA[-1:] + DATA[-4:-1], "fin")),
    (Drop(4, 6), (DATA[:4] + DATA[10:], "fin")),
    (Repeat(4, 6), (DATA[:10] + DATA[4:], "fin")),
    (Split(3, 400, 7), (DATA, "fin")),
    (Drip(3, 20, 2), (DATA, "fin")),
    (Stall(9, 0.01), (DATA, "fin")),
], ids=str)
def test_fault_does_to_the_answer_what_it_says(fault, expected):
    with asked(Plan(down=[fault])) as (sock, seen):
        assert received(sock) == expected
        assert seen.way.struck == [fault]


def test_fault_of_the_request_is_seen_by_the_server():
    with asked(Plan(up=[Corrupt(1)])) as (sock, seen):
        received(sock)
        assert seen.server.connections[0].taken == [b"ark"]


def test_fault_behind_the_end_does_not_strike():
    with asked(Plan(down=[Cut(len(DATA) + 1)])) as (sock, seen):
        assert received(sock) == (DATA, "fin")
        assert seen.way.struck == []


def test_faults_strike_in_the_order_of_their_offsets():
    with asked(Plan(down=[Cut(300), Corrupt(2), Swap(50, 1, 1)])) as (sock, seen):
        got, how = received(sock)
        assert (len(got), how, got[2], got[50]) == (300, "fin", DATA[2] ^ 1, DATA[51])
        assert [type(fault).__name__ for fault in seen.way.struck] == ["Corrupt", "Swap", "Cut"]


def test_stall_holds_the_rest_and_the_connection():
    with asked(Plan(down=[Stall(9)])) as (sock, seen):
        sock.settimeout(0.05)
        assert received(sock) == (DATA[:9], "nothing")
        assert not seen.way.connections[0].is_over


def test_half_close_of_the_request_lets_the_answer_through():
    with asked(Plan(up=[HalfClose(3)])) as (sock, _):
        assert received(sock) == (DATA, "fin")


def test_refused_connection_never_reaches_the_server():
    with ScriptedServer() as server, FaultyWay((server.host, server.port), [Plan(accept=Refuse())]) as way:
        with pytest.raises((ConnectionResetError, BrokenPipeError)), socket.create_connection((way.host, way.port)) as sock:
            while True:
                sock.sendall(ASK)
        assert server.connections == []


def test_connection_that_waits_is_carried_then():
    with asked(Plan(accept=Wait(0.01))) as (sock, _):
        assert received(sock) == (DATA, "fin")


def test_each_connection_has_its_own_plan():
    with asked(Plan(down=[Cut(1)]), Plan(down=[Cut(2)])) as (sock, seen):
        first = received(sock)
        with socket.create_connection((seen.way.host, seen.way.port), LIMIT_S) as other:
            other.sendall(ASK)
            assert (first, received(other)) == ((DATA[:1], "fin"), (DATA[:2], "fin"))
        with socket.create_connection((seen.way.host, seen.way.port), LIMIT_S) as beyond:
            beyond.sendall(ASK)
            assert received(beyond) == (DATA, "fin")


def test_client_that_leaves_ends_the_passage():
    with asked(script=(Receive(len(ASK)), Pause(30))) as (sock, seen):
        sock.close()
        seen.server.wait_for(lambda: seen.server.connections and seen.server.connections[0].n_received == len(ASK))
        seen.server.close()
        seen.way.wait_for(lambda: seen.way.connections[0].is_over)


def test_server_that_resets_is_passed_on():
    with asked(script=(Receive(len(ASK)), actions.Reset())) as (sock, _):
        assert received(sock) == (b"", "reset")


def test_server_that_is_not_there_ends_the_connection(closed_port):
    with FaultyWay((closed_port.host, closed_port.port)) as way, \
            socket.create_connection((way.host, way.port), LIMIT_S) as sock:
        assert received(sock) == (b"", "fin")


def test_way_that_is_left_ends_its_threads_and_sockets():
    before = threading.active_count()
    with asked(Plan(down=[Stall(0)]), script=(Receive(len(ASK)), Send(DATA), Pause(30))) as (sock, seen):
        seen.server.wait_for(lambda: seen.server.connections and seen.server.connections[0].n_received == len(ASK))
        seen.way.close()
        assert received(sock)[1] in ("fin", "reset")
        assert seen.way.connections[0].is_over
    assert threading.active_count() == before


def test_plans_of_one_seed_are_the_same():
    plans = [[draw_plan(random.Random(f"{seed}/{n}"), HONEST + FALSE) for n in range(50)] for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


def test_seeded_way_is_good_after_its_faults():
    with ScriptedServer() as server, SeededWay((server.host, server.port), seed=1, n_faulty=3) as way:
        plans = [way.plan_for(number) for number in range(6)]
    assert all(plan.up or plan.down or plan.accept for plan in plans[:3]) and plans[3:] == [Plan()] * 3
