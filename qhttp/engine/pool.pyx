"""Idle connections, kept for the next exchange that may use them.

A key says what a connection may be used for: scheme, host, port, and later the proxy and the TLS configuration. A
connection under another key is never handed out. Idle ones stay in the loop's poll set: one that the server closes,
or on which bytes come that nobody asked for, is closed and forgotten at once.
"""
from _weakref import ref

from qhttp._connection cimport Connection


cdef class Pool:
    """At most `max_idle` idle connections (int). `owner` (None, or an object that can be weakly referenced) is told
    `connection_lost(connection)` when one of them ends by itself."""

    def __init__(self, max_idle=1, owner=None):
        if not isinstance(max_idle, int) or max_idle < 0:
            raise ValueError(f"max_idle must be an int of 0 or more, not {max_idle!r}")
        self.max_idle, self.idle = max_idle, {}
        self.owner = ref(owner) if owner is not None else None
        self.self_ref = ref(self)

    def __repr__(self):
        return f"<qhttp pool: {self.n_idle} idle of at most {self.max_idle}>"

    def __len__(self):
        return self.n_idle

    cpdef Connection take(self, key):
        """An idle connection for `key`, or None; then the oldest idle one makes room for the new one if need be."""
        cdef Connection connection = self.recent
        cdef list those
        if connection is not None and connection.key is key:        # one user, one server: no look-up
            self.recent = None
            self.n_idle -= 1
            return connection
        self.file_recent()
        those = self.idle.get(key)
        if those:
            self.n_idle -= 1
            return those.pop()
        if self.n_idle >= self.max_idle > 0:
            self.forget_oldest()
        return None

    cpdef put(self, Connection connection):
        """Keeps a connection that rests; it must be open and between exchanges."""
        if self.max_idle == 0:
            connection.close()
            return
        if self.n_idle >= self.max_idle:
            self.forget_oldest()
        self.file_recent()
        self.recent = connection
        self.n_idle += 1
        connection.idle_owner = self.self_ref

    cdef object file_recent(self):
        """Puts the most recent one to the others of its key."""
        cdef Connection connection = self.recent
        cdef list those
        if connection is None:
            return
        self.recent = None
        those = self.idle.get(connection.key)
        if those is None:
            if len(self.idle) > 2 * self.max_idle:      # keys whose connections are all gone
                self.idle = {key: row for key, row in self.idle.items() if row}
            those = self.idle[connection.key] = []
        those.append(connection)

    cdef object forget_oldest(self):
        """Closes the connection that has been idle longest, of the key that was first used."""
        self.file_recent()
        for key, those in self.idle.items():
            if those:
                self.n_idle -= 1
                (<Connection>(<list>those).pop(0)).close()
                if not those:
                    del self.idle[key]
                return

    def connection_lost(self, Connection connection):
        """An idle connection has ended by itself (the core tells)."""
        self.file_recent()
        those = self.idle.get(connection.key)
        if those and connection in those:
            those.remove(connection)
            self.n_idle -= 1
            owner = self.owner() if self.owner is not None else None
            if owner is not None:
                owner.connection_lost(connection)

    cpdef close(self):
        """Closes all idle connections; says whether there were any."""
        cdef bint any_open = self.n_idle > 0
        self.file_recent()
        idle, self.idle, self.n_idle = self.idle, {}, 0         # none of them may be had again, whatever comes
        problem = None
        for those in idle.values():
            for connection in those:
                try:
                    (<Connection>connection).close()
                except BaseException as error:
                    problem = error
        if problem is not None:
            raise problem
        return any_open
