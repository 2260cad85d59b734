"""Specs that share sections are resolved as each of them would be alone."""

from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from grpo.spec.resolve import SpecError, merge, resolve
from grpo.spec.resolver import Resolver

PARTS: list[dict[str, Any]] = [
    {},
    {"preset": None},
    {"preset": "16-grpo"},
    {"seed": 1},
    *({"data": {"chat_template_kwargs": {"think": value}}} for value in (True, 1, 1.0, "1", [])),
    {"data": {"train": [{"source": "arithmetic", "weight": 1}, {"source": "arithmetic"}]}},
    {"data": {"eval": None}},
    {"data": {"test": "arithmetic"}},
    {"data": {"nothing": 1}},
    {"rewards": [{"type": "length", "target": 3}]},
    *(
        {"rewards": [{"type": "json_schema", "definition": {"minLength": value}}]}
        for value in (True, 1, 1.0)
    ),
    {"rewards": []},
    {"rewards": [{"type": "number", "weight": True}, {"type": "exact"}]},
    {"evaluation": {"metric": "eval/accuracy"}},
    {"rollout": {"max_tokens": 1}},
]
SPECS = st.lists(st.sampled_from(PARTS), max_size=3).map(lambda parts: reduce(merge, parts, {}))


def outcome(resolved: Any) -> Any:
    try:
        spec = resolved()
    except SpecError as error:
        return error.problems
    return spec.model_dump_json()


@given(st.lists(SPECS, min_size=2, max_size=6))
def test_a_spec_is_resolved_as_it_would_be_alone(specs: list[dict[str, Any]]):
    resolver = Resolver()
    for written in specs:
        together = outcome(lambda written=written: resolver.resolve(written))
        assert together == outcome(lambda written=written: resolve(written, defer_costly=True))


def test_sections_written_alike_are_validated_once():
    resolver = Resolver()
    base = {"data": {"system": "s"}, "rewards": [{"type": "exact"}]}
    first, second = (resolver.resolve(merge(base, {"seed": seed})) for seed in (1, 2))
    other = resolver.resolve(merge(base, {"data": {"system": "t"}}))
    assert first.data is second.data
    assert first.rewards[0] is second.rewards[0] is other.rewards[0]
    assert other.data.system == "t"
