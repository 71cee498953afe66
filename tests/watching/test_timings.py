"""Timings of requests: which step took time, and which did not happen. What is asserted of times is their
order; amounts are in tests/clocks."""
import asyncio
import pickle

import pytest
from bulk.origin import Origin, answer, redirect
from support import faults
from support.actions import Close, Pause, ReceiveHead, ReceiveRequest, Send, StartTls
from support.loops import turn_until

import qhttp
from qhttp import Timings

OK = faults.whole()
OUR_PAUSE_S = 0.02


def told_by(http):
    """The timings at each end of a request, and at each head."""
    told = {"head": [], "finished": [], "done": []}
    http.responseHeaderReceived.connect(lambda header: told["head"].append(http.timings()))
    http.requestFinished.connect(lambda number, error: told["finished"].append(http.timings()))
    http.done.connect(lambda error: told["done"].append(http.timings()))
    return told


def steps(timings):
    """Which of them happened."""
    return [name for name, value in timings._asdict().items() if value is not None]


def is_sound(timings):
    """Whether its parts fit into the whole."""
    spent = sum(filter(None, timings[:3]))
    return 0 <= spent <= timings.total and (timings.first_byte is None or spent <= timings.first_byte <= timings.total)


def test_timings_before_the_first_request_are_none():
    assert qhttp.QHttp("h").timings() == Timings() == (None,) * 5
    assert repr(Timings()) == "Timings(dns=None, connect=None, tls=None, first_byte=None, total=None)"


def test_timings_of_a_fresh_connection(scripted_server, names):
    server = scripted_server([ReceiveRequest(), Pause(OUR_PAUSE_S), Send(OK)])
    http = qhttp.QHttp("origin.test", server.port)
    told = told_by(http)
    http.get("/")
    assert http.waitForDone(5000) and http.error() == http.NoError
    assert steps(told["head"][0]) == ["dns", "connect", "first_byte"]
    assert steps(told["finished"][0]) == ["dns", "connect", "first_byte", "total"]
    assert told["finished"] == told["done"] == [http.timings()] and is_sound(http.timings())
    assert http.timings().first_byte >= OUR_PAUSE_S and all(isinstance(value, float) for value in filter(None, http.timings()))


def test_timings_of_an_address_have_no_look_up(scripted_server):
    http = qhttp.QHttp("127.0.0.1", scripted_server(faults.answer()).port)
    http.get("/")
    assert http.waitForDone(5000) and steps(http.timings()) == ["connect", "first_byte", "total"]


def test_timings_of_a_connection_used_again(scripted_server, names):
    http = qhttp.QHttp("origin.test", scripted_server(faults.answer(b"a", b"b")).port)
    told = told_by(http)
    http.get("/1")
    http.get("/2")
    assert http.waitForDone(5000)
    first, second = told["finished"]
    assert first.connect and steps(second) == ["first_byte", "total"] and is_sound(second)


def test_timings_are_of_the_last_request_to_a_server(scripted_server):
    http = qhttp.QHttp("127.0.0.1", scripted_server(faults.answer()).port)
    told = told_by(http)
    http.get("/")
    http.close()
    assert http.waitForDone(5000)
    assert told["finished"][0] == told["finished"][1] == http.timings()
    http.get("/")
    http.abort()                        # it has not begun
    assert http.timings() == told["done"][0]


def test_timings_of_pipelined_requests(scripted_server):
    paths = [f"/{number}" for number in range(8)]
    server = scripted_server([ReceiveRequest(), Send(OK), *[ReceiveRequest()] * len(paths), *[Send(OK)] * len(paths)])
    http = qhttp.QHttp("127.0.0.1", server.port)
    http.setPipelining(8)
    told = told_by(http)
    http.get("/first")
    assert http.waitForDone(5000)
    for path in paths:
        http.get(path)
    assert http.waitForDone(5000) and http.error() == http.NoError and len(server.requests[0]) == 9
    assert [steps(timings) for timings in told["finished"][1:]] == [["first_byte", "total"]] * 8
    assert all(is_sound(timings) for timings in told["finished"])


def test_timings_of_tls(scripted_server, certificates, names):
    server = scripted_server([StartTls(certificates.pem), *faults.answer()])
    http = qhttp.QHttp("origin.test", qhttp.QHttp.ConnectionModeHttps, server.port)
    http.setSslConfiguration(certificates.context)
    http.get("/")
    assert http.waitForDone(5000) and http.error() == http.NoError, http.errorString()
    assert steps(http.timings()) == list(Timings._fields) and is_sound(http.timings())


def test_timings_of_a_handshake_that_was_refused(scripted_server, certificates):
    server = scripted_server([StartTls(certificates.pem)])
    http = qhttp.QHttp("127.0.0.1", qhttp.QHttp.ConnectionModeHttps, server.port)
    http.get("/")
    assert http.waitForDone(5000) and http.error() == http.UnknownError
    assert steps(http.timings()) == ["connect", "tls", "total"] and is_sound(http.timings())


def test_timings_through_a_tunnel_have_it_with_the_connecting(scripted_server, certificates, names):
    proxy = scripted_server([ReceiveHead(), Pause(OUR_PAUSE_S), Send(b"HTTP/1.1 200 OK\r\n\r\n"), StartTls(certificates.pem),
                             *faults.answer()])
    http = qhttp.QHttp()
    http.setSslConfiguration(certificates.context)
    http.setProxy("proxy.test", proxy.port)
    http.setHost("origin.test", http.ConnectionModeHttps)
    http.get("/")
    assert http.waitForDone(5000) and http.error() == http.NoError, http.errorString()
    timings = http.timings()
    assert steps(timings) == list(Timings._fields) and is_sound(timings) and timings.connect >= OUR_PAUSE_S


def test_timings_of_a_name_that_is_not_known(names):
    http = qhttp.QHttp("nowhere.invalid")
    told = told_by(http)
    http.get("/")
    assert http.waitForDone(5000) and http.error() == http.HostNotFound
    assert steps(http.timings()) == ["dns", "total"] and is_sound(http.timings())
    assert told["finished"] == told["done"] == [http.timings()]


def test_timings_of_a_refused_connection(closed_port):
    http = qhttp.QHttp("127.0.0.1", closed_port.port)
    http.get("/")
    assert http.waitForDone(5000) and steps(http.timings()) == ["connect", "total"] and is_sound(http.timings())


def test_timings_of_an_abort_have_the_step_that_was_broken_off(scripted_server):
    server = scripted_server([ReceiveRequest(), Pause(1)])
    http = qhttp.QHttp("127.0.0.1", server.port)
    http.get("/")
    turn_until(lambda: server.requests and server.requests[0])
    assert steps(http.timings()) == ["connect"]
    http.abort()
    assert steps(http.timings()) == ["connect", "total"] and is_sound(http.timings())


def test_timings_of_a_request_sent_once_more_have_both_connections(scripted_server):
    server = scripted_server([ReceiveRequest(), Send(OK), ReceiveRequest(), Close()], faults.answer())
    http = qhttp.QHttp("127.0.0.1", server.port)
    told = told_by(http)
    http.get("/1")
    http.get("/2")
    assert http.waitForDone(5000) and http.error() == http.NoError
    assert steps(told["finished"][1]) == ["connect", "first_byte", "total"] and is_sound(told["finished"][1])


# -- transfers
def test_timings_of_a_client_over_a_redirect(certificates, names):
    with Origin({"/b": answer(200, b"x")}, tls=certificates.server) as origin:
        port = origin.port
        with Origin({"/a": redirect(f"https://origin.test:{port}/b")}) as first, \
                qhttp.Client(context=certificates.context, proxy=None) as client:
            found = client.get(first.url("/a"))
            again = client.get(f"https://origin.test:{port}/b")
    assert found.n_redirects == 1 and steps(found.timings) == list(Timings._fields) and is_sound(found.timings)
    assert steps(again.timings) == ["first_byte", "total"] and is_sound(again.timings)
    assert pickle.loads(pickle.dumps(again.timings)) == again.timings


@pytest.mark.parametrize("exact", [False, True])
def test_timings_of_a_downloader_are_there_without_the_setting(tmp_path, exact):
    with Origin({"/a": [Pause(OUR_PAUSE_S), answer(200, b"x")]}) as origin:
        url = origin.url("/a")
        transfer, = qhttp.iter_download([url], dir=tmp_path, proxy=None, timings=exact)
    assert steps(transfer.timings) == ["connect", "first_byte", "total"] and is_sound(transfer.timings)
    assert transfer.timings.first_byte >= OUR_PAUSE_S and (transfer.time_starttransfer > 0) == exact


def test_timings_of_a_transfer_that_found_no_host(names):
    transfer, = qhttp.iter_download(["http://nowhere.invalid/"], into="bytes", proxy=None, retries=0)
    assert isinstance(transfer.error, qhttp.HostNotFound) and steps(transfer.timings) == ["dns", "total"]


def test_timings_of_pipelined_transfers():
    pages = {f"/{number}": answer(200, b"x") for number in range(30)}
    with Origin(pages) as origin:
        urls = [origin.url(path) for path in pages]
        found = list(qhttp.iter_download(urls, into="bytes", proxy=None, per_host=1, pipelining=8))
    assert [transfer.error for transfer in found] == [None] * 30
    assert all({"first_byte", "total"} <= set(steps(transfer.timings)) and is_sound(transfer.timings) for transfer in found)
    assert sum(transfer.timings.connect is not None for transfer in found) == 1


def test_timings_in_asyncio_have_the_same_names():
    from qhttp import aio

    async def main(origin):
        async with aio.Client(proxy=None) as client:
            answered = await client.get(origin.url("/a"))
        http = aio.QHttp(origin.host, origin.port)
        http.get("/a")
        assert not await http
        aio.detach()
        return answered.timings, http.timings()

    with Origin({"/a": answer(200, b"x")}) as origin:
        for timings in asyncio.run(main(origin)):
            assert steps(timings) == ["connect", "first_byte", "total"] and is_sound(timings)
