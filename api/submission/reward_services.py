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
from store.errors import SecretUnreadable

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
        own = {secret.name for secret in project_secrets.list_secrets(session, project_id)}
    for at, name in named:
        if name not in own:
            yield at, f"the project has no secret {name}: set it with `duet secrets set {name}`"


def access_to_services(
    rewards: Sequence[Reward], services: Services, project_id: UUID, pointer: str = "/rewards"
) -> ServiceAccess:
    """Return the access of a project's rewards, for a trial.

    Raises:
        SpecError: an address may not be called, or a secret is missing or unreadable.
    """
    if problems := list(service_problems(rewards, services, project_id, pointer)):
        raise SpecError(problems)
    secrets: dict[str, str] = {}
    with services.database.autocommit() as session:
        for at, name in secrets_named(rewards, pointer):
            try:
                value = project_secrets.read(session, services.cipher, project_id, name)
            except SecretUnreadable as error:
                raise SpecError([(at, str(error))]) from None
            if value is not None:
                secrets[name] = value
    return ServiceAccess(private_addresses(services.settings.private_reward_hosts), secrets)
