"""As ssl_read, but OpenSSL receives as much as 256 KiB at once: fewer system calls."""

from bench.contenders.program import floor_main

if __name__ == "__main__":
    floor_main("ssl_read", "--ahead", "262144")
