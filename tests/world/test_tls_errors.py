"""Certificates that do not stand: what sslErrors tells, that nothing goes out unasked, and that only the slot can go on."""
import pytest
from support.faults import BODY

from world.certificates import OTHER_NAME

BAD = [("self_signed", "SelfSignedCertificate"), ("other_name", "HostNameMismatch"), ("expired", "CertificateExpired"),
       ("stranger", "UnableToGetLocalIssuerCertificate")]


def told_errors(client, then=lambda: None):
    """The list of the errors that sslErrors tells, as it grows."""
    told = []

    def on_errors(errors):
        told.extend(errors)
        then()

    client.http.sslErrors.connect(on_errors)
    return told


@pytest.mark.parametrize("server, _", BAD)
def test_tls_bad_certificate_without_slot_fails_before_the_request(nginx, tls_client, mark, server, _):
    client = tls_client().to_tls("localhost", nginx.port[server])
    assert client.get(f"/plain/small?{mark}") == b""
    assert client.error == "UnknownError" and client.http.errorString().startswith("HTTP request failed: ")
    assert client.http.state() == client.http.Unconnected
    tls_client().to_tls("localhost", nginx.port["https"]).get(f"/plain/small?later-{mark}")
    assert len(nginx.log.wait_about(mark)) == 1         # the later one: so the first has not come


@pytest.mark.parametrize("server, error", BAD)
def test_tls_bad_certificate_told_with_its_error_and_certificate(nginx, certificates, tls_client, mark, server, error):
    client = tls_client().to_tls("localhost", nginx.port[server])
    told = told_errors(client)
    client.get(f"/plain/small?{mark}")
    assert error in [one.error().name for one in told]
    assert all(one.errorString() for one in told)
    assert told[0].certificate().toDer() == certificates.der(server)
    assert (client.error, nginx.log.about(mark)) == ("UnknownError", [])


@pytest.mark.parametrize("server, _", BAD)
def test_tls_bad_certificate_ignored_in_slot_gets_the_file(nginx, tls_client, server, _):
    client = tls_client().to_tls("localhost", nginx.port[server])
    told = told_errors(client, client.http.ignoreSslErrors)
    assert (client.get("/plain/small"), client.error) == (BODY, "NoError")
    assert told


def test_tls_errors_ignored_outside_of_slot_still_fail(nginx, tls_client):
    client = tls_client().to_tls("localhost", nginx.port["expired"])
    client.http.ignoreSslErrors()
    assert (client.get("/plain/small"), client.error) == (b"", "UnknownError")


def test_tls_good_certificate_tells_no_errors(nginx, tls_client):
    client = tls_client().to_tls("localhost", nginx.port["https"])
    told = told_errors(client)
    assert (client.get("/plain/small"), told) == (BODY, [])


def test_tls_certificate_of_other_name_is_for_that_name(nginx, tls_client, squid):
    """The name is checked that was asked for, also where a proxy leads to the address of another."""
    client = tls_client()
    client.http.setProxy(squid.host, squid.port["open"])
    client.to_tls(OTHER_NAME, nginx.port["other_name"])
    assert client.get("/plain/small") == BODY


def test_tls_to_a_plain_port_is_an_error(nginx, tls_client):
    client = tls_client().to_tls("localhost", nginx.port["http"])
    assert (client.get("/plain/small"), client.error) == (b"", "UnknownError")
    assert client.http.errorString().startswith("HTTP request failed: ")
