"""Limits of time: each ends what it should, says so, and lets alone what is slow for another reason."""
import time

import pytest
from engine.recording import PATIENCE_MS, Recorded, noise
from support import faults
from support.actions import Close, Drip, Pause, ReceiveBody, ReceiveHead, ReceiveRequest, Send
from support.loops import turn_for, turn_until

import qhttp

OK = ("NoError", faults.BODY)
BIG = 16 << 20                  # more than the sockets between client and server take


def timed(recorded, seconds_at_least, ask=lambda recorded: recorded.get()):
    """The text of the error of a request that must end by a limit of time."""
    began = time.monotonic()
    ask(recorded)
    assert seconds_at_least <= time.monotonic() - began < seconds_at_least + 3
    assert recorded.http.error().name == "UnknownError"
    assert recorded.done[-1] is True
    assert recorded.states[-1] == "Unconnected"
    return recorded.http.errorString()


# -- the transfer timeout
@pytest.mark.parametrize("fault", [faults.stall_before_head, faults.stall])
def test_transfer_limit_ends_a_silent_server(scripted_server, client, fault):
    server = scripted_server(fault())
    recorded = client(server)
    recorded.http.setTransferTimeout(60)
    assert timed(recorded, 0.06) == "no byte came for 60 ms"
    assert len(server.connections) == 1


def test_transfer_limit_ends_a_head_that_stops(scripted_server, client):
    recorded = client(scripted_server([ReceiveRequest(), Send(b"HTTP/1.1 200 OK\r\nA: b"), Pause(30)]))
    recorded.http.setTransferTimeout(60)
    assert timed(recorded, 0.06) == "no byte came for 60 ms"


def test_transfer_limit_lets_a_slow_but_steady_server_alone(scripted_server, client):
    recorded = client(scripted_server(faults.drip(b"0123456789", 0.03)))
    recorded.http.setTransferTimeout(150)
    assert recorded.get() == ("NoError", b"0123456789")


def test_transfer_limit_counts_from_the_last_byte(scripted_server, client):
    head = faults.whole()[:-len(faults.BODY)]
    recorded = client(scripted_server([ReceiveRequest(), Pause(0.06), Send(head), Pause(0.06), Send(faults.BODY)]))
    recorded.http.setTransferTimeout(110)
    assert recorded.get() == OK


def test_transfer_limit_ends_an_upload_that_nobody_reads(scripted_server, client):
    recorded = client(scripted_server([ReceiveHead(), Pause(30)]))
    recorded.http.setTransferTimeout(80)
    text = timed(recorded, 0.08, lambda recorded: (recorded.http.post("/", bytes(BIG)), recorded.wait()))
    assert text == "no byte came for 80 ms"
    assert 0 < recorded.send_progress[-1][0] < BIG


def test_transfer_limit_lets_a_slow_upload_alone(scripted_server, client):
    def read_slowly(peer):
        n_done, n_paused = peer.drop(), 0
        while n_done < BIG:
            n_done += peer.more()
            peer.drop()
            if n_done - n_paused > BIG // 6:
                n_paused = n_done
                peer.pause(0.06)

    recorded = client(scripted_server([ReceiveHead(), read_slowly, Send(faults.whole())]))
    recorded.http.setTransferTimeout(250)               # less than the whole takes, more than any pause
    recorded.http.post("/", bytes(BIG))
    assert recorded.wait() == "NoError"


def test_transfer_limit_does_not_count_a_reader_who_waits(scripted_server, client):
    body = noise(200_000)
    recorded = client(scripted_server(faults.answer(body)))
    recorded.http.setReadBufferSize(1000)
    recorded.http.setTransferTimeout(50)
    recorded.http.get("/")
    turn_for(0.2)
    assert recorded.done == []
    got = b""
    while not recorded.done:
        qhttp.run(5)
        got += recorded.http.readAll()
    assert recorded.http.error().name == "NoError" and got + recorded.http.readAll() == body


def test_transfer_limit_begins_anew_when_the_reader_goes_on(scripted_server, client):
    limit = 1000
    body = noise(limit + 500)
    head = faults.head(b"Content-Length: %d" % len(body))
    server = scripted_server([ReceiveRequest(), Send(head), Pause(0.02), Send(body[:limit]), Pause(0.63), Send(body[limit:])])
    recorded = client(server)
    recorded.http.setReadBufferSize(limit)
    recorded.http.setTransferTimeout(300)               # looks at the clock after 0.3 s and 0.6 s
    recorded.http.get("/")
    turn_until(lambda: recorded.http.bytesAvailable() == limit)
    turn_for(0.38)                      # the reader waits, past the first look
    got = recorded.http.readAll()
    turn_until(lambda: recorded.done)
    assert recorded.http.error().name == "NoError"
    assert got + recorded.http.readAll() == body


def test_transfer_limit_off_again_during_a_request_does_not_end_it(scripted_server, client):
    recorded = client(scripted_server(faults.drip(b"0123456789", 0.02)))
    recorded.http.setTransferTimeout(100)
    recorded.http.responseHeaderReceived.connect(lambda: recorded.http.setTransferTimeout(0))
    assert recorded.get() == ("NoError", b"0123456789")


# -- the total timeout
def test_total_limit_ends_a_slow_but_steady_server(scripted_server, client):
    recorded = client(scripted_server(faults.drip(gap_s=0.01)))
    recorded.http.setTotalTimeout(100)
    assert timed(recorded, 0.1) == "the request took longer than 100 ms in all"


def test_total_limit_covers_the_connect(blackhole):
    recorded = Recorded(blackhole.host, blackhole.port)
    recorded.http.setTotalTimeout(60)
    assert timed(recorded, 0.06) == "the request took longer than 60 ms in all"


def test_total_limit_covers_the_look_up(names):
    names.gate.clear()
    recorded = Recorded("name.test", 80)
    recorded.http.setTotalTimeout(60)
    assert timed(recorded, 0.06) == "the request took longer than 60 ms in all"


def test_total_limit_covers_all_retries(scripted_server, client):
    slow_fault = [ReceiveRequest(), Pause(0.05), Close()]
    server = scripted_server(slow_fault, slow_fault, faults.stall_before_head())
    recorded = client(server)
    recorded.http.setTotalTimeout(150)
    assert timed(recorded, 0.15) == "the request took longer than 150 ms in all"
    assert len(server.connections) == 3


def test_total_limit_counts_also_a_reader_who_waits(scripted_server, client):
    recorded = client(scripted_server(faults.answer(noise(200_000))))
    recorded.http.setReadBufferSize(1000)
    recorded.http.setTotalTimeout(80)
    timed(recorded, 0.08, lambda recorded: (recorded.http.get("/"), recorded.wait()))


def test_total_limit_is_each_requests_own(scripted_server, client):
    recorded = client(scripted_server([ReceiveRequest(), Pause(0.06), Send(faults.whole())] * 3))
    recorded.http.setTotalTimeout(150)
    for _ in range(3):
        recorded.http.get("/")
    assert recorded.wait() == "NoError"
    assert recorded.done == [False]


def test_total_limit_of_a_finished_request_never_strikes(scripted_server, client):
    recorded = client(scripted_server(faults.answer()))
    recorded.http.setTotalTimeout(40)
    assert recorded.get() == OK
    turn_for(0.08)
    assert recorded.states[-1] == "Connected" and recorded.http.error().name == "NoError"


def test_request_after_a_limit_of_time_works(scripted_server, client):
    server = scripted_server(faults.stall(), faults.answer())
    recorded = client(server)
    recorded.http.setTotalTimeout(50)
    recorded.get()
    recorded.http.setTotalTimeout(0)
    assert recorded.get() == OK
    server.wait_for(lambda: server.connections and server.connections[0].n_played == 2)


def test_limit_of_time_closes_the_connection(scripted_server, client):
    server = scripted_server([ReceiveRequest(), Send(b"HTTP/1.1 200 OK\r\n")])
    recorded = client(server)
    recorded.http.setTotalTimeout(40)
    recorded.get()
    server.wait_for(lambda: server.connections and server.connections[0].how_ended is not None)


# -- the minimum rate
def test_minimum_rate_ends_what_is_slower(scripted_server, client):
    recorded = client(scripted_server(faults.drip(gap_s=0.02)))
    recorded.http.setMinimumRate(1000, 100)
    assert timed(recorded, 0.1) == "slower than 1000 bytes/s over 100 ms"


def test_minimum_rate_ends_a_silent_server(scripted_server, client):
    recorded = client(scripted_server(faults.stall()))
    recorded.http.setMinimumRate(1000, 60)
    assert timed(recorded, 0.06) == "slower than 1000 bytes/s over 60 ms"


def test_minimum_rate_lets_what_is_faster_alone(scripted_server, client):
    pieces = [action for _ in range(8) for action in (Send(bytes(1000)), Pause(0.02))]
    head = faults.head(b"Content-Length: 8000")
    recorded = client(scripted_server([ReceiveRequest(), Send(head), *pieces]))
    recorded.http.setMinimumRate(10_000, 60)            # 600 bytes in each 60 ms
    assert recorded.get() == ("NoError", bytes(8000))


def test_minimum_rate_ends_an_upload_that_nobody_reads(scripted_server, client):
    recorded = client(scripted_server([ReceiveHead(), Pause(30)]))
    recorded.http.setMinimumRate(1000, 80)
    timed(recorded, 0.08, lambda recorded: (recorded.http.post("/", bytes(BIG)), recorded.wait()))


def test_minimum_rate_does_not_count_a_reader_who_waits(scripted_server, client):
    body = noise(200_000)
    recorded = client(scripted_server(faults.answer(body)))
    recorded.http.setReadBufferSize(1000)
    recorded.http.setMinimumRate(1000, 50)
    recorded.http.get("/")
    turn_for(0.2)
    assert recorded.done == []
    recorded.http.setReadBufferSize(0)
    assert recorded.wait() == "NoError"


def test_minimum_rate_does_not_count_the_part_of_a_window_in_which_the_reader_waits(scripted_server, client):
    limit, body = 1000, noise(1500)
    head = faults.head(b"Content-Length: %d" % len(body))
    server = scripted_server([ReceiveRequest(), Send(head), Pause(0.02), Send(body[:limit]), Pause(0.4), Send(body[limit:])])
    recorded = client(server)
    recorded.http.setReadBufferSize(limit)
    recorded.http.setMinimumRate(1000, 180)             # looks after 0.18 s and 0.36 s
    recorded.http.get("/")
    turn_until(lambda: recorded.http.bytesAvailable() == limit)
    turn_for(0.28)                      # the reader waits until shortly before the second look
    got = recorded.http.readAll()
    turn_until(lambda: recorded.done)
    assert recorded.http.error().name == "NoError", recorded.http.errorString()
    assert got + recorded.http.readAll() == body


def test_minimum_rate_of_a_kept_connection_does_not_count_the_answer_before(scripted_server, client):
    """Bytes of the first answer must neither save the second request nor be missed in it."""
    first, second = bytes(2 << 20), [Send(bytes(1000)), Pause(0.03)] * 6
    server = scripted_server([
        *faults.answer(first),
        ReceiveHead(), ReceiveBody(), Pause(0.14), Send(faults.head(b"Content-Length: 6000")), *second])
    recorded = client(server)
    assert recorded.get() == ("NoError", first)
    recorded.http.setMinimumRate(100, 100)              # 10 bytes in each 100 ms: the request itself is enough at first
    recorded.http.post("/", bytes(50_000))
    assert recorded.wait() == "NoError", recorded.http.errorString()
    assert recorded.http.readAll() == bytes(6000)


def test_minimum_rate_of_a_kept_connection_is_not_met_by_the_answer_before(scripted_server, client):
    server = scripted_server([*faults.answer(bytes(2 << 20)), ReceiveRequest(), Pause(30)])
    recorded = client(server)
    recorded.get()
    recorded.http.setMinimumRate(10_000, 150)           # more than the second request has
    began = time.monotonic()
    assert recorded.get()[0] == "UnknownError"
    assert 0.15 <= time.monotonic() - began < 0.28      # at the first look, not at the second


# -- none
def test_limits_of_zero_are_none(scripted_server, client):
    recorded = client(scripted_server([ReceiveRequest(), Pause(0.1), *faults.drip(b"0123", 0.03)[1:]]))
    for set_limit in (recorded.http.setConnectTimeout, recorded.http.setTransferTimeout, recorded.http.setTotalTimeout,
                      recorded.http.setMinimumRate):
        set_limit(0)
    assert recorded.get() == ("NoError", b"0123")


def test_limits_all_at_once_are_met_by_a_good_server(scripted_server, client):
    recorded = client(scripted_server(faults.answer(*[faults.BODY] * 20)))
    recorded.http.setConnectTimeout(5000)
    recorded.http.setTransferTimeout(5000)
    recorded.http.setTotalTimeout(PATIENCE_MS)
    recorded.http.setMinimumRate(1, 5000)
    for _ in range(20):
        assert recorded.get() == OK


def test_drip_of_a_head_is_a_transfer_like_any_other(scripted_server, client):
    answer = faults.whole()
    recorded = client(scripted_server([ReceiveRequest(), Drip(answer[:10], 0.02), Send(answer[10:])]))
    recorded.http.setTransferTimeout(150)
    assert recorded.get() == OK
