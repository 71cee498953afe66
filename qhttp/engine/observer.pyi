from typing_extensions import disjoint_base

from qhttp._core import Task

@disjoint_base
class Request: ...

class Observer(Task): ...
