"""Pool: what may be used again, for whom, and who makes room; alone, and behind a QHttp."""
import gc
import io

import pytest
from support import faults
from support.actions import ReceiveRequest, Send
from support.loops import turn_until

from qhttp._connection import Connection
from qhttp.engine.pool import Pool

OK = ("NoError", faults.BODY)


class Owner:
    """Hears of lost connections."""

    def __init__(self):
        self.lost = []

    def connection_lost(self, connection):
        self.lost.append(connection.key)


# -- alone
@pytest.mark.parametrize("max_idle", [-1, 1.0, "1", None])
def test_pool_with_a_bad_number_is_refused(max_idle):
    with pytest.raises(ValueError, match="max_idle"):
        Pool(max_idle)


def test_pool_gives_back_what_was_put_once():
    pool, connection = Pool(1), Connection("a")
    pool.put(connection)
    assert len(pool) == 1
    assert pool.take("a") is connection
    assert len(pool) == 0 and pool.take("a") is None


def test_pool_gives_nothing_under_another_key():
    pool = Pool(2)
    pool.put(Connection("a"))
    assert pool.take("b") is None and pool.take(("a",)) is None
    assert len(pool) == 1


def test_pool_gives_the_most_recently_used_first():
    pool, first, second = Pool(2), Connection("a"), Connection("a")
    pool.put(first)
    pool.put(second)
    assert [pool.take("a"), pool.take("a")] == [second, first]


def test_pool_beyond_its_number_forgets_the_oldest():
    pool, connections = Pool(2), [Connection("a") for _ in range(3)]
    for connection in connections:
        pool.put(connection)
    assert len(pool) == 2
    assert [pool.take("a") for _ in range(3)] == [connections[2], connections[1], None]


def test_pool_of_none_keeps_none():
    pool = Pool(0)
    pool.put(Connection("a"))
    assert len(pool) == 0 and pool.take("a") is None


def test_pool_that_is_full_makes_room_for_another_key():
    pool = Pool(2)
    pool.put(Connection("a"))
    pool.put(Connection("b"))
    assert pool.take("c") is None
    assert len(pool) == 1
    assert pool.take("b") is not None


def test_pool_that_is_not_full_makes_no_room():
    pool, connection = Pool(2), Connection("a")
    pool.put(connection)
    assert pool.take("c") is None
    assert pool.take("a") is connection


def test_pool_forgets_a_lost_connection_and_tells_its_owner():
    owner = Owner()
    pool, connection = Pool(1, owner), Connection("a")
    pool.put(connection)
    pool.connection_lost(connection)
    assert len(pool) == 0 and pool.take("a") is None and owner.lost == ["a"]


def test_pool_lost_connection_that_it_does_not_hold_is_nothing():
    owner = Owner()
    pool, held = Pool(1, owner), Connection("a")
    pool.put(held)
    pool.connection_lost(Connection("a"))
    pool.connection_lost(Connection("b"))
    assert len(pool) == 1 and owner.lost == []


def test_pool_whose_owner_has_gone_still_forgets():
    pool, connection = Pool(1, Owner()), Connection("a")
    pool.put(connection)
    pool.connection_lost(connection)
    assert len(pool) == 0


def test_pool_close_says_whether_there_was_something():
    pool = Pool(2)
    assert pool.close() is False
    pool.put(Connection("a"))
    assert pool.close() is True
    assert len(pool) == 0 and pool.take("a") is None and pool.close() is False


def test_pool_of_many_keys_over_time_stays_small():
    pool = Pool(2)
    gc.collect()
    before = sum(type(thing) is list for thing in gc.get_objects())
    for n in range(500):
        pool.put(Connection(n))
        if n % 2:
            pool.take(n)
    assert len(pool) <= 2
    assert sum(type(thing) is list for thing in gc.get_objects()) - before < 20


# -- behind a QHttp
def test_connection_kept_is_used_for_the_next_request(scripted_server, client):
    server = scripted_server(faults.answer(b"one", b"two"))
    recorded = client(server)
    assert [recorded.get(), recorded.get()] == [("NoError", b"one"), ("NoError", b"two")]
    assert len(server.connections) == 1


def test_connection_kept_for_another_server_makes_room(scripted_server, client):
    first, second = scripted_server(faults.answer()), scripted_server(faults.answer())
    recorded = client(first)
    assert recorded.get() == OK
    recorded.http.setHost(second.host, second.port)
    assert recorded.get() == OK
    first.wait_for(lambda: first.connections[0].how_ended == "client closed")
    assert second.connections[0].how_ended is None


def test_connection_kept_survives_set_host_of_the_same_server(scripted_server, client):
    server = scripted_server(faults.answer(b"one", b"two"))
    recorded = client(server)
    assert recorded.get() == ("NoError", b"one")
    recorded.http.setHost(server.host, server.port)
    assert recorded.get() == ("NoError", b"two")
    assert len(server.connections) == 1


def test_connection_kept_and_lost_is_told_and_replaced(scripted_server, client):
    server = scripted_server(faults.close_after_answer(b"one"), faults.answer(b"two"))
    recorded = client(server)
    assert recorded.get() == ("NoError", b"one")
    turn_until(lambda: recorded.http.state().name == "Unconnected")
    assert recorded.states[-3:] == ["Connected", "Closing", "Unconnected"]
    assert recorded.get() == ("NoError", b"two")


def test_connection_kept_on_which_bytes_come_is_closed(scripted_server, client):
    server = scripted_server([ReceiveRequest(), Send(faults.whole())], faults.answer(b"two"))
    recorded = client(server)
    assert recorded.get() == OK
    server.connections[0].sock.send(faults.whole(b"evil"))
    turn_until(lambda: recorded.http.state().name == "Unconnected")
    server.wait_for(lambda: server.connections and server.connections[0].how_ended is not None)
    assert recorded.get() == ("NoError", b"two")


@pytest.mark.parametrize("answer", [
    faults.whole(faults.BODY, b"Connection: close"),
    faults.whole(faults.BODY, b"Connection: keep-alive, CLOSE"),
    faults.whole(faults.BODY, status=b"HTTP/1.0 200 OK\r\n"),
    faults.whole() + b"surplus",
    faults.chunked(faults.BODY) + b"surplus",
    faults.chunked(faults.BODY) + b"\r\n",
])
def test_connection_that_must_not_be_used_again_is_closed(scripted_server, client, answer):
    server = scripted_server([ReceiveRequest(), Send(answer)], faults.answer(b"two"))
    recorded = client(server)
    assert recorded.get() == OK
    assert recorded.get() == ("NoError", b"two")
    assert len(server.connections) == 2
    server.wait_for(lambda: server.connections and server.connections[0].how_ended is not None)


@pytest.mark.parametrize("answer", [
    faults.whole(),
    faults.chunked(faults.BODY),
    faults.chunked(faults.BODY[:5], faults.BODY[5:], trailers=b"X: y\r\n"),
    faults.whole(faults.BODY, b"Connection: keep-alive", status=b"HTTP/1.0 200 OK\r\n"),
])
def test_connection_that_may_be_used_again_is_kept(scripted_server, client, answer):
    server = scripted_server([ReceiveRequest(), Send(answer)] * 2)
    recorded = client(server)
    assert [recorded.get(), recorded.get()] == [OK, OK]
    assert len(server.connections) == 1
    assert recorded.states[-1] == "Connected"


def test_close_ends_the_kept_connection(scripted_server, client):
    server = scripted_server(faults.answer())
    recorded = client(server)
    assert recorded.get() == OK
    recorded.http.close()
    assert recorded.wait() == "NoError"
    server.wait_for(lambda: server.connections and server.connections[0].how_ended == "client closed")
    assert recorded.states[-2:] == ["Closing", "Unconnected"]


def test_abort_of_a_waiting_request_ends_the_kept_connection(scripted_server, client):
    server = scripted_server(faults.answer())
    recorded = client(server)
    assert recorded.get() == OK
    recorded.http.get("/never")
    recorded.http.abort()
    assert recorded.wait() == "Aborted"
    server.wait_for(lambda: server.connections and server.connections[0].how_ended == "client closed")
    assert len(server.requests[0]) == 1


# -- the look before a kept connection is used again
def close_now(server):
    server.connections[0]._hang_up()


def send_now(server):
    server.connections[0].sock.send(faults.whole(b"evil"))


@pytest.mark.parametrize("meanwhile", [close_now, send_now])
@pytest.mark.parametrize("ask", [
    lambda http: http.get("/second"),
    lambda http: http.post("/second", b"data"),
    lambda http: http.post("/second", io.BytesIO(b"data")),
], ids=["get", "post", "device"])
def test_kept_connection_gone_bad_without_a_turn_is_not_used(scripted_server, client, meanwhile, ask):
    """The server acts inside requestStarted: the loop has no turn in which it could see that."""
    server = scripted_server(faults.answer(), faults.answer(b"second"))
    recorded = client(server)
    assert recorded.get() == OK
    recorded.http.requestStarted.connect(lambda: meanwhile(server))
    ask(recorded.http)
    assert (recorded.wait(), bytes(recorded.http.readAll())) == ("NoError", b"second")
    assert [len(taken) for taken in server.requests] == [1, 1]
    assert len(server.connections[0].received) == len(server.requests[0][0])      # not a byte of the second
    assert b"/second" in server.requests[1][0]
    assert recorded.states[4:] == ["Sending", "Closing", "Unconnected", "Connecting", "Sending", "Reading", "Connected"]


def test_kept_connection_lost_while_no_loop_turned_is_replaced(scripted_server, client):
    server = scripted_server(faults.answer(), faults.answer(b"second"))
    recorded = client(server)
    assert recorded.get() == OK
    close_now(server)
    server.wait_for(lambda: server.connections and server.connections[0].how_ended is not None)
    recorded.http.post("/second", b"data")
    assert (recorded.wait(), bytes(recorded.http.readAll())) == ("NoError", b"second")
    assert len(server.requests[0]) == 1
