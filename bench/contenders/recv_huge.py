"""The floor of big bodies in memory: received right into huge pages, in C."""

from bench.contenders.program import floor_main

if __name__ == "__main__":
    floor_main("recv_huge")
