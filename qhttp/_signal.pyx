"""Signals after Qt's: `connect`, `disconnect`, `emit`. An emit that nobody listens to costs a comparison.

The slots of an emit are those connected when it began; one that is disconnected meanwhile is not called any
more. A slot may do anything: connect, disconnect, raise, drop the object, turn the loop.
"""
from cpython.exc cimport PyErr_SetObject, PyErr_WriteUnraisable



cdef int n_accepted(object function, int n_given) except -1:
    """How many of `n_given` positional arguments a callable takes, from its code object. Raises TypeError if more are needed."""
    cdef object target = function, code
    cdef int n_bound = 0, n_most, n_least
    if isinstance(target, Signal):
        return min(n_given, (<Signal>target).n_args)
    if isinstance(target, type):
        return n_given                  # a class: what its constructor takes cannot be told from a code object
    while True:
        if hasattr(target, "__func__") and hasattr(target, "__self__"):
            target, n_bound = target.__func__, n_bound + 1
        elif hasattr(target, "func") and hasattr(target, "keywords"):      # functools.partial
            if target.keywords:
                return n_given
            target, n_bound = target.func, n_bound + len(target.args)
        elif not hasattr(target, "__code__") and hasattr(type(target).__call__, "__code__"):
            target, n_bound = type(target).__call__, n_bound + 1
        else:
            break
    code = getattr(target, "__code__", None)
    if code is None:
        return n_accepted_by_signature(function, n_given)
    n_most = code.co_argcount - n_bound
    n_least = n_most - len(getattr(target, "__defaults__", None) or ())
    if code.co_flags & 0x04:            # *args
        n_most = n_given
    if n_least > n_given:
        raise TypeError(f"slot {function!r} needs {n_least} arguments, the signal gives {n_given}")
    return min(max(n_most, 0), n_given)


cdef int n_accepted_by_signature(object function, int n_given) except -1:
    """The same for what is written in C; such a thing may not tell, and then gets all arguments."""
    from inspect import Parameter, signature
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):
        return n_given
    if any(p.kind is Parameter.VAR_POSITIONAL for p in parameters):
        return n_given
    return min(n_given, sum(p.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD) for p in parameters))


cdef class Slot:
    pass


cdef class Signal:
    """A signal with `n_args` positional arguments, after Qt's. `str(signal)` is its name."""

    def __init__(self, str name not None, int n_args):
        self.name, self.n_args = name, n_args

    def __repr__(self):
        return f"<Signal {self.name} with {len(self.slots) if self.slots else 0} slots>"

    def __str__(self):
        return self.name

    def connect(self, slot):
        """Calls `slot` at every emit, after those connected before it; it is kept alive. Connected twice, it is called twice.

        A slot may take fewer arguments than the signal has. Returns the slot (so this works as a decorator).
        Raises TypeError for what cannot be called, or needs more arguments than the signal has.
        """
        cdef Slot entry = Slot.__new__(Slot)
        if not callable(slot) and not isinstance(slot, Signal):
            raise TypeError(f"slot must be callable, not {type(slot).__name__}")
        entry.n_args = n_accepted(slot, self.n_args)
        entry.function = slot.emit if isinstance(slot, Signal) else slot
        entry.connected = True
        self.slots = (self.slots or ()) + (entry,)
        return slot

    def disconnect(self, slot=None):
        """Disconnects `slot` (every connection of it), or all slots. Raises ValueError if it was not connected."""
        cdef Slot entry
        cdef list rest = []
        function = slot.emit if isinstance(slot, Signal) else slot
        for entry in self.slots or ():
            if slot is None or entry.function == function:
                entry.connected = False
            else:
                rest.append(entry)
        if slot is not None and len(rest) == len(self.slots or ()):
            raise ValueError(f"{slot!r} is not connected to {self.name}")
        self.slots = tuple(rest) or None

    def emit(self, *args):
        """Calls the slots in the order in which they were connected; the first exception is raised when all were called."""
        if len(args) != self.n_args:
            raise TypeError(f"{self.name} has {self.n_args} arguments, {len(args)} were given")
        error = self.fire(args)
        if error is not None:
            raise error

    cdef object fire(self, tuple args):
        """Calls the slots; returns the first exception, or None. Further ones go to sys.unraisablehook."""
        cdef Slot slot
        cdef object first = None
        if self.slots is None:
            return None
        for slot in self.slots:
            if not slot.connected:
                continue
            try:
                if slot.n_args == self.n_args:
                    slot.function(*args)
                else:
                    slot.function(*args[:slot.n_args])
            except BaseException as error:
                if first is None:
                    first = error
                else:
                    report(error, slot.function)
        return first


cdef void report(object error, object where):

    PyErr_SetObject(type(error), error)
    PyErr_WriteUnraisable(where)
