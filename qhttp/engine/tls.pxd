from libc.stdint cimport uint64_t

from qhttp._connection cimport Channel, Connection


cdef class TlsChannel(Channel):
    cdef object incoming, outgoing      # ssl.MemoryBIO: records received, records to send
    cdef object tls, read, pending      # ssl.SSLObject, and its read and pending
    cdef object configuration           # TlsConfiguration
    cdef object asker                   # is told how the handshake ends; None once it has been
    cdef str host
    cdef int port
    cdef readonly bint is_verified      # the server has proved who it is
    cdef bint takes_any_end             # also one without close_notify
    cdef bint is_kept                   # its session, for the next connection
    cdef Py_ssize_t n_flying            # plain bytes whose records the loop is sending
    cdef bint in_write                  # some of it is being encrypted
    cdef size_t n_receives              # how often it was looked for more, to tell that this was done meanwhile
    cdef unsigned char[5] header        # of the record that is on its way (RFC 8446 section 5.1)
    cdef int header_len                 # bytes of it that have come
    cdef int record_left                # bytes of the record that have not
    cdef int part_len                   # bytes of it, header included, that have
    cdef bint is_cut                    # the last record may not be handed out whole
    cdef bint has_ended                 # nothing more will be received
    cdef int error                      # errno, where that was because of one
    cpdef start(self, Connection connection, bytes received)
    cdef object shake(self, Connection connection)
    cdef object pump(self, Connection connection)
    cdef object encrypt(self, bytes plain, Py_ssize_t at)
    cdef bint has_room_at(self, Connection connection, char *room, uint64_t turn, size_t n_receives)
    cdef object look_idle(self, Connection connection)
    cdef object take_records(self, char *data, Py_ssize_t n)
    cdef bint has_record(self) except -1
    cdef bint fill(self, Connection connection) except -1
    cdef Py_ssize_t decrypt(self, char *room, size_t length) except? -9
    cdef object flush_at_once(self, Connection connection)
