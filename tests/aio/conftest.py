"""Coroutines of tests run in asyncio's loop and, where it is there, in uvloop's: in debug mode, any warning an error."""
import asyncio
import contextlib
import gc
import os
import warnings

import pytest
from support.file_server_process import FileServerProcess

SEED = 5
PATIENCE_S = 20
N_TURNS = 3             # in which a generator that was left is closed by a task of its own


def factories():
    found = [pytest.param(asyncio.new_event_loop, id="asyncio")]
    try:
        import uvloop
    except ImportError:
        return [*found, pytest.param(None, id="uvloop", marks=pytest.mark.skip(reason="uvloop is not installed"))]
    return [*found, pytest.param(uvloop.new_event_loop, id="uvloop")]


@pytest.fixture(params=factories())
def run(request):
    """run(coroutine): in a loop of its own, in debug mode, within PATIENCE_S; afterwards no task is left and no descriptor."""
    def run(coroutine):
        troubles = []

        async def watched():
            asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
            result = await asyncio.wait_for(coroutine, PATIENCE_S)
            for _ in range(N_TURNS):
                await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, left
            return result

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with asyncio.Runner(debug=True, loop_factory=request.param) as runner:
                result = runner.run(watched())
        assert not troubles, troubles
        return result
    return run


@pytest.fixture
def abandoned():
    """abandoned(coroutine): what it returns, in a loop that is closed at once, with whatever still waits in it."""
    def run(coroutine):
        loop = asyncio.new_event_loop()
        with contextlib.closing(loop):
            return loop.run_until_complete(coroutine)
    return run


@pytest.fixture(scope="session")
def files():
    """A sound server of small seeded files (see support.file_server)."""
    with FileServerProcess(seed=SEED, largest=65536, fault_percent=0) as server:
        yield server


@pytest.fixture
def n_descriptors():
    """How many descriptors are open, what nobody refers to collected."""
    def count():
        gc.collect()
        return len(os.listdir("/proc/self/fd"))
    return count
