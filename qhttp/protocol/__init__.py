"""Floor 2: bytes in, values out. Deterministic, without sockets, files or clocks."""
