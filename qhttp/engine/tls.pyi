from typing import Any

from typing_extensions import disjoint_base

from qhttp._connection import Channel, Connection
from qhttp.engine.tls_context import TlsConfiguration

@disjoint_base
class TlsChannel(Channel):
    def __init__(self, configuration: TlsConfiguration, host: str, port: int, is_verified: bool, asker: Any) -> None: ...
    @property
    def is_verified(self) -> bool: ...
    @property
    def certificate(self) -> bytes | None: ...
    def start(self, connection: Connection, received: bytes) -> None: ...
