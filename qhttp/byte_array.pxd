"""QByteArray, and how bytes become one."""


cdef object as_byte_array(bytes data)
