cimport cython

cdef object _parser, _upgrade, _no_callbacks
cpdef load()
@cython.locals(byte="unsigned char")
cpdef bint is_valid_head(bytes block, bint has_fold) except -1
