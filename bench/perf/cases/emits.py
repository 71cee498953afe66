"""Signal.emit with no, one and three slots. The slots are Python functions that do nothing: their call is in the number."""

from __future__ import annotations

from qhttp._signal import Signal


class EmitToNone:
    n_slots = 0

    def __init__(self, port: int = 0) -> None:
        self.signal = Signal("finished", 2)
        for _ in range(self.n_slots):
            self.signal.connect(lambda request_id, error: None)

    def repeat(self, n: int) -> None:
        emit = self.signal.emit
        for _ in range(n):
            emit(1, False)


class EmitToOne(EmitToNone):
    n_slots = 1


class EmitToThree(EmitToNone):
    n_slots = 3
