"""Keeps connections to this machine's own servers away from a proxy that the environment names."""

from collections.abc import MutableMapping

LOOPBACK = ("localhost", "127.0.0.1", "::1")
NAMES = ("no_proxy", "NO_PROXY")
ALL = "*"


def keep_loopback_direct(environment: MutableMapping[str, str]) -> None:
    """Add the loopback to the hosts without a proxy, for every library of this process and for the
    processes that it starts.  What is excluded already stays so."""
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
