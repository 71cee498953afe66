"""The floor of a chunked body: received, decoded in place by the plainest decoder, dropped, in C."""

from bench.contenders.program import floor_main

if __name__ == "__main__":
    floor_main("chunk_decode")
