from typing import Any

from typing_extensions import disjoint_base

from qhttp._core import Loop
from qhttp.engine.observer import Observer
from qhttp.engine.route import Route
from qhttp.engine.time_limits import Options
from qhttp.errors import NetworkError

@disjoint_base
class Tunnel(Observer):
    def __init__(self, loop: Loop, route: Route, options: Options, opening: Any) -> None: ...
    def start(self) -> None: ...
    def cancel(self) -> None: ...

def refusal(block: bytes) -> NetworkError: ...
