"""Access of rewards to services: secrets by name, addresses, and the job they score for."""

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field

from grpo.net.private_addresses import EVERY, PrivateAddresses

SETTING = "DUET_REWARD_HOSTS"
"""Setting by which an operator allows private addresses."""
VARIABLE_PREFIX = "DUET_SECRET_"
"""Prefix of a secret's variable in a trainer's environment."""


@dataclass(frozen=True)
class NamedSecret:
    """A secret that a reward names.

    `host`: where its value is sent to; None: nowhere, as it signs requests.
    """

    pointer: str
    name: str
    host: str | None


class SecretMissing(ValueError):
    """A reward names a secret that is not there, or that cannot be used."""


@dataclass(frozen=True)
class ServiceAccess:
    """Access of one run's rewards to the services that they call."""

    private: PrivateAddresses
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    job: str | None = None
    """Id of the job that is scored for; None: a trial, or a run without a server."""

    def secret(self, name: str) -> str:
        """Return a secret's value.

        Raises:
            SecretMissing: there is no secret of this name.
        """
        try:
            return self.secrets[name]
        except KeyError:
            raise SecretMissing(
                f"there is no secret {name}: set it with `duet secrets set {name}`; for a run "
                f"without a server, set the variable {VARIABLE_PREFIX}{name}"
            ) from None


def private_addresses(hosts: Iterable[str]) -> PrivateAddresses:
    """Return the private addresses that rewards may call.

    Raises:
        ValueError: an entry names no address.
    """
    return PrivateAddresses(SETTING, tuple(hosts))


ANY_ADDRESS = private_addresses([EVERY])
"""For a run whose spec, machine and network are its user's own."""


def take_secrets(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Return the secrets in an environment, and remove them: no further process inherits them."""
    names = [name for name in environment if name.startswith(VARIABLE_PREFIX)]
    return {name.removeprefix(VARIABLE_PREFIX): environment.pop(name) for name in names}
