"""qhttp.aio.Client: many requests at once in an asyncio loop, errors as of qhttp.Client, cancelled ones taken back."""
import asyncio

import pytest
from aio.conftest import SEED
from support import faults
from support.actions import ReceiveRequest, Send
from support.seeded_files import SeededFiles

import qhttp
from qhttp import aio

FILES = SeededFiles(SEED, largest=65536)


def url(server, path="/"):
    return f"http://{server.host}:{server.port}{path}"


def test_client_many_at_once_each_gets_its_own_answer(run, files):
    async def work():
        async with aio.Client(jobs=16, per_host=16) as client:
            answers = await asyncio.gather(*(client.get(files.url(number)) for number in range(300)))
        return [answer.content for answer in answers]
    assert run(work()) == [bytes(FILES.view(number)) for number in range(300)]


def test_client_head_has_no_content(run, files):
    async def work():
        async with aio.Client() as client:
            return await client.head(files.url(3))
    answer = run(work())
    assert answer.status == 200 and not answer.content
    assert answer.header("content-length") == str(FILES.size(3))


def test_client_ranges_come_in_the_order_asked_for(run, files):
    number = next(number for number in range(100) if FILES.size(number) > 1000)

    async def work():
        async with aio.Client() as client:
            return await client.get_ranges(files.url(number), [(500, 600), (0, 10)])
    assert run(work())[1:] == [bytes(FILES.view(number, end=10))]


def test_client_error_of_a_request_is_raised_where_it_is_awaited(run, scripted_server):
    server = scripted_server(beyond=faults.cut_head())

    async def work():
        async with aio.Client(retries=0) as client:
            with pytest.raises(qhttp.UnexpectedClose):
                await client.get(url(server))
            with pytest.raises(ValueError, match="method"):
                await client.request("GE T", url(server))
    run(work())


@pytest.mark.parametrize("pipelining", [1, 8])
def test_client_cancelled_request_is_taken_back_and_its_lane_is_free(run, scripted_server, pipelining):
    server = scripted_server(faults.stall(), beyond=faults.answer(*[faults.BODY] * 8))

    async def work():
        async with aio.Client(jobs=1, pipelining=pipelining) as client:
            stuck = asyncio.create_task(client.get(url(server)))
            behind = [asyncio.create_task(client.get(url(server))) for _ in range(3)]
            while not server.connections:
                await asyncio.sleep(0)
            behind[0].cancel()
            stuck.cancel()
            ended = await asyncio.gather(stuck, *behind, return_exceptions=True)
            assert [type(end) for end in ended[:2]] == [asyncio.CancelledError] * 2
            return [end.content for end in ended[2:]]
    assert run(work()) == [faults.BODY] * 2


def test_client_request_that_waits_for_a_lane_is_cancelled_at_once(run, scripted_server):
    server = scripted_server(faults.stall())

    async def work():
        async with aio.Client(jobs=1) as client:
            stuck = asyncio.create_task(client.get(url(server)))
            waiting = asyncio.create_task(client.get(url(server)))
            while not server.connections:
                await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert not stuck.done()
            stuck.cancel()
            with pytest.raises(asyncio.CancelledError):
                await stuck
    run(work())
    assert len(server.connections) == 1


def test_client_closed_with_requests_under_way_ends_them(run, scripted_server):
    server = scripted_server(beyond=faults.stall())

    async def work():
        client = aio.Client()
        tasks = [asyncio.create_task(client.get(url(server))) for _ in range(3)]
        while len(server.connections) < 3:
            await asyncio.sleep(0)
        await client.aclose()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(end) for end in ended] == [qhttp.Cancelled] * 3
    run(work())


def test_client_closed_with_an_earlier_request_sent_behind_a_later_one_ends_both(run, scripted_server):
    """The earlier one is redirected to where the later one is under way, and waits for its turn on that connection."""
    server = scripted_server([*faults.answer(), ReceiveRequest(), Send(faults.whole()[:-5])])

    def n_received():
        return bytes(server.connections[0].received).count(b"\r\n\r\n")

    def let_the_later_one_go_first(_peer):
        server.wait_for(lambda: n_received() == 2)

    location = f"Location: {url(server)}".encode()
    elsewhere = scripted_server([ReceiveRequest(), let_the_later_one_go_first,
                                 Send(faults.whole(b"", location, status=b"HTTP/1.1 302 Found\r\n"))])

    async def work():
        client = aio.Client(jobs=2, per_host=1, pipelining=8)
        await client.get(url(server))           # its connection is known to stay
        earlier, later = (asyncio.create_task(client.get(url(at))) for at in (elsewhere, server))
        while n_received() < 3:
            await asyncio.sleep(0)
        await client.aclose()
        ended = await asyncio.gather(earlier, later, return_exceptions=True)
        assert [type(end) for end in ended] == [qhttp.Cancelled] * 2
    run(work())
    assert len(server.connections) == 1


def test_client_made_in_one_loop_answers_in_the_next_one_of_its_thread(run, scripted_server):
    server = scripted_server(faults.answer(*[faults.BODY] * 2))

    async def begun():
        client = aio.Client()
        return client, await client.get(url(server))

    async def continued(client):
        async with client:
            return await client.get(url(server))

    client, first = run(begun())
    assert [first.content, run(continued(client)).content] == [faults.BODY] * 2
    assert len(server.connections) == 1


def test_client_is_not_held_up_by_a_request_of_a_loop_that_was_closed_under_it(run, scripted_server, abandoned):
    server = scripted_server(faults.answer(*[faults.BODY] * 2))

    async def begun():
        client = aio.Client(jobs=1, per_host=1)
        waiting = asyncio.ensure_future(client.get(url(server)))
        await asyncio.sleep(0)
        return client, waiting

    async def continued(client):
        async with client:
            return await client.get(url(server))
    client, waiting = abandoned(begun())
    assert run(continued(client)).content == faults.BODY and not waiting.done()


def test_client_timeouts_of_asyncio_leave_no_descriptor(run, scripted_server, n_descriptors):
    qhttp.loop()
    server = scripted_server(beyond=faults.stall())

    async def work():
        async with aio.Client() as client:
            await client.get(url(server))

    async def hurried():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(work(), 0.05)

    run(hurried())
    before = n_descriptors()
    for _ in range(3):
        run(hurried())
    assert n_descriptors() - before <= len(server.connections)      # the server's own sides
