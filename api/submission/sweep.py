"""A sweep's jobs: one spec each, from the shared base and the variants."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import prod
from typing import Any

from api.schemas.spec_fields import leaves, pointer
from api.schemas.sweeps import MAX_JOBS, NewSweep
from api.submission.check import SpecChecker
from grpo.spec.resolve import SpecError, merge
from grpo.validation.check import CheckedSpec
from store.jobs.transitions import SWEEP_LABEL

NAME_LENGTH = 200
MAX_FIELDS = 1000
MAX_POINTERS = 100_000
MAX_VALUES = 200_000  # in the shared base times the number of jobs; a typical spec has two hundred


@dataclass(frozen=True)
class _Variant:
    """One job's own fields."""

    overrides: dict[str, Any]
    written_at: dict[str, str]
    """Path in the request: pointer into the spec -> pointer into the request."""

    def named(self, sweep: NewSweep) -> str:
        """Name of the job: the sweep's or base's name, followed by its own values."""
        shared = sweep.name or sweep.base.get("name") or "sweep"
        own = ", ".join(
            f"{path[-1]}={value if isinstance(value, str) else json.dumps(value)}"
            for path, value in leaves(self.overrides)
        )
        name = f"{shared}: {own}" if own else str(shared)
        return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"


def check_sweep(sweep: NewSweep, sweep_id: str, checker: SpecChecker) -> list[CheckedSpec]:
    """Every job's spec, checked like a submission's.

    Raises:
        SpecError: with pointers into the request, of all jobs.
    """
    variants = list(_variants(sweep))
    if (num_values := _num_values(sweep.base) * len(variants)) > MAX_VALUES:
        detail = (
            f"the jobs of this sweep repeat the base's values to {num_values:,} in total; at most "
            f"{MAX_VALUES:,} are allowed: make the base or the sweep smaller"
        )
        raise SpecError([("/base", detail)])
    for variant in variants:
        if len(variant.written_at) > MAX_FIELDS:
            detail = f"a job of a sweep may have at most {MAX_FIELDS} fields of its own"
            raise SpecError([(variant.written_at[""], detail)])
    found: list[CheckedSpec] = []
    problems: list[list[tuple[str, str]]] = []
    for variant in variants:
        try:
            submission = checker.check(_spec(sweep, sweep_id, variant))
        except SpecError as error:
            problems.append(error.problems)
        else:
            found.append(submission)
            problems.append([])
    if any(problems):
        raise SpecError(list(_in_the_request(variants, problems)))
    return found


def _num_values(document: object) -> int:
    """Number of values in a document, itself included."""
    waiting, number = [document], 0
    while waiting:
        number += 1
        inner = waiting.pop()
        if isinstance(inner, Mapping):
            waiting += inner.values()
        elif isinstance(inner, list):
            waiting += inner
    return number


def _variants(sweep: NewSweep) -> Iterator[_Variant]:
    """The variants in written order, a grid's last field changing first.

    Raises:
        SpecError: too many variants, or none.
    """
    if (sweep.variants is None) == (sweep.grid is None):
        raise SpecError([("", "a sweep has either `variants` or a `grid`")])
    for number, overrides in enumerate(sweep.variants or ()):
        here = f"/variants/{number}"
        paths = [path for path, _ in islice(leaves(overrides), MAX_FIELDS + 1)]
        if sum(len(step) + 1 for path in paths for step in path) > MAX_POINTERS:
            detail = (
                f"the names of a job's own fields may have {MAX_POINTERS:,} characters in total"
            )
            raise SpecError([(here, detail)])
        fields = [pointer(path) for path in paths]
        yield _Variant(overrides, {"": here, **{field: f"{here}{field}" for field in fields}})
    if sweep.grid is None:
        return
    num_jobs = prod(len(values) for values in sweep.grid.values())
    if not 1 <= num_jobs <= MAX_JOBS or not sweep.grid:
        raise SpecError(
            [("/grid", f"this grid makes {num_jobs} jobs; a sweep may have 1 to {MAX_JOBS}")]
        )
    for indexes in product(*(range(len(values)) for values in sweep.grid.values())):
        yield _at(sweep.grid, indexes)


def _at(grid: Mapping[str, Sequence[Any]], indexes: Sequence[int]) -> _Variant:
    """Return the job at one point of a grid, given as each field's value index."""
    overrides: dict[str, Any] = {}
    written_at = {"": "/grid"}
    for (name, values), index in zip(grid.items(), indexes, strict=True):
        path = tuple(name.split("."))
        nested: Any = values[index]
        for step in reversed(path):
            nested = {step: nested}
        overrides = merge(overrides, nested)
        written_at[pointer(path)] = f"/grid{pointer((name,))}/{index}"
    return _Variant(overrides, written_at)


def _spec(sweep: NewSweep, sweep_id: str, variant: _Variant) -> dict[str, Any]:
    named = merge(sweep.base, {"name": variant.named(sweep)})
    written = merge(named, variant.overrides)
    labels = written.get("labels", {})
    if isinstance(labels, Mapping):  # otherwise refused with the other problems
        written["labels"] = {**labels, **sweep.labels, SWEEP_LABEL: sweep_id}
    return written


def _in_the_request(
    variants: Sequence[_Variant], problems: Sequence[Sequence[tuple[str, str]]]
) -> Iterator[tuple[str, str]]:
    """Map problems to the request: to the base if all jobs have the problem and no variant sets the
    field, else to the variant. Each is reported once."""
    reported: set[tuple[str, str]] = set()
    of_all = set[tuple[str, str]].intersection(*map(set, problems))
    for variant, of_one in zip(variants, problems, strict=True):
        for field, detail in of_one:
            own = _own(variant, field)
            shared = own is None and (field, detail) in of_all
            at = f"/base{field}" if shared else own or f"{variant.written_at['']}{field}"
            if (at, detail) not in reported:
                reported.add((at, detail))
                yield at, detail


def _own(variant: _Variant, field: str) -> str | None:
    """The path where a variant sets a field, a parent of it or a part of it; None: nowhere."""
    for written, at in variant.written_at.items():
        if written and (field == written or field.startswith(f"{written}/")):
            return at + field.removeprefix(written)
        if written.startswith(f"{field}/"):
            return at.removesuffix(written.removeprefix(field))
    return None
