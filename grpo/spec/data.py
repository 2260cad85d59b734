"""The data section of a job spec: sources of prompts."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from grpo.values.section import LARGEST, MAX_NAME, MAX_TEXT, MOST, Section

MAX_SOURCE = 1000
MAX_ANSWER = 10_000

SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]

SETS = ("train", "eval", "test")
"""The fields of `data` that name sources."""

TemplateValue = (
    bool
    | Annotated[int, Field(ge=-MOST, le=MOST)]
    | Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
    | Annotated[str, StringConstraints(max_length=MAX_ANSWER)]
    | None
)
TemplateName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
# Arguments of transformers' apply_chat_template itself, not of the template.
NOT_THE_TEMPLATES = frozenset(
    {
        *("conversation", "messages", "tools", "documents", "chat_template"),
        *("add_generation_prompt", "continue_final_message", "tokenize", "padding", "truncation"),
        *("max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask"),
        *("tokenizer_kwargs", "processor_kwargs"),
    }
)

OnUnusable = Literal["auto", "refuse", "skip"]


class DataSource(Section):
    """One of several data sets, with its share of the prompts."""

    source: str = Field(
        min_length=1, max_length=MAX_SOURCE, description="Source, named as in data.train."
    )
    name: SourceName | None = Field(
        default=None, description="Name in metrics; derived from the source if not given."
    )
    weight: float = Field(
        default=1.0,
        gt=0,
        le=LARGEST,
        description="Share of a step's prompts, relative to the other sources' weights.",
    )
    config: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_NAME,
        description="Configuration of a hub data set, e.g. main.",
    )
    split: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_NAME,
        description="Split of a hub data set; null: train for data.train, test for the others.",
    )
    prompt: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_TEXT,
        description="Replaces data.prompt or data.messages for this source.",
    )
    answer: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_ANSWER,
        description="Replaces data.answer for this source.",
    )
    answer_after: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_NAME,
        description="Replaces data.answer_after for this source.",
    )


DataSources = Annotated[list[DataSource], Field(min_length=1, max_length=32)]


class Data(Section):
    """Training prompts and held-out prompts."""

    train: Annotated[str, Field(min_length=1, max_length=MAX_SOURCE)] | DataSources = Field(
        default="arithmetic",
        description="Name of a built-in data set, file id, hub id such as openai/gsm8k, or "
        "(without a server) path of a JSONL, CSV or Parquet file; or a list of such sources.",
    )
    eval: Annotated[str, Field(min_length=1, max_length=MAX_SOURCE)] | DataSources | None = Field(
        default=None,
        description="Held-out prompts, named as in `train`; null: no evaluation.",
    )
    test: Annotated[str, Field(min_length=1, max_length=MAX_SOURCE)] | DataSources | None = Field(
        default=None,
        description="Test set, named as in `train`: evaluated once, at the end of training, and "
        "only reported (test/...).  The best checkpoint is chosen on `eval`, which makes its "
        "score there optimistic.",
    )
    prompt: str = Field(
        default="{{question}}",
        min_length=1,
        max_length=MAX_TEXT,
        description="Prompt template over a row's fields and their members.",
    )
    messages: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="Field of the row that holds chat messages, in place of a prompt template; the "
        "last message must be the user's.",
    )
    answer: str = Field(
        default="{{answer}}",
        min_length=1,
        max_length=MAX_ANSWER,
        description="Template of the expected answer.",
    )
    answer_after: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_NAME,
        description="Keep only the text after the last occurrence of this marker in the answer.",
    )
    system: str | None = Field(
        default=None, max_length=MAX_TEXT, description="System message before every prompt."
    )
    chat: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Use of the model's chat template for prompts; auto: if the model has one.",
    )
    chat_template_kwargs: dict[TemplateName, TemplateValue] = Field(
        default={},
        max_length=32,
        description="Settings of the model's chat template, for instance enable_thinking: false.",
    )
    max_prompt_tokens: int = Field(
        default=512,
        ge=1,
        le=MOST,
        description="Length limit of a prompt [tokens]; longer ones are handled by `too_long`.",
    )
    too_long: Literal["drop", "cut_left"] = Field(
        default="drop",
        description="Prompts above the limit.  drop: left out and counted; cut_left: truncated "
        "at the start.",
    )

    unusable: OnUnusable = Field(
        default="auto",
        description="Rows without a prompt, or without an answer that the rewards can use; they "
        "are counted and reported.  refuse: any such row fails the job; skip: left out; auto: "
        "left out up to 1 % of a source, refused above.",
    )

    @property
    def train_sources(self) -> tuple[DataSource, ...]:
        return _sources(self.train)

    @property
    def eval_sources(self) -> tuple[DataSource, ...]:
        return _sources(self.eval)

    @field_validator("chat_template_kwargs")
    @classmethod
    def _of_the_template(cls, settings: dict[str, object]) -> dict[str, object]:
        if taken := sorted(NOT_THE_TEMPLATES & settings.keys()):
            raise ValueError(
                f"{taken[0]!r} cannot be set: it is not a setting of the chat template"
            )
        return settings

    @property
    def test_sources(self) -> tuple[DataSource, ...]:
        return _sources(self.test)

    @model_validator(mode="after")
    def _test_beside_eval(self) -> Self:
        if self.test is not None and self.eval is None:
            raise ValueError("data.test requires data.eval: set data.eval too")
        return self

    @model_validator(mode="after")
    def _distinct_names(self) -> Self:
        by_field = (self.train_sources, self.eval_sources, self.test_sources)
        for field, sources in zip(SETS, by_field, strict=True):
            names = [source.name for source in sources if source.name]
            doubled = sorted({name for name in names if names.count(name) > 1})
            if doubled:
                raise ValueError(f"two sources of data.{field} are named {doubled[0]!r}")
        return self


def _sources(written: "str | list[DataSource] | None") -> tuple[DataSource, ...]:
    if written is None:
        return ()
    if isinstance(written, str):
        return (DataSource(source=written),)
    return tuple(written)
