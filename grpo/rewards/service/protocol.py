"""The protocol of `http` rewards: one request scores several completions.

`docs/reward-protocol.json` is the JSON schema of these models.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

TYPE = "reward.score"


class Message(BaseModel):
    """A message of the prompt."""

    role: str
    content: str


class ItemToScore(BaseModel):
    """A completion, with its prompt and its row."""

    key: str = Field(
        description="Name of this item in the answer: the same for the same completion of the same "
        "row by the same reward."
    )
    messages: list[Message] = Field(
        description="The prompt's messages; empty where a trial has none."
    )
    completion: str = Field(description="Text without special tokens, cut before a stop string.")
    num_tokens: int = Field(description="Length of the completion.")
    answer: str = Field(description="The row's expected answer, as data.answer gives it.")
    row: dict[str, Any] = Field(description="The row's fields.")


class ScoringData(BaseModel):
    """The completions to score, and what they are scored for."""

    reward: str = Field(description="The reward's name.")
    job: str | None = Field(description="Id of the job; null: a trial, or a run without a server.")
    step: int | None = Field(
        description="Step of training; null: an evaluation or a trial.  For logs only: scores are "
        "kept by their key."
    )
    items: list[ItemToScore] = Field(min_length=1, max_length=256)


class ScoringRequest(BaseModel):
    """The body of a request."""

    type: str = TYPE
    timestamp: str = Field(description="Time of sending, ISO 8601.")
    data: ScoringData


class ItemScore(BaseModel):
    """An item's score, or the reason why it has none."""

    model_config = ConfigDict(strict=True)

    key: str
    score: float | None = Field(default=None, description="A finite number.")
    error: str | None = Field(
        default=None, description="Why the item has no score: only this completion fails."
    )


class ScoringAnswer(BaseModel):
    """The body of an answer: each item once, in any order."""

    scores: list[ItemScore]


def schemas() -> dict[str, Any]:
    """Return the JSON schemas of request and answer."""
    return {
        "request": ScoringRequest.model_json_schema(),
        "answer": ScoringAnswer.model_json_schema(),
    }
