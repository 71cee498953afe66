"""QSslError and QSslCertificate: what was wrong with a server's certificate, in Qt's numbers and words, and the certificate.

Nothing here loads the ssl module: a certificate is its DER bytes.
"""
from __future__ import annotations

from enum import IntEnum


class SslError(IntEnum):
    """What was wrong (Qt: QSslError::SslError)."""

    UnspecifiedError = -1
    NoError = 0
    UnableToGetIssuerCertificate = 1
    UnableToDecryptCertificateSignature = 2
    UnableToDecodeIssuerPublicKey = 3
    CertificateSignatureFailed = 4
    CertificateNotYetValid = 5
    CertificateExpired = 6
    InvalidNotBeforeField = 7
    InvalidNotAfterField = 8
    SelfSignedCertificate = 9
    SelfSignedCertificateInChain = 10
    UnableToGetLocalIssuerCertificate = 11
    UnableToVerifyFirstCertificate = 12
    CertificateRevoked = 13
    InvalidCaCertificate = 14
    PathLengthExceeded = 15
    InvalidPurpose = 16
    CertificateUntrusted = 17
    CertificateRejected = 18
    SubjectIssuerMismatch = 19
    AuthorityIssuerSerialNumberMismatch = 20
    NoPeerCertificate = 21
    HostNameMismatch = 22
    NoSslSupport = 23
    CertificateBlacklisted = 24


_Number = SslError          # inside QSslError, its name is the class's attribute


_TEXTS = {
    -1: "Unknown error",
    0: "No error",
    1: "The issuer certificate could not be found",
    2: "The certificate signature could not be decrypted",
    3: "The public key in the certificate could not be read",
    4: "The signature of the certificate is invalid",
    5: "The certificate is not yet valid",
    6: "The certificate has expired",
    7: "The certificate's notBefore field contains an invalid time",
    8: "The certificate's notAfter field contains an invalid time",
    9: "The certificate is self-signed, and untrusted",
    10: "The root certificate of the certificate chain is self-signed, and untrusted",
    11: "The issuer certificate of a locally looked up certificate could not be found",
    12: "No certificates could be verified",
    13: "The certificate was revoked",
    14: "One of the CA certificates is invalid",
    15: "The basicConstraints path length parameter has been exceeded",
    16: "The supplied certificate is unsuitable for this purpose",
    17: "The root CA certificate is not trusted for this purpose",
    18: "The root CA certificate is marked to reject the specified purpose",
    19: "The current candidate issuer certificate was rejected because its subject name did not match the issuer name of the "
        "current certificate",
    20: "The current candidate issuer certificate was rejected because its issuer name and serial number was present and did "
        "not match the authority key identifier of the current certificate",
    21: "The peer did not present any certificate",
    22: "The host name did not match any of the valid hosts for this certificate",
    23: "TLS is not supported here",
    24: "The peer certificate is blacklisted",
}

# OpenSSL's X509_V_ERR_... to ours. 24 has meant two things, both about a CA; 79 is what it moved to in OpenSSL 3.
_FROM_OPENSSL = {0: 0, 2: 1, 4: 2, 6: 3, 7: 4, 9: 5, 10: 6, 13: 7, 14: 8, 18: 9, 19: 10, 20: 11, 21: 12, 23: 13, 24: 14, 25: 15,
                 26: 16, 27: 17, 28: 18, 29: 19, 30: 20, 31: 20, 62: 22, 64: 22, 79: 14}


class QSslCertificate:
    """A certificate as the peer sent it (Qt: QSslCertificate, the least of it). Null without bytes; hashable, immutable."""

    __slots__ = ("_der",)

    def __init__(self, der: bytes | None = None) -> None:
        if der is not None and not isinstance(der, (bytes, bytearray, memoryview)):
            raise TypeError(f"der must be bytes, not {type(der).__name__}")
        self._der = bytes(der or b"")

    def isNull(self) -> bool:
        """Whether there is no certificate (Qt: QSslCertificate::isNull)."""
        return not self._der

    def toDer(self) -> bytes:
        """The certificate in DER: bytes, empty for a null one (Qt: QSslCertificate::toDer)."""
        return self._der

    def toPem(self) -> bytes:
        """The certificate in PEM (RFC 7468): bytes, empty for a null one (Qt: QSslCertificate::toPem)."""
        if not self._der:
            return b""
        from binascii import b2a_base64
        code = b2a_base64(self._der, newline=False)
        lines = [code[i:i + 64] for i in range(0, len(code), 64)]
        return b"\n".join([b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""])

    def digest(self, algorithm: str = "sha256") -> bytes:
        """The digest of the DER form, for pinning: bytes (Qt: QSslCertificate::digest, there MD5 by default).

        Raises ValueError for an algorithm that hashlib does not know.
        """
        from hashlib import new
        return new(algorithm, self._der, usedforsecurity=False).digest()

    def __eq__(self, other: object) -> bool:
        return self._der == other._der if isinstance(other, QSslCertificate) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._der)

    def __repr__(self) -> str:
        return f"<QSslCertificate sha256 {self.digest().hex()}>" if self._der else "<QSslCertificate null>"


class QSslError:
    """One thing that was wrong with a TLS handshake (Qt: QSslError). Hashable, immutable.

    `error`: a QSslError.SslError or its number; ValueError for one that does not exist. `text`: what the library that checked
    said, put behind Qt's own sentence.
    """

    __slots__ = ("_certificate", "_error", "_text")

    SslError = SslError
    UnspecifiedError: _Number
    NoError: _Number
    UnableToGetIssuerCertificate: _Number
    UnableToDecryptCertificateSignature: _Number
    UnableToDecodeIssuerPublicKey: _Number
    CertificateSignatureFailed: _Number
    CertificateNotYetValid: _Number
    CertificateExpired: _Number
    InvalidNotBeforeField: _Number
    InvalidNotAfterField: _Number
    SelfSignedCertificate: _Number
    SelfSignedCertificateInChain: _Number
    UnableToGetLocalIssuerCertificate: _Number
    UnableToVerifyFirstCertificate: _Number
    CertificateRevoked: _Number
    InvalidCaCertificate: _Number
    PathLengthExceeded: _Number
    InvalidPurpose: _Number
    CertificateUntrusted: _Number
    CertificateRejected: _Number
    SubjectIssuerMismatch: _Number
    AuthorityIssuerSerialNumberMismatch: _Number
    NoPeerCertificate: _Number
    HostNameMismatch: _Number
    NoSslSupport: _Number
    CertificateBlacklisted: _Number
    (UnspecifiedError, NoError, UnableToGetIssuerCertificate, UnableToDecryptCertificateSignature,
     UnableToDecodeIssuerPublicKey, CertificateSignatureFailed, CertificateNotYetValid, CertificateExpired,
     InvalidNotBeforeField, InvalidNotAfterField,
     SelfSignedCertificate, SelfSignedCertificateInChain, UnableToGetLocalIssuerCertificate, UnableToVerifyFirstCertificate,
     CertificateRevoked, InvalidCaCertificate, PathLengthExceeded, InvalidPurpose, CertificateUntrusted, CertificateRejected,
     SubjectIssuerMismatch, AuthorityIssuerSerialNumberMismatch, NoPeerCertificate, HostNameMismatch, NoSslSupport,
     CertificateBlacklisted) = SslError

    def __init__(self, error: int = SslError.NoError, certificate: QSslCertificate | None = None, text: str = "") -> None:
        if certificate is not None and not isinstance(certificate, QSslCertificate):
            raise TypeError(f"certificate must be a QSslCertificate, not {type(certificate).__name__}")
        if not isinstance(text, str):
            raise TypeError(f"text must be str, not {type(text).__name__}")
        self._error, self._text = SslError(error), text
        self._certificate = QSslCertificate() if certificate is None else certificate

    @classmethod
    def from_openssl(cls, verify_code: int, verify_message: str = "", der: bytes | None = None) -> QSslError:
        """From what ssl.SSLCertVerificationError tells (X509_V_ERR_...); UnspecifiedError for what Qt has no number for."""
        return cls(_FROM_OPENSSL.get(verify_code, SslError.UnspecifiedError), QSslCertificate(der), verify_message)

    def error(self) -> _Number:
        """QSslError.SslError (Qt: QSslError::error)."""
        return self._error

    def errorString(self) -> str:
        """The error in words: str (Qt: QSslError::errorString)."""
        if self._error == SslError.UnspecifiedError and self._text:
            return self._text
        return f"{_TEXTS[self._error]} ({self._text})" if self._text else _TEXTS[self._error]

    def certificate(self) -> QSslCertificate:
        """The certificate it is about, null where there is none (Qt: QSslError::certificate)."""
        return self._certificate

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QSslError):
            return NotImplemented
        return (self._error, self._certificate) == (other._error, other._certificate)

    def __hash__(self) -> int:
        return hash((self._error, self._certificate))

    def __repr__(self) -> str:
        return f"<QSslError {self._error.name}>"
