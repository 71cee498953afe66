"""Waiting for something in a test while this thread's loop turns."""
import time

import qhttp

TURN_MS = 20
WAIT_S = 5.0
IDLE_S = 0.001              # where the loop comes back early, because it has nothing to do


def turn_until(condition, seconds: float = WAIT_S) -> None:
    """Turns this thread's loop until the condition holds; raises TimeoutError when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        began = time.monotonic()
        if began >= end:
            raise TimeoutError(f"not within {seconds} s")
        qhttp.loop().run(TURN_MS)
        if time.monotonic() - began < IDLE_S:
            time.sleep(IDLE_S)


def turn_for(seconds: float) -> None:
    """Turns this thread's loop for a time, to see that something does not happen."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        qhttp.loop().run(max(1, round(left * 1000)))
        if time.monotonic() < end:
            time.sleep(min(IDLE_S, left))
