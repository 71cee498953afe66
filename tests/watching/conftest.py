"""What the tests of watching share: a server's certificate, a context that trusts it, and a look-up of the test's own."""
import ssl

import pytest
import trustme

from qhttp.engine import resolver


class Certificates:
    """`pem`: key and certificate of origin.test and 127.0.0.1; `authority`: who vouches for them; `context`: of a client,
    `server`: of a server."""

    def __init__(self, folder):
        authority = trustme.CA()
        leaf = authority.issue_cert("origin.test", "127.0.0.1")
        self.pem, self.authority = str(folder / "origin.pem"), str(folder / "authority.pem")
        leaf.private_key_and_cert_chain_pem.write_to_path(self.pem)
        authority.cert_pem.write_to_path(self.authority)
        self.context = ssl.create_default_context(cafile=self.authority)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(self.pem)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def names(monkeypatch):
    """Every name that ends in .test is 127.0.0.1, no other is known."""
    def look_up(host, port):
        return [(2, ("127.0.0.1", port))] if host.endswith(".test") else []

    monkeypatch.setattr(resolver, "look_up", look_up)
