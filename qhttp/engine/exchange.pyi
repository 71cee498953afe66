from qhttp._core import Limits, Task, Watcher

class Options:
    limits: Limits
    connect_ms: int
    transfer_ms: int
    total_ms: int
    min_rate: int
    rate_ms: int

class Request: ...
class Observer(Task): ...

class Exchange(Watcher):
    def cancel(self) -> None: ...
