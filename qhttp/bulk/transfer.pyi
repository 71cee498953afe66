from typing import Any

from qhttp.bulk.answered import Answered

class Transfer(Answered):
    editions: Any
    def cancel(self) -> None: ...
