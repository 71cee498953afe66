from qhttp._connection import Watcher
from qhttp._core import Limits

class Options:
    limits: Limits
    connect_ms: int
    transfer_ms: int
    total_ms: int
    min_rate: int
    rate_ms: int

class Timed(Watcher): ...
class TimeLimits: ...
