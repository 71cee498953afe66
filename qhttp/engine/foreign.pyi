from typing import Any

from typing_extensions import disjoint_base

from qhttp._connection import Channel, Connection
from qhttp._core import Loop

@disjoint_base
class ObjectChannel(Channel):
    def __init__(self, sock: Any) -> None: ...
    def __del__(self) -> None: ...

def adopt_descriptor_of(loop: Loop, sock: Any, key: object) -> Connection: ...
def adopt_object(loop: Loop, sock: Any, key: object) -> Connection: ...
