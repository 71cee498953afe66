from typing import BinaryIO, Self

from typing_extensions import disjoint_base

from qhttp._core import Sink

@disjoint_base
class Memory(Sink): ...

@disjoint_base
class FileSink(Sink):
    def __new__(cls, file: BinaryIO) -> Self: ...

@disjoint_base
class ObjectSink(Memory):
    def __new__(cls, device: object) -> Self: ...

def make_sink(device: object) -> Sink: ...
