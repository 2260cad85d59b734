"""A sweep's jobs: one spec each, of what all share and what differs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from api.schemas.spec_fields import leaves, pointer
from api.schemas.sweeps import MAX_JOBS, NewSweep
from api.submission.check import SpecChecker, Submission
from grpo.spec.resolve import SpecError, merge
from store.jobs.transitions import SWEEP_LABEL

NAME_LENGTH = 200
MAX_FIELDS = 1000
MAX_VALUES = 200_000  # of what all share, over all jobs: a usual spec has two hundred


@dataclass(frozen=True)
class _Variant:
    """What one job has of its own."""

    overrides: dict[str, Any]
    written_at: dict[str, str]
    """Where in the request: pointer into the spec -> pointer into the request."""

    def named(self, sweep: NewSweep) -> str:
        """As the sweep, or what all share, is named, and what differs."""
        shared = sweep.name or sweep.base.get("name") or "sweep"
        own = ", ".join(
            f"{path[-1]}={value if isinstance(value, str) else json.dumps(value)}"
            for path, value in leaves(self.overrides)
        )
        name = f"{shared}: {own}" if own else str(shared)
        return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"


def check_sweep(sweep: NewSweep, sweep_id: str, checker: SpecChecker) -> list[Submission]:
    """Every job's spec, checked as a submission's.

    Raises:
        SpecError: with pointers into the request, of all jobs.
    """
    variants = list(_variants(sweep))
    if (num_values := _num_values(sweep.base) * len(variants)) > MAX_VALUES:
        detail = (
            f"the jobs of this sweep have {num_values:,} values of it in all; {MAX_VALUES:,} are "
            "taken: make it smaller, or the sweep"
        )
        raise SpecError([("/base", detail)])
    for variant in variants:
        if len(variant.written_at) > MAX_FIELDS:
            detail = f"a job of a sweep has at most {MAX_FIELDS} fields of its own"
            raise SpecError([(variant.written_at[""], detail)])
    found: list[Submission] = []
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
    """How many values it holds, itself among them."""
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
    """In the order in which they are written, a grid's last field changing first.

    Raises:
        SpecError: they are too many, or there are none.
    """
    if (sweep.variants is None) == (sweep.grid is None):
        raise SpecError([("", "a sweep has either `variants` or a `grid`")])
    for number, overrides in enumerate(sweep.variants or ()):
        here = f"/variants/{number}"
        fields = [pointer(path) for path, _ in leaves(overrides)]
        yield _Variant(overrides, {"": here, **{field: f"{here}{field}" for field in fields}})
    if sweep.grid is None:
        return
    num_jobs = prod(len(values) for values in sweep.grid.values())
    if not 1 <= num_jobs <= MAX_JOBS or not sweep.grid:
        raise SpecError([("/grid", f"these are {num_jobs} jobs; a sweep has 1 to {MAX_JOBS}")])
    for places in product(*(range(len(values)) for values in sweep.grid.values())):
        yield _at(sweep.grid, places)


def _at(grid: Mapping[str, Sequence[Any]], places: Sequence[int]) -> _Variant:
    """The job at one point of a grid: for each of its fields the place of the value."""
    overrides: dict[str, Any] = {}
    written_at = {"": "/grid"}
    for (name, values), place in zip(grid.items(), places, strict=True):
        path = tuple(name.split("."))
        nested: Any = values[place]
        for step in reversed(path):
            nested = {step: nested}
        overrides = merge(overrides, nested)
        written_at[pointer(path)] = f"/grid{pointer((name,))}/{place}"
    return _Variant(overrides, written_at)


def _spec(sweep: NewSweep, sweep_id: str, variant: _Variant) -> dict[str, Any]:
    named = merge(sweep.base, {"name": variant.named(sweep)})
    written = merge(named, variant.overrides)
    labels = written.get("labels", {})
    if isinstance(labels, Mapping):  # else it is refused with the rest
        written["labels"] = {**labels, **sweep.labels, SWEEP_LABEL: sweep_id}
    return written


def _in_the_request(
    variants: Sequence[_Variant], problems: Sequence[Sequence[tuple[str, str]]]
) -> Iterator[tuple[str, str]]:
    """Where the problems are to be mended: in what all share, if all have them and none as its own,
    else in the variant.  Each is said once."""
    said: set[tuple[str, str]] = set()
    of_all = set[tuple[str, str]].intersection(*map(set, problems))
    for variant, of_one in zip(variants, problems, strict=True):
        for field, detail in of_one:
            own = _own(variant, field)
            shared = own is None and (field, detail) in of_all
            at = f"/base{field}" if shared else own or f"{variant.written_at['']}{field}"
            if (at, detail) not in said:
                said.add((at, detail))
                yield at, detail


def _own(variant: _Variant, field: str) -> str | None:
    """Where a variant has written a field, what holds it or a part of it; None: nowhere."""
    for written, at in variant.written_at.items():
        if written and (field == written or field.startswith(f"{written}/")):
            return at + field.removeprefix(written)
        if written.startswith(f"{field}/"):
            return at.removesuffix(written.removeprefix(field))
    return None
