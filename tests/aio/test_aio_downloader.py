"""qhttp.aio.Downloader: awaited or iterated, fed by async iterables, cancelled without a trace."""
import asyncio

import pytest
from aio.conftest import SEED
from support import faults
from support.seeded_files import SeededFiles

from qhttp import aio

FILES = SeededFiles(SEED, largest=65536)
N = 200


def rows(files, n=N):
    return [{"url": files.url(number), "out": str(number)} for number in range(n)]


def is_whole(folder, n=N):
    return all((folder / str(number)).read_bytes() == FILES.view(number) for number in range(n))


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
