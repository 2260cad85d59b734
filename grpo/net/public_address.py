"""Check of the addresses that users name and this server connects to.

A user who names an address could make the server connect to what only it can reach: its own
database, a cloud's metadata.  So a name is resolved once, all its addresses must be public, and the
connection goes to one of exactly these addresses, even if the name resolves differently a moment
later.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence

import httpcore
import httpx
from typing_extensions import override

from grpo.net.private_addresses import Address, PrivateAddresses

Resolver = Callable[[str, int], Sequence[str]]
"""(host, port) -> numeric addresses; raises OSError or UnicodeError if there are none."""

PORTS = {"http": 80, "https": 443}
FIRST_UNPRIVILEGED_PORT = 1024
MAX_URL_LENGTH = 2048
# Public by number in Python 3.11, yet internal to a cloud: Azure's wire server, and
# the protocol assignments, where Oracle's metadata is.
OF_THE_PLATFORM = (
    ipaddress.ip_network("168.63.129.16/32"),
    ipaddress.ip_network("192.0.0.0/24"),
)


class AddressRefused(Exception):
    """The address is not one that is connected to."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def resolve(host: str, port: int) -> list[str]:
    """Resolve a host as the operating system does, in its order of preference."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def parsed(text: str) -> httpx.URL:
    """Parse a URL, and check what its text alone shows.

    Raises:
        AddressRefused: not an http or https URL, or with credentials or an unusual port.
    """
    if len(text) > MAX_URL_LENGTH:
        raise AddressRefused(f"the URL is longer than {MAX_URL_LENGTH} characters")
    try:
        url = httpx.URL(text)
        host = url.host  # invalid international names are detected here
    except (httpx.InvalidURL, ValueError) as error:
        raise AddressRefused(f"not a valid URL: {error}") from None
    if url.scheme not in PORTS or not host:
        raise AddressRefused("the URL must begin with https:// or http:// and name a host")
    if url.userinfo:
        raise AddressRefused("the URL must not contain a user name or a password")
    port = port_of(url)
    if port not in PORTS.values() and not FIRST_UNPRIVILEGED_PORT <= port <= 65535:
        raise AddressRefused(f"port {port} is not allowed: use 80, 443, or 1024 and above")
    return url


def check_text(text: str, *, private: PrivateAddresses) -> None:
    """Check a URL without resolving its host: resolving may be slow, and the result may change
    before the URL is used.

    Raises:
        AddressRefused: the URL is invalid, or names a host that is not public.
    """
    url = parsed(text)
    name = url.host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        checked_addresses(name, port_of(url), resolver=_loopback, private=private)
        return
    try:
        numbers = _numeric(url.host, port_of(url))
    except (OSError, UnicodeError):
        return  # a name
    checked_addresses(url.host, port_of(url), resolver=lambda *_: numbers, private=private)


def _loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def _numeric(host: str, port: int) -> list[str]:
    """Return the addresses of a numeric host in any notation.

    Raises:
        OSError: the host is a name.
    """
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    )
    return [str(item[4][0]) for item in found]


def port_of(url: httpx.URL) -> int:
    return PORTS[url.scheme] if url.port is None else url.port


def host_and_port(url: httpx.URL) -> str:
    """Return where a URL leads: the host in lower case, with the port unless that is https's.

    An address of http has its port, too: what may be sent to a host alone goes there encrypted.
    """
    host = f"[{url.host}]" if ":" in url.host else url.host.lower()
    is_usual = url.scheme == "https" and port_of(url) == PORTS["https"]
    return host if is_usual else f"{host}:{port_of(url)}"


def checked_addresses(
    host: str, port: int, *, resolver: Resolver, private: PrivateAddresses
) -> list[Address]:
    """Return a host's addresses, each public or among the allowed private ones.

    Raises:
        AddressRefused: the host has no address, or one that is not public.
    """
    try:
        # A % precedes a network interface, which only link-local addresses have.
        numbers = [ipaddress.ip_address(n.partition("%")[0]) for n in resolver(host, port)]
    except (OSError, UnicodeError) as error:
        raise AddressRefused(f"the name {host!r} does not resolve: {error}") from None
    if not numbers:
        raise AddressRefused(f"the name {host!r} has no address")
    for number in numbers:
        if not (is_public(number) or private.allow(host, port, number)):
            raise AddressRefused(
                f"{host!r} is {number}, which is not a public address; an operator can allow "
                f"private ones ({private.setting})"
            )
    return numbers


def is_public(address: Address) -> bool:
    """Whether an address is a single host of the public internet.

    An IPv6 address that embeds an IPv4 address (mapped, NAT64, 6to4, Teredo) does not count,
    because it leads to the embedded address.
    """
    if isinstance(address, ipaddress.IPv6Address):
        carries = address.ipv4_mapped or address.sixtofour or address.teredo
        if carries or address.is_site_local:
            return False
    special = address.is_multicast or address.is_reserved or address.is_unspecified
    of_the_platform = any(address in network for network in OF_THE_PLATFORM)
    return address.is_global and not special and not of_the_platform


class CheckedBackend(httpcore.NetworkBackend):
    """Network backend that connects only to checked numeric addresses; TLS verifies the name."""

    def __init__(self, *, resolver: Resolver, private: PrivateAddresses) -> None:
        self._resolver = resolver
        self._private = private
        self._plain = httpcore.SyncBackend()

    @override
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: object = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first of the host's addresses that accepts.

        Raises:
            AddressRefused: the host is not allowed.
            httpcore.ConnectError, httpcore.ConnectTimeout: no address accepted.
        """
        addresses = checked_addresses(host, port, resolver=self._resolver, private=self._private)
        for address in addresses[:-1]:
            try:
                return self._plain.connect_tcp(str(address), port, timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return self._plain.connect_tcp(str(addresses[-1]), port, timeout)
