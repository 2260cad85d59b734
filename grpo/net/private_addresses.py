"""Addresses of an internal network that an operator allows."""

import ipaddress
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

EVERY = "*"


@dataclass(frozen=True)
class PrivateAddresses:
    """Private addresses that connections may go to; those of the internet always may.

    `setting`: named in the error for a refused user.
    """

    setting: str
    entries: tuple[str, ...] = ()
    """Names, addresses and networks, each for all ports or with one: grader.internal:8080,
    10.1.0.0/16, [::1]:8000; EVERY: all."""

    def __post_init__(self) -> None:
        """
        Raises:
            ValueError: an entry is none of these.
        """
        for entry in self.entries:
            host, _ = _split(entry)
            if not host or ("/" in host and _network(host) is None):
                raise ValueError(
                    f"{entry!r} is not a name, address or network, with or without a port: write "
                    "grader.internal:8080, 10.1.2.3, 10.1.0.0/16 or [::1]:8000"
                )

    def allow(self, host: str, port: int, address: Address) -> bool:
        """Whether a connection to this address of a host may be made."""
        return any(_covers(entry, host, port, address) for entry in self.entries)


def _covers(entry: str, host: str, port: int, address: Address) -> bool:
    if entry == EVERY:
        return True
    named, only_port = _split(entry)
    if only_port not in (None, port):
        return False
    network = _network(named)
    if network is not None:
        return address in network
    return named.lower().rstrip(".") == host.lower().rstrip(".")


def _split(entry: str) -> tuple[str, int | None]:
    """Return an entry's host and port; None: every port."""
    if _network(entry) is not None:
        return entry, None
    host, colon, port = entry.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit():
        return entry.removeprefix("[").removesuffix("]"), None
    return host.removeprefix("[").removesuffix("]"), int(port)


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
