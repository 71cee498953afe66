"""qhttp.aio.Downloader: awaited or iterated, fed by async iterables, cancelled without a trace."""
import asyncio
import contextlib
import itertools

import pytest
from aio.conftest import PATIENCE_S, SEED
from support import faults
from support.seeded_files import SeededFiles
from support.watchdog import limited

from qhttp import aio

FILES = SeededFiles(SEED, largest=65536)
N = 200
N_TURNS = 20            # of the loop, in which what would go on does so


def rows(files, n=N):
    return [{"url": files.url(number), "out": str(number)} for number in range(n)]


def is_whole(folder, n=N):
    return all((folder / str(number)).read_bytes() == FILES.view(number) for number in range(n))


class Source:
    """An async iterable of URLs that does not end; `given` has all that it gave. `n`: after so many it only waits."""

    def __init__(self, server, n=None):
        self.given, self._n = [], n
        self._base = f"http://{server.host}:{server.port}/"

    async def __aiter__(self):
        for number in itertools.count():
            if number == self._n:
                await asyncio.Event().wait()
            self.given.append(f"{self._base}{number}")
            yield self.given[-1]
            await asyncio.sleep(0)


def left_of(downloader):
    """The URLs that are left; fails where these do not come to an end."""
    with limited(PATIENCE_S):
        return [row["url"] for row in downloader.left()]


async def turns(n=N_TURNS):
    for _ in range(n):
        await asyncio.sleep(0)


def test_downloader_awaited_has_all_files(run, files, tmp_path):
    async def work():
        async with aio.Downloader(rows(files), dir=tmp_path) as downloader:
            return await downloader, downloader.n_done
    assert run(work()) == (False, N)
    assert is_whole(tmp_path)


def test_downloader_iterated_gives_each_once(run, files, tmp_path):
    async def work():
        async with aio.Downloader(rows(files), dir=tmp_path) as downloader:
            return sorted([transfer.number async for transfer in downloader])
    assert run(work()) == list(range(N))
    assert is_whole(tmp_path)


def test_downloader_failures_are_iterated_and_told(run, scripted_server):
    server = scripted_server(beyond=faults.cut_head())

    async def work():
        async with aio.Downloader([f"http://{server.host}:{server.port}/"], into="bytes", retries=0) as downloader:
            errors = [type(transfer.error).__name__ async for transfer in downloader]
            return errors, await downloader
    assert run(work()) == (["UnexpectedClose"], True)


def test_downloader_iterated_again_after_a_break_gives_the_rest(run, files):
    async def work():
        async with aio.Downloader([files.url(number) for number in range(N)], into="bytes", jobs=2) as downloader:
            async for transfer in downloader:
                first = transfer.number
                break
            return sorted([first, *[transfer.number async for transfer in downloader]])
    assert run(work()) == list(range(N))


def test_downloader_slow_taker_slows_the_run_down(run, files):
    async def work():
        async with aio.Downloader([files.url(number) for number in range(N)], into="bytes", jobs=4) as downloader:
            most, n = 0, 0
            async for _ in downloader:
                n += 1
                for _ in range(20):
                    await asyncio.sleep(0)
                most = max(most, downloader.n_done - n)
            return most, n
    most, n = run(work())
    assert n == N
    assert most <= 3 * 4        # those ended, those under way then, and their followers


def test_downloader_rows_come_from_an_async_iterable(run, files, tmp_path):
    async def named():
        for row in rows(files):
            if row["out"].endswith("7"):
                await asyncio.sleep(0.001)
            yield row

    async def work():
        async with aio.Downloader(named(), dir=tmp_path, jobs=8) as downloader:
            return sorted([transfer.number async for transfer in downloader])
    assert run(work()) == list(range(N))
    assert is_whole(tmp_path)


def test_downloader_async_iterable_that_raises_ends_the_run_with_that(run, files):
    async def broken():
        yield files.url(1)
        raise LookupError("no more names")

    async def work():
        async with aio.Downloader(broken(), into="bytes") as downloader:
            with pytest.raises(LookupError, match="no more names"):
                await downloader
            return downloader.n_done
    assert run(work()) == 1


def test_downloader_can_be_fed_while_it_runs(run, files):
    async def work():
        async with aio.Downloader(into="bytes") as downloader:
            downloader.start()
            downloader.add(files.url(1))
            await downloader
            downloader.feed([files.url(2), files.url(3)])
            return await downloader, downloader.n_done
    assert run(work()) == (False, 3)


def test_downloader_cancelled_stops_and_leaves_nothing(run, scripted_server, tmp_path, n_descriptors):
    server = scripted_server(beyond=faults.stall())
    qurls = [f"http://{server.host}:{server.port}/{n}" for n in range(50)]

    async def work():
        async def endless():
            for url in qurls:
                yield url
            await asyncio.Event().wait()

        async def download():
            async with aio.Downloader(endless(), dir=tmp_path, jobs=4, per_host=4) as downloader:
                async for _ in downloader:
                    pass

        task = asyncio.create_task(download())
        while len(server.connections) < 4:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    run(work())
    assert len(server.connections) == 4
    assert list(tmp_path.iterdir()) == []


def test_downloader_left_early_stops_the_rest(run, files):
    async def work():
        async with aio.Downloader([files.url(number) for number in range(N)], into="bytes", jobs=2) as downloader:
            first = await anext(aiter(downloader))
        return first.error, downloader.is_done, downloader.n_done < N
    assert run(work()) == (None, True, True)


@pytest.mark.parametrize("n", [3, None], ids=["waits", "endless"])
def test_downloader_stopped_has_left_what_was_read_of_an_async_iterable(run, scripted_server, n):
    server = scripted_server(faults.answer(), beyond=faults.stall())
    source, done = Source(server, n), []

    async def work():
        async with aio.Downloader(source, into="bytes", jobs=2) as downloader:
            downloader.finished.connect(lambda transfer: done.append(transfer.url))
            downloader.start()
            while not done or downloader.n_running < 2:
                await asyncio.sleep(0)
            downloader.stop()
            return left_of(downloader)
    left = run(work())
    assert len(done) == 1
    assert sorted(done + left) == source.given


@pytest.mark.parametrize("act", [aio.Downloader.stop, left_of], ids=["stop", "left"])
def test_downloader_stopped_or_asked_what_is_left_does_not_read_on_in_an_async_iterable(run, scripted_server, act):
    server = scripted_server(beyond=faults.stall())
    source = Source(server)

    async def work():
        async with aio.Downloader(source, into="bytes", jobs=2) as downloader:
            downloader.start()
            while len(source.given) < 4:        # those under way, and as many more
                await asyncio.sleep(0)
            act(downloader)
            await turns()
            return len(source.given)
    assert run(work()) == 4


@pytest.mark.parametrize("is_stopped", [False, True], ids=["going", "stopped"])
def test_downloader_left_while_results_are_held_back_is_all_that_is_not_done(run, files, is_stopped):
    urls, done, left = [files.url(number) for number in range(N)], [], []

    async def work():
        async with aio.Downloader(urls, into="bytes", jobs=2) as downloader:
            downloader.finished.connect(lambda transfer: done.append(transfer.url))
            async for _ in downloader:
                if not left:
                    while downloader.n_done < 1 + 2 or downloader.n_running:    # two were not taken: nothing more is begun
                        await asyncio.sleep(0)
                    if is_stopped:
                        downloader.stop()
                    left.extend(left_of(downloader))
    run(work())
    assert 0 < len(done) < N
    assert sorted(done + left) == sorted(urls)


def test_downloader_closed_before_an_async_iterable_was_begun_has_nothing_left(run, scripted_server):
    source = Source(scripted_server())

    async def work():
        downloader = aio.Downloader(source, into="bytes")
        await downloader.aclose()
        left = left_of(downloader)
        await turns()
        return left + left_of(downloader)
    assert run(work()) == source.given == []


def test_downloader_that_is_closed_waits_for_the_end_of_an_async_iterable_that_it_interrupts(run, scripted_server):
    server, told = scripted_server(faults.answer()), []

    async def cursor():
        try:
            yield f"http://{server.host}:{server.port}/"
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            told.append("cursor closed")

    async def work():
        async with aio.Downloader(cursor(), into="bytes") as downloader:
            async for _ in downloader:
                break
        told.append("downloader closed")
    run(work())
    assert told == ["cursor closed", "downloader closed"]


def test_downloader_whose_async_iterable_is_cancelled_before_it_was_begun_ends(run, scripted_server):
    source = Source(scripted_server())

    async def work():
        before = asyncio.all_tasks()
        async with aio.Downloader(source, into="bytes") as downloader:
            [pull] = asyncio.all_tasks() - before
            pull.cancel()
            return await downloader, left_of(downloader)
    assert run(work()) == (False, [])
    assert source.given == []


def test_downloader_row_that_an_async_iterable_was_about_to_give_is_in_the_next_left(run, scripted_server):
    server, came = scripted_server(), asyncio.Event()

    async def source():
        await came.wait()
        yield f"http://{server.host}:{server.port}/late"

    async def work():
        rows = source()
        async with contextlib.aclosing(rows), aio.Downloader(rows, into="bytes") as downloader:
            downloader.start()
            await turns()
            downloader.stop()
            first = left_of(downloader)
            came.set()
            await turns()
            return first, [url.rpartition("/")[2] for url in left_of(downloader)]
    assert run(work()) == ([], ["late"])


def test_downloader_begun_in_one_loop_is_closed_in_the_next_one_of_its_thread(run, scripted_server):
    server = scripted_server(beyond=faults.stall())

    async def begun():
        downloader = aio.Downloader([f"http://{server.host}:{server.port}/"], into="bytes")
        downloader.start()
        while not server.connections:
            await asyncio.sleep(0)
        return downloader

    async def closed(downloader):
        await downloader.aclose()
        return downloader.is_done
    assert run(closed(run(begun())))


@pytest.mark.parametrize("end", [aio.Downloader._until_done, aio.Downloader.aclose], ids=["awaited", "closed"])
def test_downloader_is_not_held_up_by_waits_in_a_loop_that_was_closed_under_them(run, files, abandoned, end):
    async def begun():
        downloader = aio.Downloader([files.url(1)], into="bytes")
        waiting = asyncio.ensure_future(downloader)
        await asyncio.sleep(0)
        return downloader, waiting

    async def ended(downloader):
        await end(downloader)
        await downloader.aclose()
        return downloader.is_done
    downloader, waiting = abandoned(begun())
    assert run(ended(downloader)) and not waiting.done()


def test_downloader_whose_async_iterable_was_left_in_a_closed_loop_can_be_closed(run, scripted_server, abandoned):
    source = Source(scripted_server(), 0)

    async def begun():
        downloader = aio.Downloader(source, into="bytes")
        downloader.start()
        await turns()
        return downloader

    async def closed(downloader):
        await downloader.aclose()
        return downloader.is_done
    assert run(closed(abandoned(begun())))
