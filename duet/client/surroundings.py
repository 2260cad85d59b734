"""Proxies and certificates from the environment.

A server on this machine's loopback is never contacted through a proxy, whatever the environment
says.
"""

import ipaddress
import os
import socket
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from duet.errors import Refused

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def connection_options(url: str) -> dict[str, Any]:
    """Return the arguments of an httpx client for the server at `url`.

    Raises:
        Refused: an environment variable is invalid; the message names it.
    """
    parts = urlsplit(url)
    loopback = is_loopback(parts.hostname or "")
    # Needed for http too: a server may redirect its clients to https.
    verify = True if loopback and parts.scheme == "http" else _certificates()
    if loopback:
        return {"trust_env": False, "verify": verify}
    try:
        httpx.Client(verify=False).close()  # which reads the proxies' variables
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise Refused(f"{_named(PROXIES)} cannot be used: {error}") from error
    return {"verify": verify}


def is_loopback(host: str) -> bool:
    """Whether a host name or address, in any spelling, is this machine's loopback."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.inet_aton(host))  # 127.1, 0x7f000001
        except (OSError, UnicodeEncodeError):
            return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback or address.is_unspecified


def proxy_of(url: str) -> str | None:
    """Return the proxy for the server at `url`, from the environment."""
    parts = urlsplit(url)
    if is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc):
        return None
    known = getproxies()
    return known.get(parts.scheme) or known.get("all")


def _certificates() -> Any:  # noqa: ANN401 - an SSL context, or what httpx takes for its own
    try:
        return httpx.create_ssl_context()
    except OSError as error:  # no such file, or no certificates in it
        raise Refused(f"{_named(CERTIFICATES)} cannot be used: {error}") from error


def _named(names: tuple[str, ...]) -> str:
    """List the variables that are set, with their values."""
    spelt = [each for name in names for each in (name, name.lower())]
    return ", ".join(f"{name}={os.environ[name]}" for name in spelt if os.environ.get(name))
