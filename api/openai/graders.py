"""OpenAI's graders and the rewards that they become."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.openai.model_graders import LabelModelGrader, ScoreModelGrader, grader_of, named

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
        return self.model_dump(exclude={"name"}) | named(self.name)


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
        return {**texts, "measure": MEASURES[self.evaluation_metric], **named(self.name)}


class PythonGrader(Grader):
    """A Python function grade(sample, item); disabled unless the server's operator allows it."""

    type: Literal["python"]
    source: str = Field(description="Python that defines grade(sample, item) at its top level.")
    image_tag: str | None = Field(
        default=None, description="Accepted for compatibility and ignored."
    )

    def reward(self) -> dict[str, Any]:
        return {"type": "python", "source": self.source, **named(self.name)}


_Single = Annotated[
    StringCheckGrader | TextSimilarityGrader | PythonGrader | ScoreModelGrader | LabelModelGrader,
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

    @model_validator(mode="after")
    def _scores_as_in_the_formula(self) -> Self:
        for name, part in self.graders.items():
            if isinstance(part, ScoreModelGrader) and part.range != (0.0, 1.0):
                raise ValueError(
                    f"the grader {name!r} must have the range [0, 1] in a multi: the formula would "
                    "have its score from 0 to 1"
                )
        return self

    def reward(self) -> dict[str, Any]:
        parts = [{**part.reward(), "name": name} for name, part in self.graders.items()]
        formula = self.calculate_output
        return {"type": "multi", "rewards": parts, "calculate_output": formula, **named(self.name)}


AnyGrader = Annotated[
    StringCheckGrader
    | TextSimilarityGrader
    | PythonGrader
    | MultiGrader
    | ScoreModelGrader
    | LabelModelGrader,
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
    reward = grader.reward()
    if schema is None:
        return reward
    fits = {"type": "json_schema", "name": FORMAT, "definition": schema}
    if isinstance(grader, MultiGrader):
        formula = f"({grader.calculate_output}) * {FORMAT}"
        return {**reward, "rewards": [*reward["rewards"], fits], "calculate_output": formula}
    parts = [{**reward, "name": ALONE}, fits]
    formula = f"{ALONE} * {FORMAT}"
    shown = named(grader.name)
    return {"type": "multi", "rewards": parts, "calculate_output": formula, **shown}


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


def _grader(reward: Mapping[str, Any]) -> dict[str, Any] | None:
    basic = {"type": reward["type"], "name": reward["name"] or reward["type"]}
    match reward["type"]:
        case "string_check":
            return basic | {key: reward[key] for key in ("input", "reference", "operation")}
        case "text_similarity" if reward["input"] and reward["reference"]:
            back = {ours: theirs for theirs, ours in MEASURES.items()}
            if reward["measure"] not in back or reward["threshold"] or reward["after"]:
                return None
            texts = {key: reward[key] for key in ("input", "reference")}
            return basic | texts | {"evaluation_metric": back[reward["measure"]]}
        case "judge":
            found = grader_of(reward)
            return found and {**found, "name": basic["name"]}
        case "python":
            return basic | {"source": reward["source"]}
        case "multi":
            parts = {part["name"] or part["type"]: _grader(part) for part in reward["rewards"]}
            if None in parts.values():
                return None
            return basic | {"graders": parts, "calculate_output": reward["calculate_output"]}
        case _:
            return None
