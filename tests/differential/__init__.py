"""Answers, well made and mutated, given to qhttp and to three other readers of HTTP/1.1. Who makes what of them?

    grammar.py       makes answers, most of them well formed, some odd in one of the ways that are seen
    mutation.py      damages their bytes
    reading.py       what an answer is by RFC 9112 and by what the house refuses besides, in plain regular expressions
    parties.py       h11, llhttp (through httptools) and the standard library's http.client, each asked in the same words
    receiving.py     qhttp, through its real receive path, whole or cut in pieces
    cases.py         what they are asked, and what they answer
    comparison.py    in what a party departs from the reading
    differences.py   the reviewed table: every way to depart, with who is right and why
    judging.py       all of that for a row of cases, counted
    shrinking.py     the shortest answer that still shows a departure
    campaign.py      a million answers: python -m differential.campaign --answers 1000000 --seed 1
"""
