"""Hostile and broken servers, and what a sound client must make of each.

`data/corpus.json` has one case on a line: what a server does, and the verdict. Each is played on every way: who asks, and by
which route the hostile peer is reached.

    corpus.py         reading the cases, what they need, what they move
    modes.py          how a case's bytes are cut: as it says, byte by byte, at random places
    ways.py           who asks, by which route; and which cases make no sense on which way
    routes.py         TLS, proxies, tunnels and SOCKS5, as the hostile peer sees them
    peers.py          the servers of a case, and what they saw
    lines.py          what a case's bytes are to requests that stand behind its own on one connection
    contract.py       what the player and a client adapter agree on
    client.py         the adapters on qhttp.QHttp, one request at a time and several on the line
    bulk_client.py    the adapters on qhttp.Client and qhttp.Downloader
    play.py           one case from begin to end, with time and memory
    judge.py          what was seen, held against the case
    verdicts.py       what comes of that, for one play
    playing.py        many plays, in children
    preferences.py    what qhttp does instead of what a case prefers, and why
    campaign.py       all cases, ways, cuts, several times over: `make adversarial`
    replay_client.py  the adapter for a judge from elsewhere that has the same contract
"""
