"""An origin that asks for NTLM or Negotiate: a scripted server with the acceptor of pyspnego behind it.

Both authenticate a connection, not a request: the token of each step has to come on the same one. The body of a good
answer is who the acceptor says it was, a space, and what was sent.
"""
import base64
import re

from support.faults import head
from support.request_reading import body_length, take_head
from support.scripted_server import ScriptedServer

from world.programs import module
from world.users import USER

DOMAIN = "WORLD"
PASSWORD = "open sesame 1001"       # colons separate the columns of the user file
REFUSED = b"HTTP/1.1 401 Unauthorized\r\n"
NO_ENTRY = b"no entry"


class SpnegoOrigin(ScriptedServer):
    """SpnegoOrigin("NTLM") or SpnegoOrigin("Negotiate")."""

    def __init__(self, scheme: str):
        self.scheme, self.spnego = scheme, module("spnego")
        super().__init__()

    def script_for(self, connection):
        return [self.serve]

    def acceptor(self):
        # pyspnego's own code, even where the system has a GSSAPI: that one would look for a Kerberos realm
        own = self.spnego.NegotiateOptions
        return self.spnego.server(hostname=self.host, service="HTTP", protocol=self.scheme.lower(),
                                  options=own.use_ntlm if self.scheme == "NTLM" else own.use_negotiate)

    def serve(self, peer):
        acceptor, is_known = None, False
        while True:
            request = take_head(peer)
            body = peer.take(body_length(request))
            token = self.token_in(request)
            answer, status = b"", REFUSED
            if token is not None:
                acceptor = acceptor if acceptor and not is_known else self.acceptor()
                answer, is_known = self.step(acceptor, token)
                acceptor = acceptor if answer or is_known else None
            if is_known:
                status, body = b"HTTP/1.1 200 OK\r\n", acceptor.client_principal.encode() + b" " + body
            else:
                body = NO_ENTRY
            fields = [b"Content-Length: %d" % len(body)]
            if answer or not is_known:
                fields.append(b"WWW-Authenticate: %s %s" % (self.scheme.encode(), base64.b64encode(answer)))
            peer.send(head(*(field.rstrip() for field in fields), status=status) + body)

    def token_in(self, request: bytes) -> bytes | None:
        found = re.search(rb"(?im)^authorization: %s ([^\r]+)" % self.scheme.encode(), request)
        return base64.b64decode(found[1]) if found else None

    def step(self, acceptor, token: bytes) -> tuple[bytes, bool]:
        """The acceptor's next token, and whether it now knows who is there."""
        try:
            answer = acceptor.step(token)
        except self.spnego.exceptions.SpnegoError:
            return b"", False
        return answer or b"", acceptor.complete


def write_user_file(path) -> None:
    """The users of the acceptor: it finds this file by the environment variable NTLM_USER_FILE."""
    path.write_text(f"{DOMAIN}:{USER}:{PASSWORD}\n")
