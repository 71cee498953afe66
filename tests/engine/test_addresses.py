"""Which addresses are public, however they are spelt."""
import socket

import pytest

from qhttp.engine.addresses import is_public, public_ones

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "93.184.215.14", "172.15.0.1", "172.32.0.1", "100.63.0.1", "223.255.255.254",
    "2606:4700:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
]
NOT_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "233.252.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::8.8.8.8",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:db8::1", "2002:7f00:1::",
    "2002:a9fe:a9fe::1", "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%lo", "fe80::1%1", "fec0::1",
    "ff02::1", "ff0e::1", "4000::1",
]


@pytest.mark.parametrize("text", PUBLIC)
def test_address_that_is_public(text):
    assert is_public(text)


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_address_that_is_not_public(text):
    assert not is_public(text)


def test_addresses_of_a_name_only_the_public_ones_stay():
    both = [(socket.AF_INET6, ("::1", 80, 0, 0)), (socket.AF_INET, ("8.8.8.8", 80)), (socket.AF_INET, ("10.0.0.1", 80))]
    assert public_ones(both) == both[1:2]
