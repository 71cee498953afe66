"""The value classes that need no network: QAuthenticator, QNetworkProxy, QSslError, QSslCertificate."""
import copy
import hashlib
import pickle

import pytest

from qhttp.authenticator import QAuthenticator
from qhttp.network_proxy import QNetworkProxy
from qhttp.ssl_error import QSslCertificate, QSslError

DER = bytes(range(200))
PROXY_TYPES = {"DefaultProxy": 0, "Socks5Proxy": 1, "NoProxy": 2, "HttpProxy": 3, "HttpCachingProxy": 4, "FtpCachingProxy": 5}


@pytest.fixture
def application_proxy():
    yield QNetworkProxy.setApplicationProxy
    QNetworkProxy.setApplicationProxy(QNetworkProxy())


# -- QAuthenticator
def test_authenticator_fresh_is_null():
    fresh = QAuthenticator()
    assert fresh.isNull() and (fresh.user(), fresh.password(), fresh.realm(), fresh.options()) == ("", "", "", {})
    assert fresh.option("realm") is None


def test_authenticator_set_gives_back_what_was_set():
    given = QAuthenticator("the realm", options={"qop": "auth"})
    given.setUser("me")
    given.setPassword("hidden")
    assert not given.isNull() and (given.user(), given.password(), given.realm()) == ("me", "hidden", "the realm")
    assert given.option("realm") == "the realm" and given.options() == {"realm": "the realm", "qop": "auth"}


def test_authenticator_realm_option_sets_the_realm():
    given = QAuthenticator()
    given.setOption("realm", "here")
    assert given.realm() == "here" and not given.isNull()


def test_authenticator_copy_is_equal_and_independent():
    first = QAuthenticator("r", "u", "p")
    second = QAuthenticator(first)
    assert first == second
    second.setUser("other")
    assert first != second and first.user() == "u" and first != "u"


@pytest.mark.parametrize("call", [
    lambda a: a.setUser(b"x"), lambda a: a.setPassword(None), lambda a: a.setOption(1, 2), lambda a: QAuthenticator(5)])
def test_authenticator_value_of_another_type_raises(call):
    with pytest.raises(TypeError, match="must be str"):
        call(QAuthenticator())


def test_secrets_are_not_in_a_repr():
    shown = repr(QAuthenticator("r", "theuser", "thesecret")) + repr(QNetworkProxy(3, "h", 1, "theuser", "thesecret"))
    assert "secret" not in shown and "theuser" not in shown


# -- QNetworkProxy
@pytest.mark.parametrize("name, number", PROXY_TYPES.items())
def test_proxy_types_have_qts_numbers(name, number):
    assert getattr(QNetworkProxy, name) == getattr(QNetworkProxy.ProxyType, name) == number
    assert QNetworkProxy(number).type() is getattr(QNetworkProxy, name)


def test_proxy_set_gives_back_what_was_set():
    proxy = QNetworkProxy()
    assert (proxy.type(), proxy.hostName(), proxy.port(), proxy.user(), proxy.password()) == (0, "", 0, "", "")
    proxy.setType(QNetworkProxy.Socks5Proxy)
    proxy.setHostName("p.example")
    proxy.setPort(1080)
    proxy.setUser("u")
    proxy.setPassword("x")
    assert proxy == QNetworkProxy(QNetworkProxy.Socks5Proxy, "p.example", 1080, "u", "x")
    assert proxy == QNetworkProxy(type=1, hostName="p.example", port=1080, user="u", password="x")


@pytest.mark.parametrize("kind, caching, transparent", [
    (0, False, False), (1, False, True), (2, False, False), (3, False, True), (4, True, False), (5, True, False)])
def test_proxy_kind_is_caching_or_transparent(kind, caching, transparent):
    proxy = QNetworkProxy(kind)
    assert (proxy.isCachingProxy(), proxy.isTransparentProxy()) == (caching, transparent)


def test_proxy_copy_is_equal_and_independent():
    first = QNetworkProxy(4, "h", 3128)
    second = QNetworkProxy(first)
    second.setPort(1)
    assert first.port() == 3128 and first != second and first != 4


@pytest.mark.parametrize("arguments, error", [
    (("3",), TypeError), ((9,), ValueError), ((True,), TypeError), ((3, b"h"), TypeError), ((3, "h", -1), ValueError),
    ((3, "h", 65536), ValueError), ((3, "h", "80"), TypeError), ((3, "h", 80, 1), TypeError),
    ((3, "h", 80, "u", b"p"), TypeError)])
def test_proxy_nonsense_raises(arguments, error):
    with pytest.raises(error):
        QNetworkProxy(*arguments)


def test_application_proxy_is_copied_both_ways(application_proxy):
    assert QNetworkProxy.applicationProxy().type() == QNetworkProxy.NoProxy
    mine = QNetworkProxy(3, "h", 3128)
    application_proxy(mine)
    mine.setPort(1)
    QNetworkProxy.applicationProxy().setPort(2)
    assert QNetworkProxy.applicationProxy() == QNetworkProxy(3, "h", 3128)


def test_application_proxy_of_another_type_raises():
    with pytest.raises(TypeError, match="QNetworkProxy, not str"):
        QNetworkProxy.setApplicationProxy("proxy:3128")


# -- QSslError, QSslCertificate
def test_ssl_errors_have_qts_numbers():
    assert [int(member) for member in QSslError.SslError] == list(range(-1, 25))
    assert (QSslError.SelfSignedCertificate, QSslError.HostNameMismatch, QSslError.CertificateBlacklisted) == (9, 22, 24)
    assert QSslError.UnspecifiedError == -1


@pytest.mark.parametrize("code, name", [
    (0, "NoError"), (10, "CertificateExpired"), (18, "SelfSignedCertificate"), (19, "SelfSignedCertificateInChain"),
    (20, "UnableToGetLocalIssuerCertificate"), (62, "HostNameMismatch"), (64, "HostNameMismatch"), (24, "InvalidCaCertificate"),
    (1, "UnspecifiedError"), (12345, "UnspecifiedError")])
def test_ssl_error_from_openssl_has_qts_name(code, name):
    error = QSslError.from_openssl(code, "as OpenSSL says", DER)
    assert error.error().name == name and "as OpenSSL says" in error.errorString()
    assert error.certificate() == QSslCertificate(DER) and name in repr(error)


def test_ssl_error_has_a_sentence_for_each_number():
    texts = {QSslError(member).errorString() for member in QSslError.SslError}
    assert len(texts) == len(QSslError.SslError)
    assert QSslError(9).errorString() == "The certificate is self-signed, and untrusted"
    assert QSslError(9, None, "self-signed certificate").errorString().endswith("untrusted (self-signed certificate)")


def test_ssl_errors_compare_by_number_and_certificate():
    assert QSslError(9, QSslCertificate(DER), "a") == QSslError(9, QSslCertificate(DER), "b")
    assert QSslError(9) != QSslError(10) and QSslError(9) != QSslError(9, QSslCertificate(DER)) and QSslError(9) != 9
    assert len({QSslError(9), QSslError(9)}) == 1


@pytest.mark.parametrize("arguments, error", [((99,), ValueError), ((9, DER), TypeError), ((9, None, b"x"), TypeError)])
def test_ssl_error_of_nonsense_raises(arguments, error):
    with pytest.raises(error):
        QSslError(*arguments)


def test_certificate_forms_agree():
    import ssl
    certificate = QSslCertificate(DER)
    assert certificate.toDer() == DER and certificate.toPem() == ssl.DER_cert_to_PEM_cert(DER).encode()
    assert certificate.digest() == hashlib.sha256(DER).digest()
    assert certificate.digest("md5") == hashlib.md5(DER, usedforsecurity=False).digest()
    assert not certificate.isNull() and certificate.digest().hex() in repr(certificate)


def test_certificate_null_is_empty():
    null = QSslCertificate()
    assert null.isNull() and (null.toDer(), null.toPem()) == (b"", b"") and null == QSslError(9).certificate()
    with pytest.raises(TypeError, match="not str"):
        QSslCertificate("x")


@pytest.mark.parametrize("value", [
    QSslError(9, QSslCertificate(DER)), QNetworkProxy(3, "h", 80), QAuthenticator("r", "u", "p")])
def test_values_can_be_copied_and_pickled(value):
    assert copy.deepcopy(value) == value and pickle.loads(pickle.dumps(value)) == value
