"""One piece of work a file. A case is a class: making one is the preparation, `repeat(n)` does its work `n` times.

The same cases are timed by pytest-benchmark and counted under callgrind, so they import nothing but qhttp. A case with
a wrong result raises.
"""

from __future__ import annotations

from importlib import import_module

# name -> (module, class, repetitions for a count); the larger run makes twice as many.
PYTHON_CASES = {
    "is_valid_head": ("heads", "IsValidHead", 2000),
    "describe_head": ("heads", "DescribeHead", 2000),
    "emit_0_slots": ("emits", "EmitToNone", 5000),
    "emit_1_slot": ("emits", "EmitToOne", 5000),
    "emit_3_slots": ("emits", "EmitToThree", 5000),
    "get": ("queueing", "Get", 5000),
    "exchange": ("exchanges", "Exchange", 1000),
}

# name -> repetitions for a count; what each is stands in kernels.c.
C_CASES = {
    "scan_head": 20_000,
    "index_fields": 20_000,
    "index_facts": 20_000,
    "decode_16384": 500,
    "decode_4096": 500,
    "decode_16": 50,
}

WHAT = {
    "scan_head": "C: find the end of a head of 8 fields",
    "index_fields": "C: index its fields",
    "index_facts": "C: its framing facts alone",
    "decode_16384": "C: decode 64 KiB in chunks of 16 KiB",
    "decode_4096": "C: decode 64 KiB in chunks of 4 KiB",
    "decode_16": "C: decode 64 KiB in chunks of 16 bytes",
    "is_valid_head": "judge a head of 8 fields (llhttp)",
    "describe_head": "take it apart into Python strings",
    "emit_0_slots": "Signal.emit of two arguments, no slot",
    "emit_1_slot": "the same, one Python function",
    "emit_3_slots": "the same, three Python functions",
    "get": "QHttp.get(): queue one request",
    "exchange": "one exchange of 1 KiB over loopback, with a slot",
    "queued_request": "memory of one queued request, in bytes",
}


def make_case(name: str, port: int = 0):
    """The prepared case; `port` is the bench server's, for the cases that talk to one."""
    module, kind, _ = PYTHON_CASES[name]
    return getattr(import_module(f"bench.perf.cases.{module}"), kind)(port)
