"""What the tests of the bulk downloader share."""
import functools

import pytest


@pytest.fixture
def no_waits(monkeypatch):
    """Further tries come at once: the waits between them are nothing that such a test is about."""
    from qhttp.bulk import downloader
    monkeypatch.setattr(downloader, "RetryPolicy", functools.partial(downloader.RetryPolicy, base_s=0.0))
