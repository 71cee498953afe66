from typing_extensions import disjoint_base

from qhttp.engine.time_limits import Timed

@disjoint_base
class Sending(Timed):
    def wait_no_longer(self) -> None: ...
