"""A QUrl of a real Qt in the place of a path: its path and query, and nothing of where it leads."""
import pytest

from qhttp.arguments import plain_path


class Url:
    """What of a QUrl is asked."""

    def __init__(self, text):
        self.text = text

    def toEncoded(self):
        return self.text.encode()

    def host(self):
        return ""


@pytest.mark.parametrize("text, path", [
    ("http://a.test/b?c#d", b"/b?c"), ("http://a.test", b"/"), ("http://a.test?b", b"/?b"), ("https://a.test/b?c=http://d/e",
                                                                                            b"/b?c=http://d/e"),
    ("/b?c#d", b"/b?c"), ("b", b"b"), ("/to?url=http://c.test/d", b"/to?url=http://c.test/d"),
    ("/cache/http://c.test/d", b"/cache/http://c.test/d"), ("?u=http://c.test/d", b"?u=http://c.test/d")])
def test_url_as_a_path_is_its_path_and_query(text, path):
    assert plain_path(Url(text)) == path
