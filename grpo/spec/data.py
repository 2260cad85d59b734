"""The part of a job spec that says where prompts come from."""

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
# What transformers' apply_chat_template takes itself: none of it is the template's.
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

    source: str = Field(min_length=1, max_length=MAX_SOURCE, description="Named like `data.train`.")
    name: SourceName | None = Field(
        default=None, description="In metrics; made from the source unless given."
    )
    weight: float = Field(
        default=1.0,
        gt=0,
        le=LARGEST,
        description="Its share of a step's prompts, against the others' weights.",
    )
    config: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_NAME,
        description="A hub data set's configuration, e.g. main.",
    )
    split: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_NAME,
        description="A hub data set's split; none: train for data.train, test for the others.",
    )
    prompt: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_TEXT,
        description="Instead of data.prompt, or data.messages, for this source.",
    )
    answer: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_ANSWER,
        description="Instead of data.answer for this source.",
    )
    answer_after: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_NAME,
        description="Instead of data.answer_after for this source.",
    )


DataSources = Annotated[list[DataSource], Field(min_length=1, max_length=32)]


class Data(Section):
    """The prompts to train on, and the held-out prompts to evaluate on."""

    train: Annotated[str, Field(min_length=1, max_length=MAX_SOURCE)] | DataSources = Field(
        default="arithmetic",
        description="A built-in data set's name, a file id, a hub id such as openai/gsm8k, or "
        "(without a server) the path of a JSONL, CSV or Parquet file; or a list of such sources.",
    )
    eval: Annotated[str, Field(min_length=1, max_length=MAX_SOURCE)] | DataSources | None = Field(
        default=None,
        description="Held-out prompts, named like `train`; none: no evaluation.",
    )
    test: Annotated[str, Field(min_length=1, max_length=MAX_SOURCE)] | DataSources | None = Field(
        default=None,
        description="A third set, named like `train`: evaluated once, at the end of training, and "
        "only reported (test/...).  The best evaluation is chosen on `eval`, and so is better than "
        "the policy.",
    )
    prompt: str = Field(
        default="{{question}}",
        min_length=1,
        max_length=MAX_TEXT,
        description="Template of the prompt over a row's fields and their members.",
    )
    messages: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="The row's field that holds chat messages, instead of a prompt template; the "
        "last one is the user's.",
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
        description="Keep only what follows the last occurrence of this marker in the answer.",
    )
    system: str | None = Field(
        default=None, max_length=MAX_TEXT, description="A system message before every prompt."
    )
    chat: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Wrap prompts in the model's chat template: auto does where it has one.",
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
        description="The longest prompt [tokens]; `too_long` says what is done.",
    )
    too_long: Literal["drop", "cut_left"] = Field(
        default="drop",
        description="Longer prompts are left out and counted, or lose their beginning.",
    )

    unusable: OnUnusable = Field(
        default="auto",
        description="Rows without an answer that the rewards can use, or without a prompt, are "
        "counted and told. refuse: there may be none; skip: they are left out; auto: left out up "
        "to 1 % of a source, and refused above.",
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
            raise ValueError(f"{taken[0]!r} cannot be set: it is no setting of a template")
        return settings

    @property
    def test_sources(self) -> tuple[DataSource, ...]:
        return _sources(self.test)

    @model_validator(mode="after")
    def _test_beside_eval(self) -> Self:
        if self.test is not None and self.eval is None:
            raise ValueError("data.test is evaluated with data.eval: give that too")
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
