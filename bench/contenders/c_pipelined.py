"""The floor of pipelining: an epoll loop in C with several requests in flight on each connection."""

from bench.contenders.program import floor_main

if __name__ == "__main__":
    floor_main("pipelined")
