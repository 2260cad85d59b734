"""Excludes connections to this machine's own servers from the environment's proxy."""

from collections.abc import MutableMapping

from grpo.runtime.proxies import NO_PROXY, excluded_hosts

LOOPBACK = ("localhost", "127.0.0.1", "::1")
ALL = "*"


def keep_loopback_direct(environment: MutableMapping[str, str]) -> None:
    """Add the loopback to the hosts without a proxy, for this process and its children.

    Hosts that are excluded already stay excluded."""
    given = excluded_hosts(environment)
    if ALL in given:
        return
    hosts = ",".join(dict.fromkeys((*given, *LOOPBACK)))
    environment.update(dict.fromkeys(NO_PROXY, hosts))
