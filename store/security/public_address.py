"""Addresses that users name and that this server then talks to: which of them it may reach.

Whoever may name an address could make the server ask what only it can reach: its own database, a
cloud's metadata.  So a name is resolved once, every address that it has must be public, and the
connection goes to one of these very addresses: a name that says something else a moment later
changes nothing.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence

import httpcore
import httpx
from typing_extensions import override

from store.errors import StoreError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]
"""(host, port) -> its addresses as numbers; raises OSError or UnicodeError when there are none."""

PORTS = {"http": 80, "https": 443}
FIRST_UNPRIVILEGED_PORT = 1024
MAX_URL_LENGTH = 2048
# Public by their number, as Python 3.11 has it, and yet a cloud's own: Azure's wire server, and
# the protocol assignments, where Oracle's metadata is.
OF_THE_PLATFORM = (
    ipaddress.ip_network("168.63.129.16/32"),
    ipaddress.ip_network("192.0.0.0/24"),
)


class AddressRefused(StoreError):
    """The server does not go there."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def resolve(host: str, port: int) -> list[str]:
    """As the operating system resolves it, in its order of preference."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def parsed(text: str) -> httpx.URL:
    """A URL that may be asked, as far as its text tells.

    Raises:
        AddressRefused: it is no http or https URL, holds a name or password, or has a strange port.
    """
    if len(text) > MAX_URL_LENGTH:
        raise AddressRefused(f"the URL is longer than {MAX_URL_LENGTH} characters")
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError) as error:
        raise AddressRefused(f"this is no URL: {error}") from None
    if url.scheme not in PORTS or not url.host:
        raise AddressRefused("the URL must begin with https:// or http:// and name a host")
    if url.userinfo:
        raise AddressRefused("the URL must not hold a name or a password")
    port = port_of(url)
    if port not in PORTS.values() and not FIRST_UNPRIVILEGED_PORT <= port <= 65535:
        raise AddressRefused(f"port {port} is no web server's: use 80, 443, or 1024 and above")
    return url


def check_text(text: str, *, allow_private: bool) -> None:
    """Look at what a URL says of where it leads without asking for any name: that may take long,
    and the name may say something else by the time that it counts.

    Raises:
        AddressRefused: it cannot be asked, or names a machine that is not public.
    """
    url = parsed(text)
    name = url.host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        checked_addresses(name, port_of(url), resolver=_loopback, allow_private=allow_private)
        return
    try:
        numbers = _numeric(url.host, port_of(url))
    except (OSError, UnicodeError):
        return  # a name
    checked_addresses(
        url.host, port_of(url), resolver=lambda *_: numbers, allow_private=allow_private
    )


def _loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def _numeric(host: str, port: int) -> list[str]:
    """The addresses that a number is, however it is written.

    Raises:
        OSError: it is a name.
    """
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    )
    return [str(item[4][0]) for item in found]


def port_of(url: httpx.URL) -> int:
    return PORTS[url.scheme] if url.port is None else url.port


def checked_addresses(
    host: str, port: int, *, resolver: Resolver, allow_private: bool
) -> list[Address]:
    """The addresses of a host, none of which is anything but public unless that is allowed.

    Raises:
        AddressRefused: it has none, or one that is not public.
    """
    try:
        # What follows a % is a network interface, which only a link-local address has.
        numbers = [ipaddress.ip_address(n.partition("%")[0]) for n in resolver(host, port)]
    except (OSError, UnicodeError) as error:
        raise AddressRefused(f"the name {host!r} does not resolve: {error}") from None
    if not numbers:
        raise AddressRefused(f"the name {host!r} has no address")
    for number in numbers:
        if not (allow_private or is_public(number)):
            raise AddressRefused(
                f"{host!r} is {number}, which is not a public address; an operator may allow "
                "private ones (DUET_WEBHOOKS_ALLOW_PRIVATE)"
            )
    return numbers


def is_public(address: Address) -> bool:
    """Whether it is a single machine of the open internet.

    An IPv6 address that carries an IPv4 one (mapped, NAT64, 6to4, Teredo) is not: it leads
    wherever that one does.
    """
    if isinstance(address, ipaddress.IPv6Address):
        carries = address.ipv4_mapped or address.sixtofour or address.teredo
        if carries or address.is_site_local:
            return False
    special = address.is_multicast or address.is_reserved or address.is_unspecified
    of_the_platform = any(address in network for network in OF_THE_PLATFORM)
    return address.is_global and not special and not of_the_platform


class CheckedBackend(httpcore.NetworkBackend):
    """Connects to checked addresses only, by their numbers; TLS still verifies the name."""

    def __init__(self, *, resolver: Resolver, allow_private: bool) -> None:
        self._resolver = resolver
        self._allow_private = allow_private
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
        """The first of its addresses that takes the connection.

        Raises:
            AddressRefused: the host may not be reached.
            httpcore.ConnectError, httpcore.ConnectTimeout: the last of its addresses did not.
        """
        addresses = checked_addresses(
            host, port, resolver=self._resolver, allow_private=self._allow_private
        )
        for address in addresses[:-1]:
            try:
                return self._plain.connect_tcp(str(address), port, timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return self._plain.connect_tcp(str(addresses[-1]), port, timeout)
