from typing import Any

from typing_extensions import disjoint_base

@disjoint_base
class HeaderBase:
    _valid: bool
    _line: tuple[Any, str, int, int]
    _fields: tuple[tuple[str, str], ...]

class ResponseBase(HeaderBase):
    def statusCode(self) -> int: ...

def received_header(kind: type, block: bytes) -> Any: ...
