"""QObject, SIGNAL and SLOT: parents and children, and signals connected by their names, as old code does it.

A parent holds its children, a child refers to its parent weakly; so nothing keeps a body alive in a circle. The end of a
parent (deleteLater(), its last reference, the `destroyed` of a real Qt object) ends its children, each in its own loop.
"""
from __future__ import annotations

from _weakref import ref

from qhttp._core import loop
from qhttp._signal import Signal
from qhttp.request_queue import emit_as, sender

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from typing import Any


def SIGNAL(signature: str) -> str:
    """The name of a signal for QObject.connect(): SIGNAL("done(bool)") (Qt: the macro SIGNAL)."""
    return "2" + _checked_signature(signature)


def SLOT(signature: str) -> str:
    """The name of a slot for QObject.connect(): SLOT("abort()") (Qt: the macro SLOT)."""
    return "1" + _checked_signature(signature)


def _checked_signature(signature: str) -> str:
    if not isinstance(signature, str):
        raise TypeError(f"signature must be str, not {type(signature).__name__}")
    return signature


def _split(signature: str) -> tuple[str, int | None]:
    """The name, and the number of arguments; None where no parentheses tell. Spaces, const and & do not count."""
    name, bracket, rest = signature.partition("(")
    name = name.strip().lstrip("12").strip()
    if not bracket:
        return name, None
    return name, len([word for word in rest.rpartition(")")[0].split(",") if word.strip() not in ("", "void")])


def _names_of_signals(emitter: object) -> list[str]:
    names = [name for name in dir(type(emitter)) if not name.startswith("_")]
    return [name for name in names if isinstance(getattr(emitter, name, None), Signal)]


def _find_signal(emitter: Any, signature: object) -> Any:
    """The signal of that name. Raises AttributeError where the emitter has none with so many arguments."""
    if isinstance(signature, Signal):
        return signature
    name, n_args = _split(_checked_signature(signature))     # type: ignore[arg-type]
    found = getattr(emitter, name, None) if name else None
    if isinstance(found, Signal):
        if n_args in (None, found.n_args):
            return found
    elif found is not None and hasattr(found, "connect"):    # of a real Qt object
        return found
    elif isinstance(emitter, QObject):
        own = emitter._find_own_signal(name, n_args)
        if own is not None:
            return own
    signals = ", ".join(_names_of_signals(emitter)) or "none"
    raise AttributeError(f"{type(emitter).__name__} has no signal {signature!r:.80}; its signals are: {signals}")


def _find_slot(receiver: Any, slot: Any) -> tuple[Any, int | None]:
    """What is to be called, and with how many arguments at most (None: as many as it takes)."""
    if not isinstance(slot, str):
        return slot, None
    if slot[:1] == "2":
        return _find_signal(receiver, slot), None
    name, n_args = _split(slot)
    found = getattr(receiver, name, None) if name else None
    if not callable(found):
        raise AttributeError(f"{type(receiver).__name__} has no slot {slot!r:.80}")
    return found, n_args


class _Link:
    """From a child to its parent, held by the child alone: who the parent is, and what happens when it ends."""

    __slots__ = ("__weakref__", "by_signal", "child", "loop", "parent")

    def __init__(self, child: QObject, parent: Any) -> None:
        self.child, self.loop = ref(child), loop()
        destroyed: Any = getattr(parent, "destroyed", None)
        self.by_signal = callable(getattr(destroyed, "connect", None))
        if self.by_signal:              # a Qt object may live longer than what Python holds of it
            self.parent = ref(parent)
            destroyed.connect(self.parent_ended)        # Qt refers weakly to the object of a bound method
            return
        me = ref(self)

        def ended(_: object) -> None:
            link = me()
            if link is not None:
                link.parent_ended()

        self.parent = ref(parent, ended)

    def parent_ended(self, *_: object) -> None:
        """Comes in any thread, and at any moment: the child ends in the next turn of its own loop."""
        if self.child() is not None:
            self.loop.call_from_thread(self.end_child)

    def end_child(self) -> None:
        child = self.child()
        if child is not None and child._link is self:
            child._link = None
            child.deleteLater()

    def cut(self) -> None:
        parent: Any = self.parent()
        if self.by_signal:
            try:
                parent.destroyed.disconnect(self.parent_ended)
            except (AttributeError, RuntimeError, TypeError):       # it is gone, or as good as gone
                pass
        elif isinstance(parent, QObject) and parent._children is not None:
            child = self.child()
            parent._children[:] = [other for other in parent._children if other is not child]


class QObject:
    """The small part of Qt's QObject that programs around QHttp use; QHttp has it, too (Qt: QObject).

    A subclass has signals where it says so (`finished = Signal("finished", 0)` made in its __init__), or by their mere
    mention in connect() and emit(), as old code does: `self.emit(SIGNAL("finished(int)"), 5)`, with at most three arguments.
    """

    _link: _Link | None = None
    _children: list[QObject] | None = None
    _own_signals: dict[str, Signal] | None = None
    _blocked = False
    _name = ""

    def __init__(self, parent: object = None) -> None:
        if parent is not None:
            self.setParent(parent)

    def __repr__(self) -> str:
        name = f" {self._name!r}" if self._name else ""
        return f"<qhttp {type(self).__name__}{name}: {len(self._children or ())} children>"

    # -- family
    def parent(self) -> Any:
        """The parent, None where there is none (any more) (Qt: QObject::parent)."""
        return None if self._link is None else self._link.parent()

    def setParent(self, parent: object) -> None:
        """Gives it to a parent, whose end will be its own; None: to nobody (Qt: QObject::setParent).

        A QObject of this module keeps its children alive; any other object that can be referred to weakly does not.
        Raises TypeError for one that cannot, and ValueError for itself or one of its own children.
        """
        forbear: Any = parent
        while isinstance(forbear, QObject):
            if forbear is self:
                raise ValueError("parent must not be the object itself or one of its children")
            forbear = forbear.parent()
        try:
            link = None if parent is None else _Link(self, parent)
        except TypeError:
            raise TypeError(f"parent must be an object that can have weak references, not {type(parent).__name__}") from None
        if self._link is not None:
            self._link.cut()
        self._link = link
        if isinstance(parent, QObject):
            if parent._children is None:
                parent._children = []
            parent._children.append(self)

    def children(self) -> list[QObject]:
        """The objects whose parent this is: a new list (Qt: QObject::children)."""
        return list(self._children or ())

    def objectName(self) -> str:
        """The name given by setObjectName(): str (Qt: QObject::objectName)."""
        return self._name

    def setObjectName(self, name: str) -> None:
        """Gives the object a name (Qt: QObject::setObjectName)."""
        if not isinstance(name, str):
            raise TypeError(f"name must be str, not {type(name).__name__}")
        self._name = name

    def deleteLater(self) -> None:
        """Ends the children and disconnects all slots, in the next turn of the loop (Qt: QObject::deleteLater)."""
        loop().call_soon(self._end)

    def _end(self) -> None:
        self._leave_family()
        for signal in (self._own_signals or {}).values():
            signal.disconnect()

    def _leave_family(self) -> None:
        if self._link is not None:
            self._link.cut()
            self._link = None
        for child in self.children():
            child.deleteLater()

    # -- signals
    def connect(self, *args: Any) -> bool:
        """Connects a signal to a slot, in the ways of old code (Qt: QObject::connect). Returns True.

        connect(emitter, signal, slot), connect(emitter, signal, receiver, slot), and as a method of the emitter
        connect(signal, slot), connect(signal, receiver, slot). `signal`: SIGNAL("done(bool)"), with any spacing. `slot`:
        anything that can be called, it may take fewer arguments; or with a receiver SLOT("abort()") or SIGNAL("...").
        Raises AttributeError for a signal or slot that is not there, TypeError for what cannot be connected.
        """
        emitter, signature, slot, n_args = _taken_apart(self, args)
        signal = _find_signal(emitter, signature)
        if not isinstance(signal, Signal):
            signal.connect(slot.emit if isinstance(slot, Signal) else slot)
        elif n_args is None:
            signal.connect(slot)
        else:
            signal.connect(slot, n_args)
        return True

    def disconnect(self, *args: Any) -> bool:
        """Takes a connection back; the arguments are those of connect() (Qt: QObject::disconnect).

        Without a slot, or with None for it: all of this signal. Without anything: all signals. Returns whether there was one.
        """
        if not args or all(argument is None for argument in args):
            for name in _names_of_signals(self):
                getattr(self, name).disconnect()
            for own in (self._own_signals or {}).values():
                own.disconnect()
            return True
        if len(args) == (1 if isinstance(args[0], (str, Signal)) else 2):
            args = (*args, None)
        emitter, signature, slot, _ = _taken_apart(self, args)
        if signature is None:
            return QObject.disconnect(emitter)
        signal = _find_signal(emitter, signature)
        try:
            if slot is None:
                signal.disconnect()
            else:
                signal.disconnect(slot.emit if isinstance(slot, Signal) and not isinstance(signal, Signal) else slot)
        except (ValueError, RuntimeError):
            return False
        return True

    def emit(self, signature: str | Signal, *args: Any) -> None:
        """Emits one of its own signals: emit(SIGNAL("finished(int)"), 5) (PyQt 4: QObject.emit)."""
        if not self.signalsBlocked():
            emit_as(self, _find_signal(self, signature), args)

    def sender(self) -> Any:
        """The object whose signal called the slot that is running, None outside of slots (Qt: QObject::sender)."""
        return sender()

    def blockSignals(self, block: bool) -> bool:
        """Makes it emit nothing from now on, or again; returns what was so before (Qt: QObject::blockSignals)."""
        before, self._blocked = self._blocked, bool(block)
        return before

    def signalsBlocked(self) -> bool:
        """Whether it emits nothing (Qt: QObject::signalsBlocked)."""
        return self._blocked

    def _find_own_signal(self, name: str, n_args: int | None) -> Signal | None:
        """A signal that exists by being mentioned. QHttp has none: its signals are known."""
        if not name.isidentifier() or (n_args or 0) > 3:
            return None
        if self._own_signals is None:
            self._own_signals = {}
        signal = self._own_signals.get(name)
        if signal is None:
            signal = self._own_signals[name] = Signal(name, n_args or 0)
        return signal if n_args in (None, signal.n_args) else None


def _taken_apart(me: Any, args: tuple[Any, ...]) -> tuple[Any, Any, Any, int | None]:
    """(emitter, signal, what is to be called, with how many arguments at most) of a connect() or disconnect()."""
    given = args
    emitter = me
    if args and not isinstance(args[0], (str, Signal)):
        emitter, args = args[0], args[1:]
    if len(args) == 2:
        slot, n_args = _find_slot(me, args[1])
    elif len(args) == 3:
        slot, n_args = (None, None) if args[2] is None else _find_slot(args[1], args[2])
    else:
        raise TypeError("connect() takes (emitter, signal, slot) or (emitter, signal, receiver, slot), "
                        f"not {len(given)} arguments")
    return emitter, args[0], slot, n_args
