"""The floor of a body that is dropped: receives of 256 KiB into one buffer, in C."""

from bench.contenders.program import floor_main

if __name__ == "__main__":
    floor_main("recv_drop")
