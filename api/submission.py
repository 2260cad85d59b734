"""What is known to be wrong with a spec before it is queued: each problem with its pointer."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from grpo.builtin.catalogue import DATASETS, MODELS
from grpo.data.rows import template_fields
from grpo.plan import total_steps
from grpo.spec.job import JobSpec
from grpo.spec.resolve import SpecError, resolve
from store import checkpoints, files, ids
from store.artifacts import Artifacts
from store.errors import NotFound

Problems = Iterator[tuple[str, str]]


@dataclass(frozen=True)
class Submission:
    """A spec that can be queued."""

    spec: JobSpec
    num_prompts: int | None
    total_steps: int | None


@dataclass(frozen=True)
class DataFacts:
    """What is known of a data set: its size, and for each field why a template cannot use it."""

    num_rows: int
    fields: Mapping[str, str | None]


def check(
    written: Mapping[str, Any], *, session: Session, artifacts: Artifacts, project_id: UUID
) -> Submission:
    """Resolve a spec and look for what cannot work.

    Raises:
        SpecError: with every problem that was found.
    """
    problems = list(_unstorable(written))
    if problems:
        raise SpecError(problems)
    spec = resolve(written)
    checker = _Checker(session, artifacts, project_id)
    problems = [*checker.model(spec), *checker.data(spec)]
    if problems:
        raise SpecError(problems)
    num_prompts = checker.facts(spec.data.train).num_rows
    return Submission(spec, num_prompts, total_steps(spec, num_prompts))


class _Checker:
    """The checks that need to look something up."""

    def __init__(self, session: Session, artifacts: Artifacts, project_id: UUID) -> None:
        self._session = session
        self._artifacts = artifacts
        self._project_id = project_id

    def model(self, spec: JobSpec) -> Problems:
        try:
            context = self._context_tokens(spec.model.source)
        except ValueError as error:
            yield "/model/source", str(error)
            return
        needed = spec.data.max_prompt_tokens + spec.rollout.max_tokens
        if context is not None and needed > context:
            yield (
                "/rollout/max_tokens",
                f"prompts of up to {spec.data.max_prompt_tokens} tokens (data.max_prompt_tokens) "
                f"and completions of up to {spec.rollout.max_tokens} need a context of {needed}; "
                f"the model's is {context}",
            )

    def data(self, spec: JobSpec) -> Problems:
        for name, source in (("train", spec.data.train), ("eval", spec.data.eval)):
            if source is None:
                continue
            try:
                facts = self.facts(source)
            except ValueError as error:
                yield f"/data/{name}", str(error)
                continue
            yield from _template_problems("/data/prompt", spec.data.prompt, f"data.{name}", facts)
            yield from _template_problems("/data/answer", spec.data.answer, f"data.{name}", facts)

    def facts(self, source: str) -> DataFacts:
        if source in DATASETS:
            rows = DATASETS[source].rows()
            first = next(rows)
            return DataFacts(1 + sum(1 for _ in rows), dict.fromkeys(first))
        if not source.startswith("file_"):
            raise ValueError(
                f"there is no data set {source!r}: name a built-in one "
                f"({', '.join(sorted(DATASETS))}) or the id of an uploaded file"
            )
        try:
            file = files.get(self._session, self._project_id, ids.decode("file", source))
        except (ValueError, NotFound):
            raise ValueError(f"there is no file {source!r}: upload it first") from None
        return DataFacts(file.num_rows, file.fields)

    def _context_tokens(self, source: str) -> int | None:
        """The model's context [tokens]; None: it is not known here."""
        if source in MODELS:
            return MODELS[source].context_tokens
        if source.startswith("ckpt_"):
            try:
                checkpoint_id = ids.decode("ckpt", source)
                checkpoint = checkpoints.get(self._session, self._project_id, checkpoint_id)
            except (ValueError, NotFound):
                raise ValueError(f"there is no checkpoint {source!r}") from None
            return _context_of(self._artifacts.path(checkpoint.key))
        if source.startswith("/"):
            return _context_of(Path(source))
        if "/" not in source:
            raise ValueError(
                f"there is no built-in model {source!r}; there are {', '.join(sorted(MODELS))}; "
                "a hub's model is named owner/name, a folder by its absolute path"
            )
        return None


def _context_of(folder: Path) -> int | None:
    """The context in a model folder's config [tokens]; None: it does not say.

    A folder that cannot be used is for the worker to refuse, which may see other folders.
    """
    try:
        config = json.loads((folder / "config.json").read_bytes())
        context = config.get("text_config", config)["max_position_embeddings"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return context if isinstance(context, int) else None


def _template_problems(pointer: str, template: str, source: str, facts: DataFacts) -> Problems:
    for field in template_fields(template):
        if field not in facts.fields:
            there = ", ".join(map(repr, facts.fields)) or "none"
            yield (
                pointer,
                f"line 1 of {source} has no field {field!r}, nor has any other: there are {there}",
            )
        elif problem := facts.fields[field]:
            yield pointer, f"{source}: {problem}"


def _unstorable(value: object, pointer: str = "") -> Problems:
    """Text that JSON can carry and Postgres cannot keep: NUL, and halves of surrogate pairs."""
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            yield pointer, "text must not hold a NUL character or half of a surrogate pair"
    elif isinstance(value, dict):
        for key, item in value.items():
            if any(True for _ in _unstorable(key)):
                yield pointer, "a field's name holds a NUL character or half of a surrogate pair"
            else:
                step = key.replace("~", "~0").replace("/", "~1")
                yield from _unstorable(item, f"{pointer}/{step}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unstorable(item, f"{pointer}/{index}")
