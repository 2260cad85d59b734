"""Access of rewards to the services that they call, for trials and checks."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from api.dependencies.services import Services
from grpo.net.public_address import AddressRefused, check_text
from grpo.rewards.catalogue import secrets_named, urls_named
from grpo.rewards.reward import Reward
from grpo.rewards.service.access import ServiceAccess, private_addresses
from grpo.spec.resolve import SpecError
from store.access import project_secrets
from store.errors import SecretNotForHost, SecretUnreadable

Problems = Iterator[tuple[str, str]]


def service_problems(
    rewards: Sequence[Reward], services: Services, project_id: UUID, pointer: str = "/rewards"
) -> Problems:
    """Problem for each address that may not be called, and for each secret that is not there.

    Names are not resolved here: the trainer does, at each call.
    """
    private = private_addresses(services.settings.private_reward_hosts)
    for at, url in urls_named(rewards, pointer):
        try:
            check_text(url, private=private)
        except AddressRefused as refused:
            yield at, refused.detail
    named = secrets_named(rewards, pointer)
    if not named:
        return
    with services.database.autocommit() as session:
        secrets = project_secrets.list_secrets(session, project_id)
    hosts = {secret.name: secret.host for secret in secrets}
    for each in named:
        if each.name not in hosts:
            how = f" --host {each.host}" if each.host else ""
            yield (
                each.pointer,
                f"the project has no secret {each.name}: set it with `duet secrets set "
                f"{each.name}{how}`",
            )
        elif each.host is not None and hosts[each.name] != each.host:
            yield each.pointer, str(SecretNotForHost(each.pointer, each.name, each.host))


def access_to_services(
    rewards: Sequence[Reward], services: Services, project_id: UUID, pointer: str = "/rewards"
) -> ServiceAccess:
    """Return the access of a project's rewards, for a trial.

    Raises:
        SpecError: an address may not be called, or a secret is missing or unreadable.
    """
    if problems := list(service_problems(rewards, services, project_id, pointer)):
        raise SpecError(problems)
    named = secrets_named(rewards, pointer)
    with services.database.autocommit() as session:
        try:
            secrets = project_secrets.read_named(session, services.cipher, project_id, named)
        except SecretUnreadable as error:
            raise SpecError([(named[0].pointer, str(error))]) from None
        except SecretNotForHost as error:
            raise SpecError([(error.pointer, str(error))]) from None
    return ServiceAccess(private_addresses(services.settings.private_reward_hosts), secrets)
