"""What OpenAI's client sends to create a job, and the spec that it is."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from api.openai.graders import AnyGrader, MultiGrader, to_reward
from grpo.data.template import field_names, filled
from grpo.spec.resolve import SpecError, merge, resolve

Auto = Literal["auto"]
MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=512)]

GRADED_BY_ITSELF = "(the grader has its own reference)"
"""The expected answer of data whose grader needs none: a spec must have one."""


def _only_default(value: object) -> object:
    if value not in (None, "auto", "default"):
        raise ValueError(
            'has no meaning here: leave it out, and say what you want in extra_body {"duet": {...}}'
        )
    return value


class _Sent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Hyperparameters(_Sent):
    """What is not given, or `auto`, is the preset's."""

    n_epochs: Auto | Annotated[int, Field(ge=1)] | None = None
    batch_size: Auto | Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Prompts a step."
    )
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Of the preset's learning rate."
    )
    eval_interval: Auto | Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Steps between evaluations."
    )
    eval_samples: Auto | Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Completions a held-out prompt."
    )
    compute_multiplier: Annotated[Any, BeforeValidator(_only_default)] = None
    reasoning_effort: Annotated[Any, BeforeValidator(_only_default)] = None

    def settings(self) -> dict[str, Any]:
        """The fields of a spec that were given."""
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


class Reinforcement(_Sent):
    grader: AnyGrader
    hyperparameters: Hyperparameters | None = None


class Method(_Sent):
    type: Literal["reinforcement"]
    reinforcement: Reinforcement


class CreateJob(_Sent):
    """A fine-tuning job, as `client.fine_tuning.jobs.create` sends it."""

    model: str = Field(min_length=1, description="A built-in model, a hub id, or a checkpoint id.")
    training_file: str = Field(min_length=1)
    validation_file: str | None = None
    method: Method
    suffix: str | None = Field(default=None, max_length=64, description="The job's name.")
    seed: int | None = Field(default=None, ge=0)
    metadata: dict[MetadataKey, MetadataValue] | None = Field(default=None, max_length=16)
    duet: dict[str, Any] = Field(
        default={}, description="Our own settings, laid over all else: fields of JobSpec."
    )


def to_spec(sent: CreateJob, fields: Mapping[str, str | None]) -> dict[str, Any]:
    """The spec that was asked for, to be checked like any other.

    Args:
        fields: of the training file's rows, and why a template cannot use one; None: it can.

    Raises:
        SpecError: `duet` is wrong in itself.
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
        "rewards": [to_reward(reinforcement.grader)],
        "labels": sent.metadata or {},
        **({} if sent.seed is None else {"seed": sent.seed}),
    }
    spec = merge(merge(base, hyperparameters.settings()), sent.duet)
    factor = hyperparameters.learning_rate_multiplier
    return spec if factor in (None, "auto") else merge(spec, _faster(spec, factor))


def _prompt(fields: Mapping[str, str | None]) -> dict[str, str]:
    """Chat messages as OpenAI has them, or the field that our own data has."""
    if "messages" in fields:
        return {"messages": "messages"}
    return {"prompt": "{{prompt}}"} if "prompt" in fields else {}


def _answer(grader: AnyGrader, fields: Mapping[str, str | None]) -> str:
    """The expected answer that samples show: the grader's reference where it is the row's alone."""
    graders = list(grader.graders.values()) if isinstance(grader, MultiGrader) else [grader]
    texts = {f"item.{field}" for field, problem in fields.items() if problem is None}
    for each in graders:
        reference = getattr(each, "reference", "")
        names = field_names(reference)
        if names and set(names) <= texts:
            return filled(reference, lambda name: f"{{{{{name.removeprefix('item.')}}}}}")
    return "{{answer}}" if "item.answer" in texts else GRADED_BY_ITSELF


def _faster(spec: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """
    Raises:
        SpecError: the spec has no learning rate to multiply, being wrong.
    """
    optimizer = resolve(spec, defer_costly=True).optimizer
    if optimizer.learning_rate != "auto":
        return {"optimizer": {"learning_rate": optimizer.learning_rate * factor}}
    rate = optimizer.reference.learning_rate * factor
    return {"optimizer": {"reference": {"learning_rate": rate}}}


def in_their_terms(error: SpecError) -> SpecError:
    """The same problems, each at the field of the request that it came from."""
    return SpecError([(_sent_as(pointer), detail) for pointer, detail in error.problems])


_SENT_AS = {
    "/model/source": "/model",
    "/data/train": "/training_file",
    "/data/eval": "/validation_file",
    "/rewards/0": "/method/reinforcement/grader",
    "/seed": "/seed",
    "/labels": "/metadata",
    "/name": "/suffix",
}


def _sent_as(pointer: str) -> str:
    for ours, theirs in _SENT_AS.items():
        if pointer == ours or pointer.startswith(f"{ours}/"):
            return theirs + pointer.removeprefix(ours)
    return f"/duet{pointer}"
