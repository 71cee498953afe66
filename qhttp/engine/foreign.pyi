from typing import Any

from qhttp._connection import Connection
from qhttp._core import Loop

def adopt_descriptor_of(loop: Loop, sock: Any, key: object) -> Connection: ...
def adopt_object(loop: Loop, sock: Any, key: object) -> Connection: ...
