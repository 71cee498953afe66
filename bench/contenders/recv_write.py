"""The floor of a body to a file in memory: receive, write about 1 MiB, in C."""

from bench.contenders.program import floor_main

if __name__ == "__main__":
    floor_main("recv_file", "--reserve", "0")
