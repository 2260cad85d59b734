"""Addresses that the server may connect to for a user."""

from ipaddress import ip_address

import pytest

from grpo.net.private_addresses import EVERY, PrivateAddresses
from grpo.net.public_address import (
    AddressRefused,
    checked_addresses,
    is_public,
    parsed,
    resolve,
)

NONE, ALL = PrivateAddresses("SETTING"), PrivateAddresses("SETTING", (EVERY,))


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.215.14", "172.15.255.255", "172.32.0.1", "2606:4700:4700::1111"],
)
def test_the_open_internet_is_public(address: str):
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.0.9",
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.2.3",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:1.1.1.1",
        "::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:7f00:1::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
    ],
)
def test_everything_else_is_not(address: str):
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://example.com", "must begin with https"),
        ("file:///etc/passwd", "must begin with https"),
        ("example.com/hook", "must begin with https"),
        ("https://", "name a host"),
        ("https://me:secret@example.com", "user name or a password"),
        ("https://me@example.com", "user name or a password"),
        ("https://example.com:22", "port 22"),
        ("https://example.com:0", "port 0"),
        ("https://example.com:70000", "not a valid URL|port 70000"),
        ("https://[::1", "not a valid URL"),
        ("https://example.com/" + "a" * 2048, "longer than 2048"),
    ],
)
def test_a_refused_url_is_reported_with_the_reason(url: str, why: str):
    with pytest.raises(AddressRefused, match=why):
        parsed(url)


@pytest.mark.parametrize(
    "url", ["https://example.com", "http://example.com:8080/a?b=c", "https://[2606:4700::1]:443"]
)
def test_a_public_web_address_is_allowed(url: str):
    assert str(parsed(url)).startswith(url.removesuffix(":443"))


@pytest.mark.parametrize(
    "host", ["localhost", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.0.0.1", "::1"]
)
def test_every_way_to_write_this_machine_is_refused(host: str):
    with pytest.raises(AddressRefused, match=r"not a public address|does not resolve"):
        checked_addresses(host, 80, resolver=resolve, private=NONE)


def test_one_address_that_is_not_public_refuses_the_name():
    with pytest.raises(AddressRefused, match=r"is 10\.0\.0\.1"):
        checked_addresses(
            "a.example", 443, resolver=lambda *_: ["1.1.1.1", "10.0.0.1"], private=NONE
        )


def test_a_name_that_does_not_resolve_is_refused():
    def resolver(host: str, port: int) -> list[str]:
        raise OSError("unknown")

    with pytest.raises(AddressRefused, match="does not resolve: unknown"):
        checked_addresses("a.example", 443, resolver=resolver, private=ALL)


@pytest.mark.parametrize(
    ("entry", "host", "port", "address"),
    [
        ("grader.internal", "Grader.Internal.", 8080, "10.1.2.3"),
        ("grader.internal:8080", "grader.internal", 8080, "10.1.2.3"),
        ("10.1.0.0/16", "any.name", 8080, "10.1.2.3"),
        ("10.1.2.3:8080", "any.name", 8080, "10.1.2.3"),
        ("::1", "::1", 80, "::1"),
        ("[::1]:8000", "localhost", 8000, "::1"),
        ("fd00::/8", "a", 80, "fd00::9"),
        ("*", "a", 80, "169.254.169.254"),
    ],
)
def test_an_operator_allows_private_addresses(entry: str, host: str, port: int, address: str):
    assert checked_addresses(
        host, port, resolver=lambda *_: [address], private=PrivateAddresses("SETTING", (entry,))
    ) == [ip_address(address)]


@pytest.mark.parametrize(
    ("entry", "host", "port", "address"),
    [
        ("grader.internal:8080", "grader.internal", 5432, "10.1.2.3"),
        ("grader.internal", "internal", 8080, "10.1.2.3"),
        ("grader.internal", "a.grader.internal", 8080, "10.1.2.3"),
        ("10.1.0.0/16", "any.name", 8080, "10.2.0.1"),
        ("10.1.2.3:8080", "10.1.2.3", 22, "10.1.2.3"),
        ("[::1]:8000", "localhost", 5432, "::1"),
        ("127.0.0.1", "localhost", 80, "::1"),
    ],
)
def test_no_other_address_is_allowed_with_it(entry: str, host: str, port: int, address: str):
    private = PrivateAddresses("SETTING", (entry,))
    with pytest.raises(AddressRefused, match=r"not a public address.*SETTING"):
        checked_addresses(host, port, resolver=lambda *_: [address], private=private)


@pytest.mark.parametrize("entry", ["", ":80", "10.0.0.0/99", "http://a.example/b"])
def test_an_entry_that_names_no_address_is_refused(entry: str):
    with pytest.raises(ValueError, match="not a name, address or network"):
        PrivateAddresses("SETTING", (entry,))
