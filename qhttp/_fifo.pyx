"""See _fifo.pxd."""
cimport cython


@cython.final
cdef class Fifo:
    def __cinit__(self):
        self.items = []

    cdef object compact(self):
        """Drops what was taken: at once where nothing is left, else when it is half of the list."""
        if self.start == len(self.items):
            self.items.clear()
            self.start = 0
        elif self.start * 2 >= len(self.items):
            del self.items[:self.start]
            self.start = 0
