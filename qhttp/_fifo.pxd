"""First in, first out: a list with a moving start. An append or a take costs a few instructions, not a method call."""
cimport cython


@cython.final
cdef class Fifo:
    cdef list items             # None up to `start`
    cdef Py_ssize_t start

    cdef inline Py_ssize_t n(self):
        return len(self.items) - self.start

    cdef inline object append(self, object item):
        self.items.append(item)

    cdef inline object item(self, Py_ssize_t i):
        """The i-th from the front; it must be there."""
        return self.items[self.start + i]

    cdef inline object take_first(self):
        cdef object item = self.items[self.start]
        self.items[self.start] = None
        self.start += 1
        if self.start == len(self.items) or self.start >= COMPACT_FROM:
            self.compact()
        return item

    cdef inline object take_last(self):
        return self.items.pop()

    cdef object compact(self)


cdef enum:
    COMPACT_FROM = 256
