"""Any call of the API, from any slot, in any state, on several QHttp objects, against a server that does what its paths say.

    server.py    the server: one thread, all connections; answers /<kind>/<size>/<anything>
    outcomes.py  what each kind of answer has to come to
    model.py     the queue as documented, in plain Python: which signals may come now, and what is current
    watched.py   one QHttp with its model: makes the calls, sees the signals, compares
    deeds.py     what can be done to it, between turns or in slots
    test_machine.py  the rules that hypothesis plays
"""
