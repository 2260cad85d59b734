"""OpenAI's graders, and the rewards that they are."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

OUTPUT_AND_ITEM = "{{sample.output_text}} and {{item.FIELD}}"
MEASURES = {"fuzzy_match": "ratio", "bleu": "bleu"}
"""OpenAI's evaluation_metric -> our measure."""


class Grader(BaseModel):
    """What scores a completion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="Shown with its scores.")


class StringCheckGrader(Grader):
    """1 where two texts compare as the operation says, else 0."""

    type: Literal["string_check"]
    input: str = Field(description=f"A template with {OUTPUT_AND_ITEM}.")
    reference: str = Field(description="A template like `input`.")
    operation: Literal["eq", "ne", "like", "ilike"]

    def reward(self) -> dict[str, Any]:
        return self.model_dump(exclude={"name"}) | _named(self.name)


class TextSimilarityGrader(Grader):
    """How close two texts are, from 0 to 1."""

    type: Literal["text_similarity"]
    input: str = Field(description=f"A template with {OUTPUT_AND_ITEM}.")
    reference: str = Field(description="A template like `input`.")
    evaluation_metric: Literal["fuzzy_match", "bleu"] = Field(
        description="OpenAI's others (gleu, meteor, rouge, cosine) are not offered."
    )

    def reward(self) -> dict[str, Any]:
        texts = self.model_dump(include={"type", "input", "reference"})
        return {**texts, "measure": MEASURES[self.evaluation_metric], **_named(self.name)}


class PythonGrader(Grader):
    """What its function grade(sample, item) returns; off unless the server's admin allows it."""

    type: Literal["python"]
    source: str = Field(description="Python that defines grade(sample, item) at its top level.")
    image_tag: str | None = Field(default=None, description="Taken, and of no meaning here.")

    def reward(self) -> dict[str, Any]:
        return {"type": "python", "source": self.source, **_named(self.name)}


def _refuse_models(_: object) -> NoReturn:
    raise ValueError(
        "graders that ask a model are not offered: use string_check, text_similarity, python, or "
        "a multi of these"
    )


class ModelGrader(BaseModel):
    """A grader that asks a model: refused."""

    type: Literal["score_model", "label_model"]


_Single = Annotated[
    StringCheckGrader
    | TextSimilarityGrader
    | PythonGrader
    | Annotated[ModelGrader, BeforeValidator(_refuse_models)],
    Field(discriminator="type"),
]


class MultiGrader(Grader):
    """What a formula makes of several graders."""

    type: Literal["multi"]
    graders: dict[str, _Single] = Field(min_length=1, description="By the formula's names.")
    calculate_output: str = Field(
        description="With + - * / ^ and min, max, abs, floor, ceil, exp, sqrt, log."
    )

    def reward(self) -> dict[str, Any]:
        parts = [{**_reward(part), "name": name} for name, part in self.graders.items()]
        formula = self.calculate_output
        return {"type": "multi", "rewards": parts, "calculate_output": formula, **_named(self.name)}


AnyGrader = Annotated[
    StringCheckGrader
    | TextSimilarityGrader
    | PythonGrader
    | MultiGrader
    | Annotated[ModelGrader, BeforeValidator(_refuse_models)],
    Field(discriminator="type"),
]


FORMAT = "response_format"
"""The part by which a completion that the response format does not allow scores 0."""
ALONE = "grader"
"""The name of a grader that is no multi beside that part."""


def to_reward(grader: AnyGrader, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """The reward of a spec that scores as the grader does.

    Args:
        schema: of the response format; None: any text will do.
    """
    reward = _reward(grader)
    if schema is None:
        return reward
    fits = {"type": "json_schema", "name": FORMAT, "definition": schema}
    if isinstance(grader, MultiGrader):
        formula = f"({grader.calculate_output}) * {FORMAT}"
        return {**reward, "rewards": [*reward["rewards"], fits], "calculate_output": formula}
    parts = [{**reward, "name": ALONE}, fits]
    formula = f"{ALONE} * {FORMAT}"
    named = _named(grader.name) if isinstance(grader, Grader) else {}
    return {"type": "multi", "rewards": parts, "calculate_output": formula, **named}


def to_method(rewards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The grader, and the response format if any, that a spec's rewards are; the grader is null
    where OpenAI has no such grader."""
    if len(rewards) != 1 or rewards[0]["weight"] != 1:
        return {"grader": None}
    reward = rewards[0]
    parts = reward["rewards"] if reward["type"] == "multi" else []
    if len(parts) < 2 or (parts[-1]["type"], parts[-1]["name"]) != ("json_schema", FORMAT):
        return {"grader": _grader(reward)}
    schema = {"name": FORMAT, "schema": parts[-1]["definition"]}
    described = {FORMAT: {"type": "json_schema", "json_schema": schema}}
    if len(parts) == 2 and parts[0]["name"] == ALONE:
        return {"grader": _grader({**parts[0], "name": reward["name"]}), **described}
    formula = reward["calculate_output"].removesuffix(f") * {FORMAT}").removeprefix("(")
    inner = {**reward, "rewards": parts[:-1], "calculate_output": formula}
    return {"grader": _grader(inner), **described}


def _reward(grader: AnyGrader) -> dict[str, Any]:
    assert not isinstance(grader, ModelGrader)  # refused as it was read
    return grader.reward()


def _grader(reward: Mapping[str, Any]) -> dict[str, Any] | None:
    named = {"type": reward["type"], "name": reward["name"] or reward["type"]}
    match reward["type"]:
        case "string_check":
            return named | {key: reward[key] for key in ("input", "reference", "operation")}
        case "text_similarity" if reward["input"] and reward["reference"]:
            back = {ours: theirs for theirs, ours in MEASURES.items()}
            if reward["measure"] not in back or reward["threshold"] or reward["after"]:
                return None
            texts = {key: reward[key] for key in ("input", "reference")}
            return named | texts | {"evaluation_metric": back[reward["measure"]]}
        case "python":
            return named | {"source": reward["source"]}
        case "multi":
            parts = {part["name"] or part["type"]: _grader(part) for part in reward["rewards"]}
            if None in parts.values():
                return None
            return named | {"graders": parts, "calculate_output": reward["calculate_output"]}
        case _:
            return None


def _named(name: str) -> dict[str, str]:
    """A reward's name has fewer characters than a grader's; it is only shown."""
    shown = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40]
    return {"name": shown} if shown[:1].isalpha() and shown.isascii() else {}
