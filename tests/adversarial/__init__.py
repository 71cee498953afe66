"""Hostile and broken servers, and what a sound client must make of each.

`data/corpus.json` has one case on a line: what a server on loopback does, and the verdict.

    corpus.py         reading the cases, what they need, what they move
    modes.py          how a case's bytes are cut: as it says, byte by byte, at random places
    peers.py          the servers of a case, and what they saw
    contract.py       what the player and a client adapter agree on
    client.py         the adapter on qhttp.QHttp
    play.py           one case from begin to end, in a process of its own, with time and memory
    judge.py          what was seen, held against the case
    replay_client.py  the adapter for a judge from elsewhere that has the same contract
"""
