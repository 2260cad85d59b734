"""Exclusion of this machine's own servers from the environment's proxy."""

from collections.abc import MutableMapping

from grpo.runtime.proxies import NO_PROXY, excluded_hosts

LOOPBACK = ("localhost", "127.0.0.1", "::1")
ALL = "*"


def keep_loopback_direct(environment: MutableMapping[str, str]) -> None:
    """Exclude loopback addresses from the proxy, for this process and its children.

    Existing exclusions stay."""
    given = excluded_hosts(environment)
    if ALL in given:
        return
    hosts = ",".join(dict.fromkeys((*given, *LOOPBACK)))
    environment.update(dict.fromkeys(NO_PROXY, hosts))
