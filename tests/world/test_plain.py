"""Plain http from servers that people run: every framing, HTTP/1.0, connections with an end."""
import pytest
from support.faults import BODY

from world.nginx import SIZES


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("location", ["plain", "chunked", "until-close"])
def test_http_get_is_the_file_on_disk(nginx, client, location, name):
    client.to("localhost", nginx.port["http"])
    assert client.get(f"/{location}/{name}") == nginx.file(name).read_bytes()
    assert (client.error, client.status) == ("NoError", 200)


def test_http_server_closes_after_two_all_five_gets_succeed(nginx, client, mark):
    client.to("localhost", nginx.port["http"])
    assert [client.get(f"/twice/small?{mark}") for _ in range(5)] == [BODY] * 5
    assert len({record["connection"] for record in nginx.log.wait_about(mark, 5)}) == 3


def test_http_answer_in_1_0_closes_the_connection(apache, client, mark):
    client.to("localhost", apache.port)
    assert [client.get(f"/old/small?{mark}") for _ in range(2)] == [BODY, BODY]
    assert client.http.lastResponse().minorVersion() == 0
    assert len({record["peer_port"] for record in apache.log.wait_about(mark, 2)}) == 2


def test_http_post_comes_back_from_echo(apache, client):
    client.to("localhost", apache.port)
    assert client.post("/echo", BODY * 10_000) == BODY * 10_000
