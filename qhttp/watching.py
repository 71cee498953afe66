"""Who wants to know of new objects: logging, and the hooks of tracers.

    @qhttp.watching.watch
    def follow(made):                       # a QHttp or a Downloader, right after it was made
        made.done.connect(...)

A watcher connects to the signals that it is interested in: what nobody watches costs nothing.
"""
from __future__ import annotations

from sys import modules

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    _Watcher = TypeVar("_Watcher", bound=Callable[[Any], object])

_watchers: list[Callable[[Any], object]] = []


def watch(function: _Watcher) -> _Watcher:
    """Has `function(object)` called with each QHttp and Downloader that is made from now on, in its thread. Returns it."""
    _watchers.append(function)
    return function


def unwatch(function: Callable[[Any], object]) -> None:
    """Takes watch() back. Raises ValueError where there was none."""
    _watchers.remove(function)


def announce(made: Any) -> None:
    """An object is made. Where the program has imported logging, it may want to read of it."""
    if "logging" in modules:
        from qhttp.logs import follow
        follow(made)
    for function in list(_watchers):
        function(made)
