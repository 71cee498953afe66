"""Recorded behaviour of the C++ class QHttp, held against qhttp.

`data/traces.json` has scenarios: what a program calls, what scripted servers do, and (where the behaviour is to be
copied) every signal, request byte and final value that was recorded.

    scenarios.py    reading them, and which can be played yet
    play.py         one scenario from begin to end, in a process of its own
    player.py       makes the calls and notes the signals
    calls.py        how a recorded call becomes a call of qhttp
    notation.py     how values are written in a trace
    devices.py      the recorded devices
    peers.py        the scripted servers, and what they saw
    differences.py  where qhttp differs on purpose
    comparison.py   `copy` scenarios: is it what was recorded?
    framing.py      which body an answer has, read as RFC 9112 says
    soundness.py    `do_not_copy` scenarios: is it sound, whatever the signals?
"""
