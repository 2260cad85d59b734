"""Preparation of an attempt: its folder, its local inputs, the trainer's command."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from grpo.rewards.service.kept_scores import FILE as SCORES
from store.ids import encode
from store.jobs.claim import Claim
from store.security.allowed_sources import AllowedSources
from worker.attempt.downloads import Fetching, Stored
from worker.attempt.hub_access import hub_token, with_token
from worker.attempt.inputs import Inputs, inputs_of, with_gpus
from worker.attempt.lease_keeper import LeaseKeeper
from worker.attempt.reward_secrets import reward_variables
from worker.attempt.uploads import INPUTS
from worker.context import WorkerContext
from worker.orphans import end_orphans
from worker.slots import Slot


@dataclass(frozen=True)
class Prepared:
    """A trainer that can be started."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    """With the project's token, if there is one, and the secrets of its rewards."""


class Preparation:
    """The preparation of one attempt; the lease is kept meanwhile."""

    def __init__(
        self, context: WorkerContext, claim: Claim, slot: Slot, lease: LeaseKeeper, *, folder: Path
    ) -> None:
        self._context = context
        self._settings = context.settings
        self._claim = claim
        self._slot = slot
        self._lease = lease
        self._folder = folder
        self._sources = AllowedSources.of(context.settings)

    def run(self) -> Prepared | None:
        """Create the attempt's folder with the inputs; None: the trainer should not start.

        Raises:
            RunError: an input is missing, damaged or not allowed.
        """
        inputs = self._lease.until_answered(self._inputs)
        self._folder.mkdir(parents=True)
        if not self._fetch(inputs.needed):
            return None
        spec = self._folder / "spec.json"
        spec.write_text(json.dumps(with_gpus(inputs.spec, len(self._slot.gpus)), indent=1))
        return Prepared(self._command(spec, inputs.resume_from), self._environment())

    def _inputs(self, session: Session) -> Inputs:
        context = self._context
        end_orphans(session, host=context.host, boot_id=context.boot_id)
        return inputs_of(
            session,
            context.artifacts,
            self._claim,
            sources=self._sources,
            into=self._folder / INPUTS,
        )

    def _fetch(self, needed: Sequence[Stored]) -> bool:
        """Download remote inputs; False: asked to stop before they were complete."""
        if not needed:
            return True
        fetching = Fetching(self._context.artifacts, needed, into=self._folder / INPUTS)
        try:
            while not fetching.done(seconds=self._settings.sync_seconds):
                if not self._lease.continues():
                    return False
        finally:
            fetching.close()
        return True

    def _command(self, spec: Path, resume_from: str | None) -> list[str]:
        command = [*self._context.trainer, "run", str(spec), "--out", str(self._folder)]
        if resume_from is not None:
            command += ["--resume-from", resume_from]
        if self._sources.hub_owners is not None:
            command += ["--hub-owners", ",".join(sorted(self._sources.hub_owners))]
        if self._settings.allow_python_rewards:
            command.append("--allow-python-rewards")
        command += ["--job", encode("job", self._claim.job_id)]
        # An empty list too: without the option a trainer may call any address.
        command += ["--reward-hosts", ",".join(self._settings.private_reward_hosts)]
        for earlier in sorted(self._folder.parent.glob(f"attempt-*/{SCORES}")):
            command += ["--earlier", str(earlier.parent)]
        return command

    def _environment(self) -> dict[str, str]:
        """Return the trainer's environment, with its project's token of the hub as it is now, and
        the secrets that its rewards name.

        Raises:
            RunError: `secret_unreadable`.
        """
        given, project_id = self._context.environment, self._claim.project_id
        cipher = self._context.cipher
        token = self._lease.until_answered(lambda session: hub_token(session, cipher, project_id))
        if token is not None:
            given = with_token(given, token, project_id=project_id)
        named = self._lease.until_answered(
            lambda session: reward_variables(session, cipher, self._claim)
        )
        return {**given, **self._slot.environment, **named}
