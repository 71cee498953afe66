"""Damages the bytes of answers: inserted, deleted, flipped, doubled, swapped, cut, spliced. All of it follows from one seed."""
from random import Random

from adversarial.corpus import cases

from differential.cases import Case
from differential.grammar import Grammar

TELLING = [b"\r\n", *(bytes([one]) for one in b"\r\n\0 \t:;,01f-+\"\\\x7f\x80\xff=x")]
LONGEST_SEED = 2000             # bytes; longer ones are about limits
LONGEST = 4000
ENDS_WITH_RESET = 5             # one in so many


def corpus_seeds() -> list[bytes]:
    """What the servers of the adversarial cases send."""
    found = []
    for case in cases().values():
        steps = [step["send"].encode("latin-1") for step in case["server"] if isinstance(step.get("send"), str)]
        if steps and len(whole := b"".join(steps)) <= LONGEST_SEED:
            found.append(whole)
    return found


class Mutator:
    """An endless row of cases."""

    def __init__(self, seed: int, one_bytewise_in: int = 60, one_cut_in: int = 4):
        self.rng = rng = Random(seed)
        self.grammar = Grammar(rng)
        self.seeds, self.kept = corpus_seeds(), []
        self.one_bytewise_in, self.one_cut_in = one_bytewise_in, one_cut_in
        self.changes = [self.insert, self.insert, self.delete, self.delete, self.replace, self.replace, self.flip, self.double,
                        self.swap, self.cut, self.splice, self.move_line]

    def case(self) -> Case:
        rng = self.rng
        data = self.grammar.answer() if rng.random() < 0.9 else self.grammar.pick(self.seeds)
        if rng.random() < 0.6:
            for _ in range(1 + int(rng.random() * rng.random() * 4)):
                data = self.grammar.pick(self.changes)(data)
        data = data[:LONGEST]
        return Case(self.grammar.method(), data, self.grammar.one_in(ENDS_WITH_RESET))

    def cuts(self, data: bytes) -> tuple:
        """Where to cut an answer that is given a second time; () for one that is not."""
        rng = self.rng
        if len(data) > 1 and self.grammar.one_in(self.one_bytewise_in):
            return tuple(range(1, len(data)))
        if len(data) > 1 and self.grammar.one_in(self.one_cut_in):
            return tuple(sorted({1 + int(rng.random() * (len(data) - 1)) for _ in range(1 + int(rng.random() * 4))}))
        return ()

    # -- changes
    def place(self, data: bytes) -> int:
        return int(self.rng.random() * (len(data) + 1))

    def insert(self, data):
        at = self.place(data)
        return data[:at] + self.grammar.pick(TELLING) + data[at:]

    def delete(self, data):
        at = self.place(data)
        return data[:at] + data[at + 1 + int(self.rng.random() ** 4 * 20):]

    def flip(self, data):
        at = self.place(data[1:])
        return data[:at] + bytes([data[at] ^ 1 << int(self.rng.random() * 8)]) + data[at + 1:] if data else data

    def replace(self, data):
        at = self.place(data)
        return data[:at] + self.grammar.pick(TELLING) + data[at + 1:]

    def double(self, data):
        at = self.place(data)
        end = at + 1 + int(self.rng.random() ** 2 * 40)
        return data[:end] + data[at:]

    def swap(self, data):
        first, second, third = sorted(self.place(data) for _ in range(3))
        return data[:first] + data[second:third] + data[first:second] + data[third:]

    def cut(self, data):
        return data[:self.place(data)]

    def splice(self, data):
        """The beginning of this one, and the end of another."""
        self.kept = [*self.kept[-15:], data]
        other = self.grammar.pick(self.kept)
        return data[:self.place(data)] + other[self.place(other):]

    def move_line(self, data):
        lines = data.split(b"\r\n")
        line = lines.pop(int(self.rng.random() * len(lines)))
        lines.insert(int(self.rng.random() * (len(lines) + 1)), line)
        return b"\r\n".join(lines)
