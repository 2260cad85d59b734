"""The environment's proxies: the proxy of a URL, for messages about failed connections, and the
hosts excluded from proxies."""

import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

NO_PROXY = ("no_proxy", "NO_PROXY")


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """Return the proxy's variable and host, such as `HTTPS_PROXY=proxy.example:3128`, without
    password; None: connections to `url` are direct."""
    parts = urlsplit(url)
    if _is_excluded(parts.hostname or "", environment):
        return None
    names = (f"{parts.scheme}_proxy", "all_proxy")
    spelt = [each for name in names for each in (name, name.upper())]
    for name in spelt:
        if value := environment.get(name):
            return f"{name}={_host(value)}"
    return None


def _host(address: str) -> str:
    """Return the host and port of a proxy's address; its password may contain any character, even
    `@`."""
    return address.rpartition("@")[2].rpartition("//")[2].strip("/")


def excluded_hosts(environment: Mapping[str, str]) -> list[str]:
    """Return the hosts, domains and networks that are reached without a proxy."""
    hosts = ",".join(environment.get(name, "") for name in NO_PROXY).split(",")
    return [host.strip() for host in hosts if host.strip()]


def _is_excluded(host: str, environment: Mapping[str, str]) -> bool:
    return any(_matches(host, each) for each in excluded_hosts(environment))


def _matches(host: str, pattern: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(pattern, strict=False)
    name = pattern.lstrip("*.").partition(":")[0]
    return pattern == "*" or host == name or host.endswith(f".{name}")
