"""The servers do what the tests of the client take for granted: asked with curl and pyspnego, to know whose a failure is."""
import base64
import http.client
import socket
import ssl
import subprocess

import pytest
from support.faults import BODY

from world import spnego_origin
from world.certificates import OTHER_NAME
from world.nginx import SIZES
from world.programs import module, program
from world.squid import FORBIDDEN_NAME, KNOWN_NAME, NONCE_USES
from world.users import PASSWORD, USER, WRONG_PASSWORD

RIGHT, WRONG = f"{USER}:{PASSWORD}", f"{USER}:{WRONG_PASSWORD}"


@pytest.fixture
def curl(certificates):
    """Runs curl; gives (status, body), or ("error", curl's number)."""
    def run(*arguments):
        command = [program("curl"), "-sS", "-q", "--max-time", "20", "--noproxy", "", "--cacert", certificates.authority,
                   "-w", "%{stderr}%{http_code}", *arguments]
        done = subprocess.run([str(word) for word in command], capture_output=True)
        return ("error", done.returncode) if done.returncode else (int(done.stderr[-3:]), done.stdout)
    return run


# -- nginx
@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("location", ["plain", "chunked", "until-close"])
def test_nginx_file_by_https_is_that_on_disk(nginx, curl, location, name):
    assert curl(f"https://localhost:{nginx.port['https']}/{location}/{name}") == (200, nginx.file(name).read_bytes())


@pytest.mark.parametrize("location, field", [("plain", b"Content-Length"), ("chunked", b"Transfer-Encoding: chunked"),
                                             ("until-close", b"Connection: close")])
def test_nginx_location_has_its_framing(nginx, curl, location, field):
    assert field in curl("-D", "-", "-o", "/dev/null", f"http://127.0.0.1:{nginx.port['http']}/{location}/small")[1]


def test_nginx_third_request_to_twice_comes_on_another_connection(nginx, curl, mark):
    url = f"http://127.0.0.1:{nginx.port['http']}/twice/small?{mark}"
    curl(url, url, url)
    assert len({record["connection"] for record in nginx.log.wait_about(mark, 3)}) == 2


@pytest.mark.parametrize("server, error", [("other_name", 60), ("expired", 60), ("stranger", 60), ("self_signed", 60)])
def test_nginx_bad_certificate_refused(nginx, curl, server, error):
    assert curl(f"https://localhost:{nginx.port[server]}/plain/small") == ("error", error)
    assert curl("-k", f"https://localhost:{nginx.port[server]}/plain/small") == (200, BODY)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_nginx_offered_session_resumed(nginx, certificates, mark, newest):
    context, session = certificates.context(newest=newest), None
    for _ in range(2):
        with (socket.create_connection((nginx.host, nginx.port["https"]), 5) as plain,
              context.wrap_socket(plain, server_hostname="localhost", session=session) as sock):
            sock.sendall(f"GET /plain/small?{mark} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            while sock.recv(1000):
                pass
            session = sock.session
    assert [record["reused"] for record in nginx.log.wait_about(mark, 2)] == [".", "r"]


@pytest.mark.parametrize("member, status", [("member", 200), (None, 400), ("false_member", 400)])
def test_nginx_members_only_with_certificate(nginx, certificates, curl, member, status):
    shown = ["--cert", certificates.path(member)] if member else []
    assert curl(*shown, f"https://localhost:{nginx.port['members']}/plain/small")[0] == status


@pytest.mark.parametrize("user, status", [(RIGHT, 200), (WRONG, 401), (":", 401)])
def test_nginx_basic_with_password_only(nginx, curl, user, status):
    assert curl("-u", user, f"http://127.0.0.1:{nginx.port['http']}/basic/small")[0] == status


def test_nginx_put_file_is_on_disk(nginx, curl, mark):
    assert curl("-T", nginx.file("4mib"), f"http://127.0.0.1:{nginx.port['http']}/upload/{mark}")[0] == 201
    assert nginx.upload(mark).read_bytes() == nginx.file("4mib").read_bytes()


# -- Apache
@pytest.mark.parametrize("user, status", [(RIGHT, 200), (WRONG, 401), (":", 401)])
@pytest.mark.parametrize("scheme", ["basic", "digest"])
def test_apache_scheme_with_password_only(apache, curl, scheme, user, status):
    assert curl(f"--{scheme}", "-u", user, f"http://127.0.0.1:{apache.port}/{scheme}/small")[0] == status


@pytest.mark.parametrize("path, user", [("/echo", ":"), ("/digest/echo", RIGHT)])
def test_apache_echo_gives_back_what_is_posted(apache, curl, path, user):
    assert curl("--digest", "-u", user, "-d", "to and fro", f"http://127.0.0.1:{apache.port}{path}") == (200, b"to and fro")


def test_apache_old_answers_in_http_1_0(apache, curl):
    assert curl("-i", f"http://127.0.0.1:{apache.port}/old/small")[1].startswith(b"HTTP/1.0 200 ")


def test_apache_nonce_of_stale_gets_stale(apache, curl, mark):
    path = f"/stale/small?{mark}"
    assert curl("--digest", "-u", RIGHT, f"http://127.0.0.1:{apache.port}{path}") == (200, BODY)
    apache.wait_until_stale(path, apache.log.wait_about(mark, 2)[1]["authorization"])


# -- Squid
def test_squid_second_get_of_cached_file_is_a_hit(nginx, squid, curl, mark):
    url = f"http://{KNOWN_NAME}:{nginx.port['http']}/cached/small?{mark}"
    assert [curl("-x", f"127.0.0.1:{squid.port['open']}", url) for _ in range(2)] == [(200, BODY)] * 2
    assert [record["cache"] for record in squid.log.wait_about(mark, 2)] == ["TCP_MISS", "TCP_MEM_HIT"]


def test_squid_connect_gives_a_tunnel(nginx, squid, curl):
    url = f"https://{KNOWN_NAME}:{nginx.port['https']}/plain/small"
    assert curl("-x", f"127.0.0.1:{squid.port['open']}", url) == (200, BODY)
    assert squid.log.wait_about(f"{KNOWN_NAME}:{nginx.port['https']}")[0]["method"] == "CONNECT"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_squid_forbidden_name_refused(squid, curl, scheme):
    answer = curl("-x", f"127.0.0.1:{squid.port['open']}", f"{scheme}://{FORBIDDEN_NAME}/")
    assert answer[0] == 403 if scheme == "http" else answer == ("error", 56)


@pytest.mark.parametrize("scheme", ["basic", "digest"])
@pytest.mark.parametrize("user, status", [(RIGHT, 200), (WRONG, 407), (":", 407)])
def test_squid_login_with_password_only(nginx, request, curl, scheme, user, status):
    proxy = request.getfixturevalue("squid" if scheme == "basic" else "digest_squid")
    answer = curl("-x", f"127.0.0.1:{proxy.port['login']}", f"--proxy-{scheme}", "-U", user,
                  f"http://{KNOWN_NAME}:{nginx.port['http']}/plain/small")
    assert answer[0] == status


def test_squid_digest_nonce_gets_stale_by_use(nginx, digest_squid, curl, mark):
    urls = [f"http://{KNOWN_NAME}:{nginx.port['http']}/plain/small?{mark}"] * (2 * NONCE_USES)
    assert curl("-x", f"127.0.0.1:{digest_squid.port['login']}", "--proxy-digest", "-U", RIGHT, *urls)[1] == BODY * len(urls)
    states = [record["status"] for record in digest_squid.log.wait_about(mark, len(urls) + 2)]
    assert states.count("200") == len(urls) and states.count("407") >= 2


def test_squid_leads_another_name_to_its_certificate(nginx, squid, curl):
    url = f"https://{OTHER_NAME}:{nginx.port['other_name']}/plain/small"
    assert curl("-x", f"127.0.0.1:{squid.port['open']}", url) == (200, BODY)


# -- Dante
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_dante_open_to_all(nginx, dante, curl, scheme):
    assert curl("--socks5", f"127.0.0.1:{dante.port}", f"{scheme}://localhost:{nginx.port[scheme]}/plain/small") == (200, BODY)
    dante.wait_for_log(f"127.0.0.1.{nginx.port[scheme]}")


@pytest.mark.parametrize("user, expected", [(RIGHT, (200, BODY)), (WRONG, ("error", 97)), (":", ("error", 97))])
def test_dante_login_with_password_only(nginx, login_dante, curl, user, expected):
    url = f"http://{KNOWN_NAME}:{nginx.port['http']}/plain/small"
    assert curl("--socks5-hostname", f"127.0.0.1:{login_dante.port}", "-U", user, url) == expected


# -- pyspnego's acceptor
def ask_with_tokens(origin, password):
    """What a client made of pyspnego's initiator gets."""
    spnego = module("spnego")
    options = spnego.NegotiateOptions.use_ntlm if origin.scheme == "NTLM" else spnego.NegotiateOptions.use_negotiate
    initiator = spnego.client(f"{spnego_origin.DOMAIN}\\{USER}", password, hostname=origin.host, service="HTTP",
                              protocol=origin.scheme.lower(), options=options)
    connection, answer, token = http.client.HTTPConnection(origin.host, origin.port, timeout=10), None, None
    while token := initiator.step(token):
        fields = {"Authorization": f"{origin.scheme} {base64.b64encode(token).decode()}"}
        connection.request("GET", "/", headers=fields)
        answer = connection.getresponse()
        body, challenge = answer.read(), answer.headers.get("WWW-Authenticate", "").partition(" ")[2]
        if not challenge:
            break
        token = base64.b64decode(challenge)
    connection.close()
    return answer.status, body


@pytest.mark.parametrize("scheme", ["ntlm", "negotiate"])
@pytest.mark.parametrize("password, expected", [
    (spnego_origin.PASSWORD, (200, f"{spnego_origin.DOMAIN}\\{USER} ".encode())),
    (WRONG_PASSWORD, (401, spnego_origin.NO_ENTRY))])
def test_spnego_origin_with_password_only(request, scheme, password, expected):
    assert ask_with_tokens(request.getfixturevalue(f"{scheme}_origin"), password) == expected


@pytest.mark.parametrize("password, status", [(spnego_origin.PASSWORD, 200), (WRONG_PASSWORD, 401)])
def test_ntlm_origin_understands_curl(ntlm_origin, curl, password, status):
    user = f"{spnego_origin.DOMAIN}\\{USER}:{password}"
    assert curl("--ntlm", "-u", user, f"http://127.0.0.1:{ntlm_origin.port}/")[0] == status
