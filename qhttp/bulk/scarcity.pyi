from typing_extensions import disjoint_base

from qhttp.bulk.outcome import Host
from qhttp.bulk.patience import Patience
from qhttp.bulk.settings import Settings

@disjoint_base
class Scarcity(Patience):
    def __init__(self, settings: Settings) -> None: ...
    def spare(self) -> None: ...
    def make_do(self, host: Host, what: str) -> bool: ...
