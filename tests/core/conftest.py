"""What the tests of floor 1 share."""
import sys

import pytest

from qhttp._core import Loop


@pytest.fixture
def loop():
    """A loop of this thread that no other test has used."""
    return Loop()


@pytest.fixture
def unraisable(monkeypatch):
    """The exceptions that went to sys.unraisablehook."""
    errors = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: errors.append(what.exc_value))
    return errors
