from qhttp._connection cimport Channel, Connection


cdef class ObjectChannel(Channel):
    cdef object sock
    cdef object pending             # its pending(), or None
    cdef object timeout             # its owner's, to be set again; 0: nothing was changed
    cdef bytearray room             # what its recv_into fills
    cdef Py_ssize_t held_at, held_end   # room[held_at:held_end] was received and not handed on
    cdef bint has_ended
    cdef int error                  # errno, where it has ended because of one
    cdef int send_error             # errno, where sending has failed; what came before that is read first
    cdef bint in_call               # its own code runs
    cdef bint is_eof_kept           # an ssl.SSLSocket was told to tell how its stream ends
    cdef Py_ssize_t slice           # bytes given to one send
    cdef int pid                    # of the process that has set it so
    cdef object read(self, Connection connection)
    cdef object end(self, int error)
    cdef bint has_pending(self)
    cdef object look_for_answer(self, Connection connection)
    cdef object give_back(self)
