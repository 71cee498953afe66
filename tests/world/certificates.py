"""The certificates of the world: one authority that the clients trust, and what it and others have issued."""
import datetime
import ssl

from support.certificate import make_certificate

from world.programs import module

NAMES = "localhost", "127.0.0.1", "::1", "origin.test"
OTHER_NAME = "elsewhere.test"
MEMBER = "member@world.test"
DAY = datetime.timedelta(days=1)


class Certificates:
    """PEM files with key and certificate in one: path("good"), path("expired") ...; and contexts for clients."""

    def __init__(self, folder):
        trustme = module("trustme")
        self.folder, now = folder, datetime.datetime.now(datetime.UTC)
        authority, stranger = trustme.CA(), trustme.CA()
        authority.cert_pem.write_to_path(str(self.authority))
        self._keep("good", authority.issue_cert(*NAMES))
        self._keep("other_name", authority.issue_cert(OTHER_NAME))
        self._keep("expired", authority.issue_cert(*NAMES, not_before=now - 2 * DAY, not_after=now - DAY))
        self._keep("stranger", stranger.issue_cert(*NAMES))
        self._keep("member", authority.issue_cert(MEMBER, common_name="member"))
        self._keep("false_member", stranger.issue_cert(MEMBER, common_name="member"))
        made = folder / "made"
        made.mkdir()
        self.path("self_signed").write_bytes(open(make_certificate(made), "rb").read())

    @property
    def authority(self):
        return self.folder / "authority.pem"

    def path(self, name: str):
        return self.folder / f"{name}.pem"

    def der(self, name: str) -> bytes:
        """The certificate in one of the files as it goes over the wire."""
        _, begin, rest = self.path(name).read_text().partition(ssl.PEM_HEADER)
        pem, end, _ = rest.partition(ssl.PEM_FOOTER)
        return ssl.PEM_cert_to_DER_cert(begin + pem + end)

    def context(self, member: str | None = None, newest: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """A client's context that trusts the authority, and shows a certificate of its own where one is named."""
        context = ssl.create_default_context(cafile=str(self.authority))
        if member:
            context.load_cert_chain(str(self.path(member)))
        if newest:
            context.maximum_version = newest
        return context

    def _keep(self, name: str, leaf) -> None:
        leaf.private_key_and_cert_chain_pem.write_to_path(str(self.path(name)))
