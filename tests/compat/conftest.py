"""Old code runs with the fixtures of the face's tests: clients, servers, records, the watchdog."""
from face.conftest import finish, make, path_server, pytest_configure, record, watchdog

__all__ = ["finish", "make", "path_server", "pytest_configure", "record", "watchdog"]
