"""Signals after Qt's: `connect`, `disconnect`, `emit`. An emit that nobody listens to costs a comparison.

The slots of an emit are those connected when it began; one that is disconnected meanwhile is not called any
more. A slot may do anything: connect, disconnect, raise, drop the object, turn the loop. Other threads may connect
and disconnect at any time, too: the critical sections are for builds of Python without the GIL, and nothing in others.
"""
cimport cython
from cpython.exc cimport PyErr_SetObject, PyErr_WriteUnraisable

cdef enum:
    CO_VARARGS = 0x04           # of a code object: it has *args
    MAX_ARGS = 3


cdef int n_accepted(object function, int n_given) except -1:
    """How many of `n_given` positional arguments a slot takes, from its code object. Raises TypeError if it needs others."""
    cdef object target = function, code
    cdef int n_bound = 0, n_most, n_least, n_named
    if isinstance(target, Signal):
        return fitting(function, (<Signal>target).n_args, (<Signal>target).n_args, n_given)
    if hasattr(target, "__func__") and hasattr(target, "__self__"):
        target, n_bound = target.__func__, 1
    elif not hasattr(target, "__code__") and hasattr(type(target).__call__, "__code__"):
        target, n_bound = type(target).__call__, 1
    code = getattr(target, "__code__", None)
    if code is None or isinstance(target, type):
        return n_accepted_by_signature(function, n_given)
    n_most = code.co_argcount - n_bound
    n_least = n_most - len(getattr(target, "__defaults__", None) or ())
    n_named = code.co_kwonlyargcount - len(getattr(target, "__kwdefaults__", None) or ())
    if n_named > 0:
        raise TypeError(f"slot {function!r} needs arguments by name, which a signal does not give")
    return fitting(function, n_least, n_given if code.co_flags & CO_VARARGS else n_most, n_given)


cdef int fitting(object function, int n_least, int n_most, int n_given) except -1:
    if n_least > n_given:
        raise TypeError(f"slot {function!r} needs {n_least} arguments, the signal gives {n_given}")
    return min(max(n_most, 0), n_given)


cdef int n_accepted_by_signature(object function, int n_given) except -1:
    """The same for partials, classes and what is written in C; one that does not tell gets all arguments."""
    from inspect import Parameter, signature
    cdef int n_least = 0, n_most = 0
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = None
    if parameters is None:
        return n_given
    for parameter in parameters:
        if parameter.kind is Parameter.VAR_POSITIONAL:
            n_most = n_given
        elif parameter.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD):
            n_most += 1
            n_least += parameter.default is Parameter.empty
        elif parameter.kind is Parameter.KEYWORD_ONLY and parameter.default is Parameter.empty:
            raise TypeError(f"slot {function!r} needs arguments by name, which a signal does not give")
    return fitting(function, n_least, n_most, n_given)


cdef class Slot:
    pass


cdef class Signal:
    """A signal with `n_args` positional arguments (0 to 3), after Qt's. `str(signal)` is its name."""

    def __init__(self, str name not None, int n_args):
        if not 0 <= n_args <= MAX_ARGS:
            raise ValueError(f"n_args must be from 0 to {MAX_ARGS}, not {n_args}")
        self.name, self.n_args = name, n_args

    def __repr__(self):
        with cython.critical_section(self):
            slots = self.slots or ()
        return f"<Signal {self.name} with {len(slots)} slots>"

    def __str__(self):
        return self.name

    def connect(self, slot, n_args=None):
        """Calls `slot` at every emit, after those connected before it; it is kept alive. Connected twice, it is called twice.

        A slot may take fewer arguments than the signal has; `n_args` (int): it gets no more than so many. Returns the slot
        (so this works as a decorator). Raises TypeError for what cannot be called, or needs more arguments than it would get.
        """
        cdef Slot entry = Slot.__new__(Slot)
        if not callable(slot) and not isinstance(slot, Signal):
            raise TypeError(f"slot must be callable, not {type(slot).__name__}")
        entry.n_args = n_accepted(slot, self.n_args if n_args is None else min(n_args, self.n_args))
        entry.function = slot.emit if isinstance(slot, Signal) else slot
        entry.connected = True
        with cython.critical_section(self):
            self.slots = (self.slots or ()) + (entry,)
        return slot

    def disconnect(self, slot=None):
        """Disconnects `slot` (every connection of it), or all slots. Raises ValueError if it was not connected."""
        cdef Slot entry
        cdef tuple slots
        cdef set gone = set()
        function = slot.emit if isinstance(slot, Signal) else slot
        with cython.critical_section(self):
            slots = self.slots or ()
        for entry in slots:
            if slot is None or entry.function == function:      # may run code of the user's
                entry.connected = False
                gone.add(entry)
        if slot is not None and not gone:
            raise ValueError(f"{slot!r} is not connected to {self.name}")
        with cython.critical_section(self):
            self.slots = tuple([entry for entry in self.slots or () if entry not in gone]) or None

    def emit(self, *args):
        """Calls the slots in the order in which they were connected; the first exception is raised when all were called."""
        if len(args) != self.n_args:
            raise TypeError(f"{self.name} has {self.n_args} arguments, {len(args)} were given")
        if self.slots is None:
            return
        error = self.fire(args[0] if self.n_args > 0 else None, args[1] if self.n_args > 1 else None,
                          args[2] if self.n_args > 2 else None)
        if error is not None:
            raise error

    cdef object fire(self, object a=None, object b=None, object c=None):
        """Calls the slots; returns the first exception, or None. Further ones go to sys.unraisablehook."""
        cdef Slot slot
        cdef tuple slots
        cdef object first = None
        if self.slots is None:
            return None
        with cython.critical_section(self):
            slots = self.slots
        if slots is None:
            return None
        for slot in slots:
            if not slot.connected:
                continue
            try:
                if slot.n_args == 1:
                    slot.function(a)
                elif slot.n_args == 2:
                    slot.function(a, b)
                elif slot.n_args == 0:
                    slot.function()
                else:
                    slot.function(a, b, c)
            except BaseException as error:
                if first is None:
                    first = error
                else:
                    report(error, slot.function)
        return first


cdef void report(object error, object where):

    PyErr_SetObject(type(error), error)
    PyErr_WriteUnraisable(where)
