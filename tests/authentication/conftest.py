"""What the tests of authentication share: the face's record and watchdog, and clients that answer questions."""
import pytest
from face.conftest import Record, watchdog
from support.credentials import Client

__all__ = ["watchdog"]


@pytest.fixture
def client():
    """Makes clients: client(server, answers=[...]), or client(server, QHttp's further arguments ...)."""
    return lambda server, *more, **answers: Client(Record, server.host, server.port, *more, **answers)
