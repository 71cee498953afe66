from typing import Any

class HeaderBase:
    _valid: bool
    _line: tuple[Any, ...]
    _fields: tuple[tuple[str, str], ...]

class ResponseBase(HeaderBase):
    def statusCode(self) -> int: ...

def received_header(kind: type, block: bytes) -> Any: ...
