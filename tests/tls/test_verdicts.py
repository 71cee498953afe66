"""Which servers are believed: names, addresses, times, chains, versions. Nothing is sent to the others, slot or no slot."""
import pytest
from support.actions import ReceiveRequest, Send
from tls.peers import TLS_1_1, TLS_1_2, TLS_1_3, Shake, answer, answers

GOOD = [
    ("name", "good", "localhost"),
    ("name_in_capitals", "good", "LOCALHOST"),
    ("name_with_final_dot", "good", "localhost."),
    ("wildcard_of_one_label", "wildcard", "one.wild.test"),
    ("address", "address", "127.0.0.1"),
    ("address6", "address6", "::1"),
    ("address6_spelled_out", "address6", "0:0:0:0:0:0:0:1"),
    ("chain_with_its_middle", "full_chain", "localhost"),
]
BAD = [
    ("wrong_host", "other_name", "localhost", "HostNameMismatch"),
    ("name_as_suffix", "good", "not.localhost", "HostNameMismatch"),
    ("wildcard_of_two_labels", "wildcard", "one.two.wild.test", "HostNameMismatch"),
    ("wildcard_of_no_label", "wildcard", "wild.test", "HostNameMismatch"),
    ("address_of_another", "other_address", "127.0.0.1", "HostNameMismatch"),
    ("address_by_name_only", "name_only", "127.0.0.1", "HostNameMismatch"),
    ("name_by_address_only", "address", "localhost", "HostNameMismatch"),
    ("address6_of_another", "other_address6", "::1", "HostNameMismatch"),
    ("address6_by_address4_only", "address", "::1", "HostNameMismatch"),
    ("common_name_only", "common_name", "localhost", "HostNameMismatch"),
    ("expired", "expired", "localhost", "CertificateExpired"),
    ("not_yet_valid", "not_yet", "localhost", "CertificateNotYetValid"),
    ("self_signed", "self_signed", "localhost", "SelfSignedCertificate"),
    ("unknown_authority", "stranger", "localhost", "UnableToGetLocalIssuerCertificate"),
    ("chain_without_its_middle", "no_middle", "localhost", "UnableToGetLocalIssuerCertificate"),
]
good = pytest.mark.parametrize("certificate, host", [row[1:] for row in GOOD], ids=[row[0] for row in GOOD])
bad = pytest.mark.parametrize("certificate, host, error", [row[1:] for row in BAD], ids=[row[0] for row in BAD])
versions = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])


@good
def test_tls_good_certificate_accepted(certificates, scripted_server, default_client, certificate, host):
    server = scripted_server(answers(certificates.server(certificate), b"ok"))
    told = default_client(server, host).asks()
    assert (told.get(), told.errors) == (("NoError", b"ok"), [])


@bad
def test_tls_bad_certificate_refused(certificates, scripted_server, default_client, certificate, host, error):
    server = scripted_server(beyond=answers(certificates.server(certificate), b"ok"))
    client = default_client(server, host)
    assert client.get() == ("UnknownError", b"")
    assert client.text.startswith("HTTP request failed: the server's certificate was refused: ")
    assert client.http.state() == client.http.Unconnected
    assert [peer.n_received for peer in server.connections] == [0]


@bad
def test_tls_bad_certificate_told_once_with_its_error_and_nothing_sent(
        certificates, scripted_server, default_client, certificate, host, error):
    server = scripted_server(beyond=answers(certificates.server(certificate), b"ok"))
    client = default_client(server, host).asks()
    assert client.get() == ("UnknownError", b"")
    [[told]] = client.errors
    assert told.error().name == error
    assert told.certificate().toDer() == certificates.der(certificate)
    assert told.errorString().startswith(type(told)(told.error()).errorString())
    server.wait_for(lambda: all(peer.how_ended for peer in server.connections))
    assert [peer.n_received for peer in server.connections] == [0, 0]


@bad
def test_tls_bad_certificate_ignored_in_slot_accepted(
        certificates, scripted_server, default_client, certificate, host, error):
    server = scripted_server(beyond=answers(certificates.server(certificate), b"ok"))
    client = default_client(server, host).ignores()
    assert (client.get(), len(client.errors)) == (("NoError", b"ok"), 1)
    assert [len(peer.taken) for peer in server.connections] == [0, 1]       # the one that was asked about, no third


def test_tls_common_name_only_as_the_users_context_says(certificates, scripted_server, client):
    context = certificates.client()
    context.hostname_checks_common_name = True
    server = scripted_server(answers(certificates.server("common_name"), b"ok"))
    assert client(server, context=context).get() == ("NoError", b"ok")


@versions
def test_tls_version_of_today_accepted(certificates, scripted_server, default_client, version):
    server = scripted_server(answers(certificates.server(version=version), b"ok"))
    assert default_client(server).get() == ("NoError", b"ok")
    assert server.connections[0].shaken[0] == {TLS_1_2: "TLSv1.2", TLS_1_3: "TLSv1.3"}[version]


def test_tls_version_1_1_refused(certificates, scripted_server, default_client):
    server = scripted_server(beyond=[Shake(certificates.server(version=TLS_1_1)), ReceiveRequest(), Send(answer())])
    client = default_client(server).ignores()
    assert client.get() == ("UnknownError", b"")
    assert client.text.startswith("HTTP request failed: TLS: ")
    assert (client.errors, [peer.n_received for peer in server.connections]) == ([], [0])


def test_tls_version_1_1_not_taken_by_the_second_handshake(certificates, scripted_server, default_client):
    """The certificate is asked about on a connection that is no weaker than the first."""
    server = scripted_server(answers(certificates.server("expired"), b"ok"),
                             answers(certificates.server("expired", version=TLS_1_1), b"ok"))
    client = default_client(server).ignores()
    assert (client.get(), client.errors) == (("UnknownError", b""), [])
    assert [peer.n_received for peer in server.connections] == [0, 0]


@pytest.mark.parametrize("host, name", [("localhost", "localhost"), ("localhost.", "localhost"), ("127.0.0.1", None),
                                        ("::1", None)])
def test_tls_server_name_sent_for_names_only(certificates, scripted_server, client, host, name):
    context, names = certificates.server(), []
    context.sni_callback = lambda tls, name, _: names.append(name)
    client(scripted_server(answers(context, b"ok")), host).get()
    assert names == [name]


def test_tls_server_name_sent_by_the_second_handshake(certificates, scripted_server, client):
    context, names = certificates.server("expired"), []
    context.sni_callback = lambda tls, name, _: names.append(name)
    client(scripted_server(beyond=answers(context, b"ok"))).ignores().get()
    assert names == ["localhost", "localhost"]


@pytest.mark.parametrize("context", [object(), "context", True])
def test_tls_configuration_that_is_no_context_type_error(certificates, scripted_server, client, context):
    with pytest.raises(TypeError, match=r"ssl\.SSLContext"):
        client(scripted_server()).http.setSslConfiguration(context)


def test_tls_configuration_for_servers_value_error(certificates, scripted_server, client):
    with pytest.raises(ValueError, match="servers"):
        client(scripted_server()).http.setSslConfiguration(certificates.server())


def test_tls_password_and_query_not_in_messages(certificates, scripted_server, client):
    one = client(scripted_server(beyond=answers(certificates.server("expired"), b"ok"))).asks()
    one.http.setUser("user-7", "secret-7")
    one.get("/path?token=secret-8")
    said = one.text + "".join(f"{error!r}{error.errorString()}" for error in one.errors[0]) + repr(one.http)
    assert one.errors and "secret" not in said and "user-7" not in said
