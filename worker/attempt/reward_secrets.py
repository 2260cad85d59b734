"""Secrets of a project that its job's rewards name, as variables for the trainer."""

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from grpo.errors import RunError
from grpo.rewards.catalogue import AnyReward, secrets_named
from grpo.rewards.deferral import CONTEXT
from grpo.rewards.reward import Reward
from grpo.rewards.service.access import VARIABLE_PREFIX
from store.access import project_secrets
from store.errors import SecretNotForHost, SecretUnreadable
from store.jobs.claim import Claim
from store.security.encryption import Cipher

_REWARDS: TypeAdapter[Sequence[Reward]] = TypeAdapter(list[AnyReward])


def reward_variables(session: Session, cipher: Cipher | None, claim: Claim) -> dict[str, str]:
    """Return the secrets that the job's rewards name; the trainer reports those that are missing.

    Raises:
        RunError: `secret_unreadable`, `secret_missing`.
    """
    try:
        found = project_secrets.read_named(
            session, cipher, claim.project_id, secrets_named(_rewards_of(claim))
        )
    except SecretUnreadable as error:
        raise RunError(
            "secret_unreadable",
            f"the worker cannot decrypt a secret that a reward names: {error}",
            hint="Set the secret again; if this persists, ask the server's operator to give the "
            "API and all workers the same DUET_SECRETS_KEY.",
        ) from error
    except SecretNotForHost as error:
        hint = "Set the secret with its host, or correct the reward's address."
        raise RunError("secret_missing", str(error), hint=hint) from error
    return {f"{VARIABLE_PREFIX}{name}": value for name, value in found.items()}


def _rewards_of(claim: Claim) -> Sequence[Reward]:
    written: Any = claim.spec.get("rewards", [])
    return _REWARDS.validate_python(written, context=CONTEXT)
