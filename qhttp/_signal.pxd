"""Signals: a name, a number of arguments, and the slots connected to it."""


cdef class Slot:
    cdef object function
    cdef int n_args         # how many of the signal's arguments it takes
    cdef bint connected     # False once disconnected, also for an emit under way


cdef class Signal:
    cdef readonly str name
    cdef readonly int n_args
    cdef tuple slots        # of Slot, replaced as a whole; None: nobody listens
    cdef object fire(self, object a=*, object b=*, object c=*)
