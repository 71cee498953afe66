"""QHttp in an asyncio loop: awaited, cancelled, and plain objects whose signals come by attach()."""
import asyncio

import pytest
from support import faults

import qhttp
from qhttp import aio


def test_awaited_qhttp_tells_whether_there_was_an_error(run, scripted_server):
    good, bad = scripted_server(faults.answer()), scripted_server(beyond=faults.cut_head())

    async def work():
        http, broken = aio.QHttp(good.host, good.port), aio.QHttp(bad.host, bad.port)
        http.get("/")
        broken.get("/")
        assert await asyncio.gather(http, broken) == [False, True]
        assert broken.error().name == "UnexpectedClose"
        assert [await http, await broken] == [False, True]          # nothing is left: at once
        return http.readAll()
    assert run(work()) == faults.BODY


def test_cancelled_wait_aborts(run, scripted_server):
    server = scripted_server(faults.stall())

    async def work():
        http, ends = aio.QHttp(server.host, server.port), []
        http.requestFinished.connect(lambda id, error: ends.append(error))
        http.get("/")
        http.get("/")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(http, 0.05)
        return ends, http.error().name, http.hasPendingRequests()
    assert run(work()) == ([True], "Aborted", False)


def test_plain_qhttp_tells_by_signals_after_attach(run, scripted_server):
    server = scripted_server(faults.answer(*[faults.BODY] * 3))

    async def work():
        aio.attach()
        http, over = qhttp.QHttp(server.host, server.port), asyncio.Event()
        http.done.connect(lambda error: over.set())
        for _ in range(3):
            over.clear()
            http.get("/")
            await over.wait()
            assert http.readAll() == faults.BODY
    run(work())
    assert len(server.connections) == 1


def test_timers_of_qhttp_go_off_in_the_asyncio_loop(run, scripted_server):
    server = scripted_server(faults.stall())

    async def work():
        http = aio.QHttp(server.host, server.port)
        http.setTransferTimeout(40)
        http.get("/")
        assert await http
        return http.errorString()
    assert run(work()) == "no byte came for 40 ms"


def test_exception_of_a_slot_goes_to_the_loops_handler(scripted_server):
    server, troubles = scripted_server(faults.answer()), []

    async def work():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context["exception"]))
        http = aio.QHttp(server.host, server.port)
        http.responseHeaderReceived.connect(lambda header: 1 / 0)
        http.get("/")
        assert not await http
        return http.readAll()
    assert asyncio.run(work()) == faults.BODY
    assert [type(trouble) for trouble in troubles] == [ZeroDivisionError]


def test_detached_loop_is_not_turned_and_can_be_attached_again(run, scripted_server):
    server = scripted_server(faults.answer())

    async def work():
        http = aio.QHttp(server.host, server.port)
        waiting = asyncio.ensure_future(http)
        http.get("/")
        await asyncio.sleep(0)
        aio.detach()
        aio.detach()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        aio.attach()
        assert not await waiting
    run(work())


def test_two_asyncio_loops_one_after_the_other_drive_the_same_objects(run, scripted_server):
    server = scripted_server(faults.answer(*[faults.BODY] * 2))
    http = aio.QHttp(server.host, server.port)

    async def work():
        http.get("/")
        assert not await http
        return http.readAll()
    assert [run(work()), run(work())] == [faults.BODY] * 2


def test_attach_outside_of_a_loop_says_so():
    with pytest.raises(RuntimeError, match="no running event loop"):
        aio.attach()


async def waited_for(server):
    """A QHttp whose request is not answered, and who waits for it."""
    http = aio.QHttp(server.host, server.port)
    http.get("/")
    waiting = asyncio.ensure_future(http)
    await asyncio.sleep(0)
    return http, waiting


def test_cancelled_wait_whose_slots_were_disconnected_meanwhile_is_cancelled(run, scripted_server):
    server = scripted_server(faults.stall())

    async def work():
        http, waiting = await waited_for(server)
        http.done.disconnect()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    run(work())


def test_awaited_qhttp_that_is_deleted_meanwhile_tells_of_the_error(run, scripted_server):
    server = scripted_server(faults.stall())

    async def work():
        http, waiting = await waited_for(server)
        http.deleteLater()
        return await waiting
    assert run(work()) is True
