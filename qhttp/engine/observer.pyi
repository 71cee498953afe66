from typing_extensions import disjoint_base

from qhttp._core import Task

@disjoint_base
class Request: ...

@disjoint_base
class Observer(Task): ...
