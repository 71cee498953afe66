"""The floor of big bodies over TLS in memory: decrypted right into huge pages, in C."""

from bench.contenders.program import floor_main

if __name__ == "__main__":
    floor_main("ssl_huge")
