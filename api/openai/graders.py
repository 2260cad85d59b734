"""OpenAI's graders and the rewards that they become."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

OUTPUT_AND_ITEM = "{{sample.output_text}} and {{item.FIELD}}"
MEASURES = {"fuzzy_match": "ratio", "bleu": "bleu"}
"""OpenAI's evaluation_metric -> Duet's measure."""


class Grader(BaseModel):
    """A grader."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="Shown with its scores.")


class StringCheckGrader(Grader):
    """1 if two texts compare as the operation says, else 0."""

    type: Literal["string_check"]
    input: str = Field(description=f"A template with {OUTPUT_AND_ITEM}.")
    reference: str = Field(description="A template like `input`.")
    operation: Literal["eq", "ne", "like", "ilike"]

    def reward(self) -> dict[str, Any]:
        return self.model_dump(exclude={"name"}) | _named(self.name)


class TextSimilarityGrader(Grader):
    """Similarity of two texts, from 0 to 1."""

    type: Literal["text_similarity"]
    input: str = Field(description=f"A template with {OUTPUT_AND_ITEM}.")
    reference: str = Field(description="A template like `input`.")
    evaluation_metric: Literal["fuzzy_match", "bleu"] = Field(
        description="OpenAI's others (gleu, meteor, rouge, cosine) are not supported."
    )

    def reward(self) -> dict[str, Any]:
        texts = self.model_dump(include={"type", "input", "reference"})
        return {**texts, "measure": MEASURES[self.evaluation_metric], **_named(self.name)}


class PythonGrader(Grader):
    """A Python function grade(sample, item); disabled unless the server's operator allows it."""

    type: Literal["python"]
    source: str = Field(description="Python that defines grade(sample, item) at its top level.")
    image_tag: str | None = Field(
        default=None, description="Accepted for compatibility and ignored."
    )

    def reward(self) -> dict[str, Any]:
        return {"type": "python", "source": self.source, **_named(self.name)}


def _refuse_models(_: object) -> NoReturn:
    raise ValueError(
        "graders that call a model are not supported: use string_check, "
        "text_similarity, python, or a multi of these"
    )


class ModelGrader(BaseModel):
    """A grader that calls a model: refused."""

    type: Literal["score_model", "label_model"]


_Single = Annotated[
    StringCheckGrader
    | TextSimilarityGrader
    | PythonGrader
    | Annotated[ModelGrader, BeforeValidator(_refuse_models)],
    Field(discriminator="type"),
]


class MultiGrader(Grader):
    """A formula over several graders."""

    type: Literal["multi"]
    graders: dict[str, _Single] = Field(
        min_length=1, description="Graders by their names in the formula."
    )
    calculate_output: str = Field(
        description="An expression with + - * / ^ and min, max, abs, floor, ceil, exp, sqrt, log."
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
"""The part of the reward that gives 0 to a completion that does not match the response format."""
ALONE = "grader"
"""Name of a grader that is not a multi, next to that part."""


def to_reward(grader: AnyGrader, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the reward that scores as the grader does.

    Args:
        schema: of the response format; None: any text is valid.
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
    """The grader and, if any, the response format of a spec's rewards; the grader is null where
    OpenAI has no equivalent."""
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
    assert not isinstance(grader, ModelGrader)  # refused when the request was parsed
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
    """Shorten a name: rewards' names are shorter than graders', and only displayed."""
    shown = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40]
    return {"name": shown} if shown[:1].isalpha() and shown.isascii() else {}
