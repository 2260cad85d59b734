"""Errors of fields are sentences for people: no text of pydantic's reaches them."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from api.app import assemble
from grpo.rewards.catalogue import REWARD_TYPES
from grpo.spec.resolve import SpecError, resolve
from grpo.values import field_errors
from tests.wrong_values import PYDANTIC, WRONG

DOCUMENT = assemble().openapi()
SCHEMAS = DOCUMENT["components"]["schemas"]


def _sections(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the object schemas that a field's schema allows."""
    for each in (schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        name = each.get("$ref", "").rpartition("/")[2]
        if "properties" in SCHEMAS.get(name, {}):
            yield SCHEMAS[name]


def _fields(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in schema["properties"].items():
        yield (*path, name)
        if len(path) < 3:
            for section in _sections(field):
                yield from _fields(section, (*path, name))


FIELDS = sorted(set(_fields(SCHEMAS["JobSpec"])))
REWARD_FIELDS = [
    (kind, name)
    for kind, model in sorted(REWARD_TYPES.items())
    for name in model.model_fields
    if name != "type"
]


def _details(spec: dict[str, Any]) -> list[str]:
    try:
        resolve(spec)
    except SpecError as refused:
        return [detail for _, detail in refused.problems]
    return []


def _nested(path: tuple[str, ...], value: object) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
def test_a_wrong_value_of_a_spec_field_is_refused_in_words(path: tuple[str, ...]):
    refusals = [detail for value in WRONG for detail in _details(_nested(path, value))]
    assert refusals
    assert [detail for detail in refusals if PYDANTIC.search(detail)] == []


@pytest.mark.parametrize(("kind", "name"), REWARD_FIELDS)
def test_a_wrong_value_of_a_rewards_field_is_refused_in_words(kind: str, name: str):
    for value in WRONG:
        for detail in _details({"rewards": [{"type": kind, name: value}]}):
            assert not PYDANTIC.search(detail), (value, detail)


def _patterns(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for each in schema.values():
            yield from _patterns(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _patterns(each)


def test_every_pattern_of_the_api_has_a_sentence():
    patterns = set(_patterns(DOCUMENT))
    assert len(patterns) > 10
    for pattern in patterns:
        error = {"type": "string_pattern_mismatch", "msg": "", "ctx": {"pattern": pattern}}
        assert pattern not in field_errors.in_words(error), pattern


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"seed": "x"}, "/seed: must be a whole number"),
        ({"rollout": {"engine": "x"}}, "/rollout/engine: must be 'auto', 'vllm' or 'transformers'"),
        ({"optimizer": {"learning_rate": "x"}}, "must be a number, or 'auto'"),
        ({"labels": []}, "/labels: must be an object"),
        ({"name": ""}, "/name: must not be empty"),
        ({"rollout": {"temperature": -1}}, "/rollout/temperature: must be at least 0.01"),
        ({"rollout": {"max_tokens": 10**9 * 5}}, "must be at most 2,147,483,647"),
        ({"resources": {"queue": "Ä"}}, "must be 1 to 40 lower-case letters, digits and hyphens"),
        (
            {"resources": {"not_before": "tomorrow"}},
            "/resources/not_before: must be a date and time, such as 2026-01-31T12:00:00Z",
        ),
    ],
)
def test_sentences(spec: dict[str, Any], sentence: str):
    with pytest.raises(SpecError, match=re.escape(sentence)):
        resolve(spec)
