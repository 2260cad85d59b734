"""`json_schema`: 1 when the completion is JSON that is valid under a schema."""

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from pydantic import Field, ValidationInfo, field_validator

from grpo.rewards.deferral import is_deferred
from grpo.rewards.reward import Case, Marker, Reward, tail_of

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

MAX_CHARACTERS = 64_000
REFERENCES = ("$ref", "$dynamicRef")


class JsonSchemaReward(Reward):
    """1 when the completion (or the text after the last `after`) is valid under a schema, else 0.

    The last of duplicate names counts; NaN and Infinity are not valid JSON.
    """

    type: Literal["json_schema"] = Field(description="Type of the reward.")
    definition: dict[str, Any] = Field(
        description="JSON Schema (draft 2020-12).  References may only point into the schema "
        "itself."
    )
    after: Marker | None = Field(
        default=None,
        description="Read only the text after the last occurrence of this marker.",
    )

    @field_validator("definition")
    @classmethod
    def _is_a_schema(cls, definition: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if len(json.dumps(definition)) > MAX_CHARACTERS:
            raise ValueError(f"is longer than {MAX_CHARACTERS:,} characters of JSON")
        if is_deferred(info):
            return definition
        from jsonschema import Draft202012Validator, SchemaError

        try:
            Draft202012Validator.check_schema(definition)
        except SchemaError as error:
            where = "".join(f"/{step}" for step in error.absolute_path) or "its top"
            raise ValueError(
                f"is not a valid JSON Schema: at {where}: {error.message[:500]}"
            ) from None
        _resolve_all(definition, set(_references(definition)))
        return definition

    @property
    def costly_to_check(self) -> bool:
        return True

    @cached_property
    def _validator(self) -> "Draft202012Validator":
        return _validator_of(self.definition)

    def prepare(self) -> None:
        self._validator.is_valid(None)

    def score(self, case: Case) -> float:
        text = tail_of(case.text, self.after)
        if text is None:
            return 0.0
        try:
            document = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return 0.0
        return float(self._validator.is_valid(document))


def _validator_of(definition: dict[str, Any]) -> "Draft202012Validator":
    from jsonschema import Draft202012Validator
    from referencing import Registry

    # An explicit registry: the default one fetches references.
    return Draft202012Validator(definition, registry=Registry())


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from (schema[key] for key in REFERENCES if isinstance(schema.get(key), str))
        for inner in schema.values():
            yield from _references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _references(inner)


def _resolve_all(definition: dict[str, Any], references: Iterable[str]) -> None:
    """Check the references of a definition.

    Raises:
        ValueError: a reference does not point to a part of the definition.
    """
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resource = DRAFT202012.create_resource(definition)
    # Crawled once: else each anchor would be searched in the whole definition.
    registry = Registry().with_resource("", resource).crawl()
    resolver = registry.resolver()
    for reference in references:
        try:
            resolver.lookup(reference)
        except (Unresolvable, ValueError, LookupError):
            raise ValueError(
                f"{reference[:200]!r} is not part of it: a reference must be #, #/... or an $anchor"
            ) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON")
