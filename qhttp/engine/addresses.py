"""Which addresses are public: those that a program may connect to where strangers say what is fetched (RFC 6890, the registries
of IANA as Python's ipaddress has them). An IPv4 address inside of an IPv6 one counts as what it is.
"""
from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from typing import Any

_UNICAST = IPv6Network("2000::/3")          # all that is given out
_TRANSLATED = IPv6Network("64:ff9b::/96")   # NAT64 (RFC 6052): the last four bytes are where it leads
_DOCUMENTATION = IPv6Network("3fff::/20")   # RFC 9637; not every Python knows it


def is_public(text: str) -> bool:
    """Whether an address, as a socket has it (IPv6 also with a scope), is a public one. Raises ValueError for what is none."""
    address = ip_address(text.partition("%")[0])
    return _is_public_4(address) if isinstance(address, IPv4Address) else _is_public_6(address)


def public_ones(addresses: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Of (family, sockaddr) those that are public, in their order."""
    return [address for address in addresses if is_public(address[1][0])]


def _is_public_4(address: IPv4Address) -> bool:
    return address.is_global and not address.is_multicast


def _is_public_6(address: IPv6Address) -> bool:
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _TRANSLATED:
        inner = IPv4Address(int(address) & 0xffffffff)
    if inner is not None:
        return _is_public_4(inner)
    return address in _UNICAST and address not in _DOCUMENTATION and address.is_global
