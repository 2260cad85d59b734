"""Checks and estimates of specs without a server, from this machine's files."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from grpo.data.inspection import inspect, rows_of_head
from grpo.data.row_check import RowCheck
from grpo.data.source_ref import Kind, data_ref, model_ref, unknown_dataset, unknown_model
from grpo.estimate.memory import Device
from grpo.rewards.catalogue import python_pointers, secrets_named, urls_named
from grpo.rewards.reward import Reward
from grpo.rewards.tryout import open_tryout
from grpo.spec.costly_checks import problems_apart
from grpo.spec.data import SETS, DataSource
from grpo.spec.job import JobSpec
from grpo.spec.resolve import SpecError
from grpo.spec.resolver import Resolver
from grpo.validation.card_fit import card_problem
from grpo.validation.check import CheckedSpec, SpecCheck
from grpo.validation.cost import at_group_sizes, estimate_cost, unknown_shape
from grpo.validation.facts import READ_WHOLE_BYTES, DataFacts, facts_of_builtin, facts_of_gym
from grpo.validation.model_config import ModelContext, config_of, context_of
from grpo.validation.preflight import (
    ONLY_SERVICES,
    SAMPLE_ROWS,
    SECONDS_IN_ALL,
    local_rewards,
    not_tried,
    preflight_on,
)
from grpo.validation.results import Estimate, Estimates, Preflight
from grpo.validation.row_checks import SourceRows, check_apart

PYTHON_NOT_RUN = "Python rewards are not run without a server"


class FileUnusable(Exception):
    """A data file with invalid rows, or of an unsupported format."""


class LocalSpecs:
    """Checks specs whose data files are in one folder.

    `not_checked` lists what only a server can check.
    """

    def __init__(self, folder: Path, *, card_bytes: int | None = None) -> None:
        """`card_bytes`: memory of the GPU that jobs are compared with; None: none."""
        self._folder = folder
        self._card_bytes = card_bytes
        self._files: dict[Path, DataFacts] = {}
        self._resolver = Resolver()
        self._check = SpecCheck(
            context_of=self._context,
            facts_of=self._facts,
            check_stored=_check_stored,
            reward_problems=problems_apart,
        )
        self._not_checked: dict[str, None] = {"a server's quotas and limits": None}

    @property
    def not_checked(self) -> list[str]:
        return list(self._not_checked)

    def estimate(self, written: Mapping[str, Any], group_sizes: Sequence[int]) -> Estimates:
        """Estimate a spec, also at other group sizes.

        Raises:
            SpecError: with every problem found.
            FileUnusable: a data file cannot be used.
        """
        checked = list(at_group_sizes(written, group_sizes, self.check))
        return Estimates(
            spec=checked[0].spec.model_dump(mode="json"),
            num_prompts=checked[0].num_prompts,
            estimates=[
                estimate_cost(
                    each, device=self._device(each.spec), config_of=self._config, pace=None
                )
                for each in checked
            ],
        )

    def validate(self, written: Mapping[str, Any]) -> Estimate:
        """Check a spec and test its rewards on rows of its data.

        Raises:
            SpecError, FileUnusable: as in `estimate`.
        """
        checked = self.check(written)
        return checked.estimate(self._preflight(checked.spec))

    def check(self, written: Mapping[str, Any]) -> CheckedSpec:
        """Resolve a spec and look for settings that cannot work.

        Raises:
            SpecError, FileUnusable: as in `estimate`.
        """
        for name in _named(written):  # like a server's client, which uploads them first
            if os.path.isfile(path := self._folder / name):
                self._facts_of_file(path)
        spec = self._resolver.resolve(written)
        if python_pointers(spec.rewards):
            self._leave("whether a server runs Python rewards")
        for _, url in urls_named(spec.rewards):
            self._leave(f"whether a server may call {url}")
        for secret in secrets_named(spec.rewards):
            self._leave(f"whether the project has the secret {secret.name}")
        checked = self._check.check(spec)
        self._check_card(spec)
        return checked

    def _check_card(self, spec: JobSpec) -> None:
        """
        Raises:
            SpecError: the job does not fit on the GPU.
        """
        if self._card_bytes is None:
            return
        config = config_of(spec.model.source)
        if config is None:
            self._leave("whether the job fits on the GPU: the model's shape is unknown here")
            return
        problem = card_problem(spec, config, self._card_bytes)
        if problem is not None:
            raise SpecError([problem])

    def _facts(self, source: DataSource) -> DataFacts | None:
        name, path = source.source, self._folder / source.source
        if os.path.isfile(path):
            return self._facts_of_file(path)
        match data_ref(name).kind:
            case Kind.BUILTIN:
                return facts_of_builtin(name)
            case Kind.GYM:
                self._leave(f"the rows of {name} (those of seed 0 and default parameters are used)")
                return facts_of_gym(source)
            case Kind.UPLOAD:
                self._leave(f"the uploaded file {name}")
            case Kind.HUB:
                self._leave(f"the hub data set {name}, and whether a server allows it")
            case _:
                raise ValueError(unknown_dataset(name))
        return None

    def _facts_of_file(self, path: Path) -> DataFacts:
        if path not in self._files:
            found = inspect(str(path))
            if found.problems:
                raise FileUnusable(f"{path.name} cannot be used: {'; '.join(found.problems)}")

            num_bytes = path.stat().st_size
            self._files[path] = DataFacts(
                str(path),
                found.num_rows,
                {name: found.fields[name] for name in sorted(found.fields, key=_as_stored)},
                partial(rows_of_head, found.head),
                head_bytes=len(found.head),
                num_bytes=num_bytes,
                stored=str(path) if num_bytes <= READ_WHOLE_BYTES else None,
            )
        return self._files[path]

    def _context(self, source: str) -> ModelContext:
        match model_ref(source).kind:
            case Kind.BUILTIN:
                pass
            case Kind.CHECKPOINT:
                self._leave(f"the checkpoint {source}")
            case Kind.PATH:
                self._leave(f"whether a server may read the folder {source}")
            case Kind.HUB:
                self._leave(f"the hub model {source}, and whether a server allows it")
            case _:
                raise ValueError(unknown_model(source))
        return context_of(config_of(source))

    def _config(self, source: str) -> Mapping[str, Any]:
        config = config_of(source)
        if config is None:
            raise unknown_shape(source)
        return config

    def _device(self, spec: JobSpec) -> Device:
        if self._card_bytes is not None:
            return "cuda"
        if spec.resources.gpus == "auto":
            self._leave("whether a worker has a GPU: memory is estimated without one")
            return "cpu"
        return "cuda" if spec.resources.gpus else "cpu"

    def _preflight(self, spec: JobSpec) -> Preflight:
        if python_pointers(spec.rewards):
            return not_tried(PYTHON_NOT_RUN)
        local = local_rewards(spec.rewards)
        if not local:
            return not_tried(ONLY_SERVICES)
        rows = self._check.samples(spec.data, SAMPLE_ROWS)
        seconds = spec.scoring.seconds
        opened = open_tryout(local, seconds_each=seconds, seconds_in_all=SECONDS_IN_ALL)
        return preflight_on(rows, spec, opened)

    def _leave(self, what: str) -> None:
        self._not_checked[what] = None


def _check_stored(
    wanted: Sequence[SourceRows], rewards: Sequence[Reward], seconds: float
) -> list[RowCheck | None]:
    return check_apart(
        [(str(each.facts.stored), each.reading) for each in wanted], rewards, seconds
    )


def _named(written: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of data sources in an unvalidated spec."""
    data = written.get("data")
    if not isinstance(data, dict):
        return
    for field in SETS:
        entries = data.get(field)
        for entry in entries if isinstance(entries, list) else [{"source": entries}]:
            name = entry.get("source") if isinstance(entry, dict) else None
            if isinstance(name, str):
                yield name


def _as_stored(name: str) -> tuple[int, str]:
    """Return the sort key by which a server's database orders the fields of a file."""
    return len(name.encode()), name
