cimport cython

from qhttp._core cimport joined

cdef str _shown(path)
@cython.locals(byte="unsigned char", target=bytes, text=str)
cpdef bytes check_target(path)
cpdef bytes head_tail(bytes host)
cpdef bytes simple_head(bytes method, bytes target, bytes tail)
@cython.locals(byte="unsigned char", data=bytes)
cpdef check_fields(str method, fields, bint has_body)
cpdef bytes with_fields(bytes head, fields)
cpdef bytes full_head(bytes method, bytes target, int minor, fields, body_len, bint is_chunked)
