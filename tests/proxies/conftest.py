"""What the tests of proxies share: the face's watchdog, certificates, clients, and no application proxy left behind."""
import ssl

import pytest
import trustme
from face.conftest import Record, watchdog
from support.credentials import Client

import qhttp

__all__ = ["watchdog"]


@pytest.fixture(autouse=True)
def no_application_proxy():
    yield
    qhttp.QNetworkProxy.setApplicationProxy(qhttp.QNetworkProxy())


@pytest.fixture
def client():
    """Makes clients: client(QHttp's arguments ..., answers=[...], proxy_answers=[...])."""
    return lambda *arguments, **answers: Client(Record, *arguments, **answers)


class Certificates:
    """`pem`: key and certificate of origin.test and 127.0.0.1; `context`: of a client that trusts them."""

    def __init__(self, folder):
        authority = trustme.CA()
        leaf = authority.issue_cert("origin.test", "127.0.0.1")
        self.pem = str(folder / "origin.pem")
        leaf.private_key_and_cert_chain_pem.write_to_path(self.pem)
        self.context = ssl.create_default_context()
        authority.configure_trust(self.context)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def tls(certificates):
    """Lets a client trust the certificates: tls(client) is the client."""
    def trusting(c):
        c.http.setSslConfiguration(certificates.context)
        return c
    return trusting
