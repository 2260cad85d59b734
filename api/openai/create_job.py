"""OpenAI's request to create a job, and the spec that it becomes."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from api.openai.graders import AnyGrader, MultiGrader, to_reward
from grpo.spec.resolve import SpecError, merge, resolve
from grpo.values.template import field_names, filled

Auto = Literal["auto"]
MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=512)]

GRADED_BY_ITSELF = "(the grader has its own reference)"
"""Expected answer for data whose grader needs none: a spec must name one."""


def _only_default(value: object) -> object:
    if value not in (None, "auto", "default"):
        raise ValueError('is not supported: remove it and use extra_body {"duet": {...}}')
    return value


class _Sent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Hyperparameters(_Sent):
    """Hyperparameters; the preset's value applies where one is missing or `auto`."""

    n_epochs: Auto | Annotated[int, Field(ge=1)] | None = None
    batch_size: Auto | Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Prompts per step."
    )
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Multiplier of the preset's learning rate."
    )
    eval_interval: Auto | Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Steps between evaluations."
    )
    eval_samples: Auto | Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Completions per held-out prompt."
    )
    compute_multiplier: Annotated[Any, BeforeValidator(_only_default)] = None
    reasoning_effort: Annotated[Any, BeforeValidator(_only_default)] = None

    def settings(self) -> dict[str, Any]:
        """The spec fields of the hyperparameters that were given."""
        places = {
            "n_epochs": ("budget", "epochs"),
            "batch_size": ("algorithm", "prompts_per_step"),
            "eval_interval": ("evaluation", "every_steps"),
            "eval_samples": ("evaluation", "samples"),
        }
        settings: dict[str, dict[str, Any]] = {}
        for name, (section, field) in places.items():
            value = getattr(self, name)
            if value not in (None, "auto"):
                settings.setdefault(section, {})[field] = value
        return settings


class JsonFormat(_Sent):
    """A named JSON Schema."""

    name: str | None = None
    description: str | None = None
    definition: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class ResponseFormat(_Sent):
    """Required format of completions; a completion that does not match scores 0."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonFormat | None = None

    @property
    def schema_of_it(self) -> dict[str, Any] | None:
        """Schema of the completion; None if any text is valid."""
        match self.type:
            case "json_object":
                return {"type": "object"}
            case "json_schema":
                return (self.json_schema and self.json_schema.definition) or {}
            case _:
                return None


class Reinforcement(_Sent):
    grader: AnyGrader
    response_format: ResponseFormat | None = None
    hyperparameters: Hyperparameters | None = None

    @property
    def reward(self) -> dict[str, Any]:
        return to_reward(self.grader, self.response_format and self.response_format.schema_of_it)


OTHER_METHODS = ("supervised", "dpo")
NOT_OFFERED = (
    "supervised (the default without `method`) and dpo are not supported: this server trains by "
    "reinforcement; send {type: reinforcement, reinforcement: {grader: ...}}"
)


def _reinforcement_only(method: object) -> object:
    """Reduce a supervised or dpo method to its type, so that the error names it; a null counts as
    missing."""
    if not isinstance(method, dict):
        if method is None:
            raise ValueError(NOT_OFFERED)
        return method
    given = {name: value for name, value in method.items() if value is not None}
    if given.get("type") in OTHER_METHODS:
        return {"type": given["type"]}
    if "type" not in given or given.keys() & {*OTHER_METHODS}:
        raise ValueError(NOT_OFFERED)
    return given


def _offered(method: object) -> object:
    if method in OTHER_METHODS:
        raise ValueError(NOT_OFFERED)
    return method


def _empty(value: object) -> None:
    if value not in (None, [], {}):
        raise ValueError(
            "integrations are not supported: remove the field; metrics are in the events"
        )


def _none_set(value: object) -> None:
    """Refuse the deprecated top-level hyperparameters, unless empty: clients may still send them
    so."""
    given = value.values() if isinstance(value, dict) else [value]
    if any(each not in (None, "auto") for each in given):
        raise ValueError("is deprecated: use method.reinforcement.hyperparameters")


class Method(_Sent):
    type: Annotated[Literal["reinforcement"], BeforeValidator(_offered)]
    reinforcement: Reinforcement


class CreateJob(_Sent):
    """A fine-tuning job, as `client.fine_tuning.jobs.create` sends it."""

    model: str = Field(min_length=1, description="A built-in model, a hub id, or a checkpoint id.")
    training_file: str = Field(min_length=1)
    validation_file: str | None = None
    method: Annotated[Method, BeforeValidator(_reinforcement_only)] = Field(
        default=None, validate_default=True
    )
    integrations: Annotated[Any, BeforeValidator(_empty)] = Field(
        default=None, description="Null or empty; not supported."
    )
    hyperparameters: Annotated[Any, BeforeValidator(_none_set)] = Field(
        default=None, description="Null or empty; use method.reinforcement.hyperparameters."
    )
    suffix: str | None = Field(default=None, max_length=64, description="The job's name.")
    seed: int | None = Field(default=None, ge=0)
    metadata: dict[MetadataKey, MetadataValue] | None = Field(default=None, max_length=16)
    duet: Annotated[dict[str, Any], BeforeValidator(lambda sent: {} if sent is None else sent)] = (
        Field(
            default={},
            description="Duet's own settings (fields of JobSpec); they override all others.",
        )
    )


def to_spec(sent: CreateJob, fields: Mapping[str, str | None]) -> dict[str, Any]:
    """The requested spec, still to be checked.

    Args:
        fields: of the training file's rows, with the reason where a template cannot use one.

    Raises:
        SpecError: `duet` is not valid.
    """
    reinforcement = sent.method.reinforcement
    hyperparameters = reinforcement.hyperparameters or Hyperparameters()
    base = {
        "name": sent.suffix or f"fine-tuning of {sent.model}"[:200],
        "model": {"source": sent.model},
        "data": {
            "train": sent.training_file,
            "eval": sent.validation_file,
            **_prompt(fields),
            "answer": _answer(reinforcement.grader, fields),
        },
        "rewards": [reinforcement.reward],
        "labels": sent.metadata or {},
        **({} if sent.seed is None else {"seed": sent.seed}),
    }
    spec = merge(merge(base, hyperparameters.settings()), sent.duet)
    factor = hyperparameters.learning_rate_multiplier
    return spec if factor in (None, "auto") else merge(spec, _faster(spec, factor))


def _prompt(fields: Mapping[str, str | None]) -> dict[str, str]:
    """The prompt: chat messages in OpenAI's format, or the field of Duet's own data."""
    if "messages" in fields:
        return {"messages": "messages"}
    return {"prompt": "{{prompt}}"} if "prompt" in fields else {}


def _answer(grader: AnyGrader, fields: Mapping[str, str | None]) -> str:
    """The expected answer shown with samples: the grader's reference where it is a field of the
    row."""
    graders = list(grader.graders.values()) if isinstance(grader, MultiGrader) else [grader]
    texts = {f"item.{field}" for field, problem in fields.items() if problem is None}
    for each in graders:
        reference = getattr(each, "reference", "")
        names = field_names(reference)
        if names and set(names) <= texts:
            return filled(reference, lambda name: f"{{{{{name.removeprefix('item.')}}}}}")
    return "{{answer}}" if "item.answer" in texts else GRADED_BY_ITSELF


def _faster(spec: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Return the learning rate that the multiplier yields.

    Raises:
        SpecError: the spec is not valid, so has no learning rate to multiply.
    """
    optimizer = resolve(spec, defer_costly=True).optimizer
    if optimizer.learning_rate != "auto":
        return {"optimizer": {"learning_rate": optimizer.learning_rate * factor}}
    rate = optimizer.reference.learning_rate * factor
    return {"optimizer": {"reference": {"learning_rate": rate}}}


def in_their_terms(error: SpecError, sent: CreateJob) -> SpecError:
    """The same problems, each at the field of the request that caused it, in the request's
    terms."""
    return SpecError(
        [(_sent_as(pointer, sent), _in_their_words(detail)) for pointer, detail in error.problems]
    )


_REINFORCEMENT = "/method/reinforcement"
_HYPERPARAMETERS = f"{_REINFORCEMENT}/hyperparameters"
_SENT_AS = {
    "/model/source": "/model",
    "/data/eval": "/validation_file",
    "/data": "/training_file",
    "/seed": "/seed",
    "/labels": "/metadata",
    "/name": "/suffix",
    "/budget/epochs": f"{_HYPERPARAMETERS}/n_epochs",
    "/algorithm/prompts_per_step": f"{_HYPERPARAMETERS}/batch_size",
    "/optimizer/learning_rate": f"{_HYPERPARAMETERS}/learning_rate_multiplier",
    "/optimizer/reference/learning_rate": f"{_HYPERPARAMETERS}/learning_rate_multiplier",
    "/evaluation/every_steps": f"{_HYPERPARAMETERS}/eval_interval",
    "/evaluation/samples": f"{_HYPERPARAMETERS}/eval_samples",
}
_IN_A_FILE = ("/training_file", "/validation_file")


def _sent_as(pointer: str, sent: CreateJob) -> str:
    """The request's field for a field of the spec; `duet` where there is no other."""
    if _is_in(sent.duet, pointer):
        return f"/duet{pointer}"
    if pointer == "/rewards/0" or pointer.startswith("/rewards/0/"):
        return _in_the_grader(pointer.removeprefix("/rewards/0"), sent.method.reinforcement)
    for ours, theirs in _SENT_AS.items():
        if pointer == ours or pointer.startswith(f"{ours}/"):
            return theirs if theirs in _IN_A_FILE else theirs + pointer.removeprefix(ours)
    return f"/duet{pointer}"


def _is_in(document: object, pointer: str) -> bool:
    here = document
    for step in pointer.split("/")[1:]:
        if not isinstance(here, Mapping) or step not in here:
            return False
        here = here[step]
    return True


def _in_the_grader(inner: str, reinforcement: Reinforcement) -> str:
    """Path within a grader: parts of a multi go by their names; only the response format is Duet's
    own."""
    grader, steps = reinforcement.grader, inner.split("/")[1:]
    here = f"{_REINFORCEMENT}/grader"
    if steps[:1] == ["rewards"] and len(steps) > 1:
        names = list(grader.graders) if isinstance(grader, MultiGrader) else [None]
        number, steps = int(steps[1]), steps[2:]
        if number >= len(names):
            return f"{_REINFORCEMENT}/response_format"
        here = here if names[number] is None else f"{here}/graders/{names[number]}"
    named = ["evaluation_metric" if step == "measure" else step for step in steps]
    return "".join([here, *(f"/{step}" for step in named)])


def _in_their_words(detail: str) -> str:
    return detail.replace("data.train", "training_file").replace("data.eval", "validation_file")
