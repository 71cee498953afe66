"""https: files equal to those on disk, one connection for many requests, resumed sessions, client certificates."""
import io
import ssl

import pytest
from support.faults import BODY

from world.nginx import SIZES

NEWEST = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("location", ["plain", "chunked", "until-close"])
def test_https_get_is_the_file_on_disk(nginx, tls_client, location, name):
    client = tls_client().to_tls("localhost", nginx.port["https"])
    assert client.get(f"/{location}/{name}") == nginx.file(name).read_bytes()
    assert (client.error, client.status) == ("NoError", 200)


@pytest.mark.parametrize("newest", NEWEST)
def test_https_get_to_file_is_the_file_on_disk(nginx, tls_client, tmp_path, newest):
    client = tls_client(newest=newest).to_tls("127.0.0.1", nginx.port["https"])
    with open(tmp_path / "got", "wb") as file:
        client.http.get("/plain/16mib", file)
        client.finish()
    assert client.error == "NoError"
    assert (tmp_path / "got").read_bytes() == nginx.file("16mib").read_bytes()


def test_https_read_all_without_device_is_the_file_on_disk(nginx, tls_client):
    client = tls_client().to_tls("localhost", nginx.port["https"])
    client.http.get("/plain/4mib")
    client.finish()
    assert client.http.readAll() == nginx.file("4mib").read_bytes()


def test_https_ipv6_literal_matches_certificate(nginx, tls_client):
    if not nginx.has_ipv6:
        pytest.skip("loopback has no IPv6 here")
    assert tls_client().to_tls("::1", nginx.port["https"]).get("/plain/small") == BODY


def test_https_name_is_told_to_the_server(nginx, tls_client, mark):
    tls_client().to_tls("localhost", nginx.port["https"]).get(f"/plain/small?{mark}")
    assert nginx.log.wait_about(mark)[0]["name"] == "localhost"


def test_https_two_gets_use_one_connection(nginx, tls_client, mark):
    client, bodies = tls_client().to_tls("localhost", nginx.port["https"]), [io.BytesIO(), io.BytesIO()]
    for body in bodies:
        client.http.get(f"/plain/small?{mark}", body)
    client.finish()
    assert [body.getvalue() for body in bodies] == [BODY, BODY]
    assert len({record["connection"] for record in nginx.log.wait_about(mark, 2)}) == 1


def test_https_server_closes_after_two_third_get_on_another_connection(nginx, tls_client, mark):
    client = tls_client().to_tls("localhost", nginx.port["https"])
    assert [client.get(f"/twice/4mib?{mark}") for _ in range(3)] == [nginx.file("4mib").read_bytes()] * 3
    assert len({record["connection"] for record in nginx.log.wait_about(mark, 3)}) == 2


@pytest.mark.parametrize("newest", NEWEST)
def test_https_second_connection_resumes_the_session(nginx, tls_client, mark, newest):
    client = tls_client(newest=newest).to_tls("localhost", nginx.port["https"])
    for _ in range(2):
        assert client.get(f"/plain/small?{mark}") == BODY
        client.close()
    records = nginx.log.wait_about(mark, 2)
    assert [record["reused"] for record in records] == [".", "r"]
    assert len({record["tls"] for record in records}) == 1


def test_https_other_context_does_not_resume_the_session(nginx, certificates, tls_client, mark):
    client = tls_client().to_tls("localhost", nginx.port["https"])
    client.get(f"/plain/small?{mark}")
    client.close()
    client.http.setSslConfiguration(certificates.context())
    client.get(f"/plain/small?{mark}")
    assert [record["reused"] for record in nginx.log.wait_about(mark, 2)] == [".", "."]


def test_https_put_arrives_whole(nginx, tls_client, mark):
    from qhttp import QHttpRequestHeader
    client = tls_client().to_tls("localhost", nginx.port["https"])
    with open(nginx.file("4mib"), "rb") as file:
        header = QHttpRequestHeader("PUT", f"/upload/{mark}")
        header.setValue("Host", "localhost")
        client.http.request(header, file)
        client.finish()
    assert (client.error, client.status) == ("NoError", 201)
    assert nginx.upload(mark).read_bytes() == nginx.file("4mib").read_bytes()


# -- client certificates
@pytest.mark.parametrize("newest", NEWEST)
def test_client_certificate_of_a_member_accepted(nginx, tls_client, newest):
    client = tls_client(member="member", newest=newest).to_tls("localhost", nginx.port["members"])
    assert (client.get("/plain/small"), client.status) == (BODY, 200)


@pytest.mark.parametrize("member", [None, "false_member"])
def test_client_certificate_missing_or_false_answered_with_400(nginx, tls_client, member):
    client = tls_client(member=member).to_tls("localhost", nginx.port["members"])
    client.get("/plain/small")
    assert (client.error, client.status) == ("NoError", 400)


@pytest.mark.parametrize("member, status", [("member", 200), (None, 403)])
def test_client_certificate_asked_for_one_location_only(nginx, tls_client, member, status):
    client = tls_client(member=member).to_tls("localhost", nginx.port["https"])
    client.get("/member/small")
    assert client.status == status
    assert client.get("/plain/small") == BODY
