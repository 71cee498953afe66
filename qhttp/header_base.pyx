"""The compiled part of the header classes: what they keep, and how a head from the wire waits as bytes until someone asks.

One is made for every answer that has a listener, and most are asked for their status alone.
"""
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.object cimport PyObject, PyTypeObject

from qhttp._core import describe_head

cdef extern from "Python.h":
    ctypedef object (*newfunc)(PyTypeObject *kind, object args, PyObject *kwargs)
    ctypedef struct TypeWithNew "PyTypeObject":
        newfunc tp_new

cdef tuple NOTHING = ()


@cython.no_gc
@cython.auto_pickle(False)         # what is saved is in headers.py
cdef class HeaderBase:
    cdef object take_apart(self):
        block, self.block = self.block, None
        major, minor, code, reason, fields = describe_head(block)
        self.line, self.fields = (code, reason, major, minor), tuple(fields)

    @property
    def _line(self):
        if self.block is not None:
            self.take_apart()
        return self.line

    @_line.setter
    def _line(self, tuple line not None):
        if self.block is not None:
            self.take_apart()
        self.line = line

    @property
    def _fields(self):
        if self.block is not None:
            self.take_apart()
        return self.fields

    @_fields.setter
    def _fields(self, tuple fields not None):
        if self.block is not None:
            self.take_apart()
        self.fields = fields


@cython.no_gc
@cython.auto_pickle(False)         # what is saved is in headers.py
cdef class ResponseBase(HeaderBase):
    def statusCode(self):
        """The status code, such as 404 (Qt 4 QHttpResponseHeader::statusCode)."""
        cdef const unsigned char *digits
        if self.block is None:
            return self.line[0]
        digits = <const unsigned char *>PyBytes_AS_STRING(self.block) + len(b"HTTP/1.1 ")
        return (digits[0] - 48) * 100 + (digits[1] - 48) * 10 + digits[2] - 48


cpdef object received_header(type kind, bytes block):
    """The header (of `kind`, QHttpResponseHeader) of a received head: status line to blank line, already found valid."""
    cdef HeaderBase header = (<TypeWithNew *>kind).tp_new(<PyTypeObject *>kind, NOTHING, NULL)
    header.block, header._valid = block, True
    return header
