"""The floor of a body to a disk file: receive, write about 1 MiB, space reserved ahead, in C."""

from bench.contenders.program import floor_main

if __name__ == "__main__":
    floor_main("recv_file")
