"""Whether this Python has a GIL: without one, memory goes back in other ways."""
import sys

import pytest

IS_LOCKED = getattr(sys, "_is_gil_enabled", lambda: True)()

# What a test says of the collector holds where a reference count tells at once that nothing refers to an object. Without
# the GIL functions and code are only let go of by the collector, and an object that ends in another thread goes to its own.
counts_references = pytest.mark.skipif(not IS_LOCKED, reason="without the GIL references are not counted at once")

# Without the GIL the allocator takes memory in pieces of 32 MiB, and keeps them.
small_pieces = pytest.mark.skipif(not IS_LOCKED, reason="without the GIL memory is taken in large pieces")
