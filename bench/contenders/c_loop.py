"""The floor of many connections: an epoll loop in C that does the system calls and nothing else."""

from bench.contenders.program import floor_main

if __name__ == "__main__":
    floor_main("epoll_client")
