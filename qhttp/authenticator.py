"""QAuthenticator: what a slot of authenticationRequired is given, to be filled with a name and a password."""
from __future__ import annotations

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from typing import Any, ClassVar


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
    return value


class QAuthenticator:
    """Name and password for one realm (Qt: QAuthenticator). QAuthenticator(other) copies; changing one leaves the other.

    The client fills the realm and what else the challenge told (`options`, "realm" among them); a slot calls setUser() and
    setPassword(). A value of another type than str is a TypeError. Its repr shows no password.
    """

    __slots__ = ("_options", "_password", "_realm", "_user", "_written")

    def __init__(self, realm: str | QAuthenticator = "", user: str = "", password: str = "",
                 options: dict[str, Any] | None = None) -> None:
        other = realm if isinstance(realm, QAuthenticator) else None
        if other is not None:
            realm, user, password, options = other.realm(), other.user(), other.password(), other.options()
        self._realm, self._user, self._password = _text("realm", realm), _text("user", user), _text("password", password)
        self._options: dict[str, Any] = dict(options or {})
        if self._realm:
            self._options.setdefault("realm", self._realm)      # where Qt 5 has it
        self._written = bool(realm or user or password or options) if other is None else not other.isNull()

    def user(self) -> str:
        """The user's name: str (Qt: QAuthenticator::user)."""
        return self._user

    def setUser(self, user: str) -> None:
        """Sets the user's name (Qt: QAuthenticator::setUser)."""
        self._user, self._written = _text("user", user), True

    def password(self) -> str:
        """The password: str (Qt: QAuthenticator::password)."""
        return self._password

    def setPassword(self, password: str) -> None:
        """Sets the password (Qt: QAuthenticator::setPassword)."""
        self._password, self._written = _text("password", password), True

    def realm(self) -> str:
        """What the server calls the place that asks: str (Qt: QAuthenticator::realm)."""
        return self._realm

    def option(self, name: str) -> Any:
        """The option of that name, None where there is none (Qt: QAuthenticator::option)."""
        return self._options.get(name)

    def options(self) -> dict[str, Any]:
        """All options: a new dict (Qt: QAuthenticator::options)."""
        return dict(self._options)

    def setOption(self, name: str, value: Any) -> None:
        """Sets an option; "realm" is the realm, too (Qt: QAuthenticator::setOption)."""
        if _text("name", name) == "realm":
            self._realm = _text("realm", value)
        self._options[name], self._written = value, True

    def isNull(self) -> bool:
        """Whether nothing was ever set in it (Qt: QAuthenticator::isNull)."""
        return not self._written

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QAuthenticator):
            return NotImplemented
        return ((self._realm, self._user, self._password, self._options)
                == (other._realm, other._user, other._password, other._options))

    __hash__: ClassVar[None] = None     # type: ignore[assignment]  # it can change

    def __repr__(self) -> str:
        return f"<QAuthenticator realm={self._realm!r}, user {'set' if self._user else 'not set'}>"
