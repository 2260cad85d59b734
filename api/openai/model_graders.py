"""OpenAI's graders that call a model, and the judges that they become."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

OPENAI = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"
LONGEST_ANSWER = 1024
"""Tokens of a verdict where the grader does not limit them."""


def _as_text(content: object) -> object:
    """Return a content's text, with its parts joined; anything else as it is."""
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    written = [text for text in texts if isinstance(text, str)]
    return "".join(written) if texts and len(written) == len(texts) else content


class GraderMessage(BaseModel):
    """A message to the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["message"] = Field(default="message", exclude=True)
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, BeforeValidator(_as_text)] = Field(
        description="A template with {{sample.output_text}} and {{item.FIELD}}; or its text parts."
    )


class SamplingParams(BaseModel):
    """Sampling of the model's verdict."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float | None = None
    max_completions_tokens: int | None = None


class ModelGrader(BaseModel):
    """A grader that calls a model behind an OpenAI-compatible API."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="Shown with its scores.")
    model: str = Field(description="Name of the model.")
    input: list[GraderMessage] = Field(min_length=1, description="The messages to the model.")
    sampling_params: SamplingParams = SamplingParams()
    url: str = Field(default=OPENAI, description="Address of the API, an addition to OpenAI's.")
    api_key: str | None = Field(
        default=OPENAI_KEY,
        description="Name of the project's secret with the API's key, an addition to OpenAI's.",
    )

    def judge(self) -> dict[str, Any]:
        """Return the judge's settings, without its mode."""
        params = self.sampling_params
        return {
            "type": "judge",
            "url": self.url,
            "api_key": self.api_key,
            "model": self.model,
            "input": [message.model_dump() for message in self.input],
            "temperature": params.temperature,
            "max_tokens": params.max_completions_tokens or LONGEST_ANSWER,
            **named(self.name),
        }


class ScoreModelGrader(ModelGrader):
    """Score that a model gives, from 0 to 1 between the ends of `range`."""

    type: Literal["score_model"]
    range: tuple[float, float] = Field(
        default=(0.0, 1.0), description="Lowest and highest score, which become 0 and 1."
    )
    pass_threshold: float | None = Field(
        default=None, description="Accepted for compatibility and ignored."
    )

    def reward(self) -> dict[str, Any]:
        return {**self.judge(), "mode": "score", "range": list(self.range)}


class LabelModelGrader(ModelGrader):
    """1 if a model chooses one of the passing labels, else 0."""

    type: Literal["label_model"]
    labels: list[str] = Field(min_length=2)
    passing_labels: list[str] = Field(min_length=1)

    def reward(self) -> dict[str, Any]:
        labels = {"labels": self.labels, "passing_labels": self.passing_labels}
        return {**self.judge(), "mode": "label", **labels}


def grader_of(reward: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the grader of a judge, without its name; None: OpenAI has no equivalent."""
    if reward["input"] is None or reward["mode"] == "pairwise":
        return None
    sampling = {
        "temperature": reward["temperature"],
        "max_completions_tokens": reward["max_tokens"],
    }
    grader = {
        "model": reward["model"],
        "input": [dict(message) for message in reward["input"]],
        "sampling_params": {name: value for name, value in sampling.items() if value is not None},
        "url": reward["url"],
        "api_key": reward["api_key"],
    }
    if reward["mode"] == "score":
        return {**grader, "type": "score_model", "range": list(reward["range"])}
    labels = {name: reward[name] for name in ("labels", "passing_labels")}
    return {**grader, "type": "label_model", **labels}


def named(name: str) -> dict[str, str]:
    """Shorten a name: rewards' names are shorter than graders', and only displayed."""
    shown = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40]
    return {"name": shown} if shown[:1].isalpha() and shown.isascii() else {}
