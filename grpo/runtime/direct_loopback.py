"""Excludes connections to this machine's own servers from the environment's proxy."""

from collections.abc import MutableMapping

LOOPBACK = ("localhost", "127.0.0.1", "::1")
NAMES = ("no_proxy", "NO_PROXY")
ALL = "*"


def keep_loopback_direct(environment: MutableMapping[str, str]) -> None:
    """Add the loopback to the hosts without a proxy, for this process and its children.

    Hosts that are excluded already stay excluded."""
    given = [
        host.strip()
        for name in NAMES
        for host in environment.get(name, "").split(",")
        if host.strip()
    ]
    if ALL in given:
        return
    hosts = ",".join(dict.fromkeys((*given, *LOOPBACK)))
    environment.update(dict.fromkeys(NAMES, hosts))
