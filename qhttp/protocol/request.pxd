cimport cython

@cython.locals(byte="unsigned char", target=bytes)
cdef str _shown(path)
cpdef bytes check_target(path)
cpdef bytes simple_head(bytes method, bytes target, bytes host, long long body_len)
@cython.locals(byte="unsigned char", data=bytes)
cpdef check_fields(str method, fields, bint has_body)
cpdef bytes full_head(bytes method, bytes target, int minor, fields, long long body_len)
