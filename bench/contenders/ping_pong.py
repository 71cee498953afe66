"""The floor of one connection: blocking send and receive in C."""

from bench.contenders.program import floor_main

if __name__ == "__main__":
    floor_main("ping_pong")
