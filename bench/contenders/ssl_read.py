"""The floor of one big body over TLS: a loop of SSL_read, in C."""

from bench.contenders.program import floor_main

if __name__ == "__main__":
    floor_main("ssl_read")
