"""Who may enter: one name, one password, and what the servers' password files make of them."""
import base64
import hashlib
import subprocess

from world.programs import program

USER = "Aladdin"
PASSWORD = "open: sesame 1001"      # a colon and blanks, as people have them
WRONG_PASSWORD = "close sesame"


def sha_line() -> str:
    """For nginx and Apache."""
    digest = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()
    return f"{USER}:{{SHA}}{digest}\n"


def digest_line(realm: str) -> str:
    """For Apache's and Squid's Digest: the first hash of RFC 7616, which is all that a server needs."""
    secret = hashlib.md5(f"{USER}:{realm}:{PASSWORD}".encode()).hexdigest()
    return f"{USER}:{realm}:{secret}\n"


def crypt_word(method: str) -> str:
    """The password as crypt(3) stores it: method "-6" for SHA-512, "-apr1" for Apache's MD5."""
    made = subprocess.run([program("openssl"), "passwd", method, PASSWORD], check=True, capture_output=True, text=True)
    return made.stdout.strip()
