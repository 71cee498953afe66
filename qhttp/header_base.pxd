"""What the header classes keep, and the way from a received head to its header object."""


cdef class HeaderBase:
    cdef public bint _valid
    cdef bytes block        # a head from the wire that nobody has asked about; None: it was taken apart, or never was
    cdef tuple line, fields
    cdef object take_apart(self)


cdef class ResponseBase(HeaderBase):
    pass


cpdef object received_header(type kind, bytes block)
