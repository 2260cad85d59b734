"""Sections of a job spec about a run as a whole: checkpoints, reporting, budget, resources."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from grpo.values.field_errors import matching
from grpo.values.section import LARGEST, MOST, Section


class Checkpoints(Section):
    """Schedule and retention of checkpoints; the end of a run is always saved."""

    every_steps: int = Field(default=50, ge=1, le=MOST, description="Steps between checkpoints.")
    dtype: Literal["float32", "source"] = Field(
        default="float32",
        description="Dtype of a checkpoint's weights.  float32: as trained, so that a resumed "
        "run is bit-exact; source: dtype of the model's source, half as large for bfloat16, from "
        "which a run resumes with rounded weights.  Exports always use the source's.",
    )
    best: bool = Field(
        default=False, description="Also save at each new best of evaluation.metric."
    )
    keep_last: int = Field(
        default=2,
        ge=1,
        le=MOST,
        description="Number of newest checkpoints to keep; the final one is always kept.",
    )
    keep_best: bool = Field(
        default=True, description="Also keep the checkpoint with the best evaluation.metric."
    )


class Reporting(Section):
    """Logging of a step besides its metrics."""

    samples_per_step: int = Field(
        default=3, ge=0, le=64, description="Groups logged in full per step, one of them a tie."
    )
    token_logprobs: bool = Field(
        default=False,
        description="Log the tokens of these groups with the sampler's and the policy's logprobs.",
    )
    diagnostics_every_steps: int | None = Field(
        default=None,
        ge=1,
        le=MOST,
        description="Steps between measurements of the gradient's variance and of its cosine "
        "with the DPO gradient; null: never.  One measurement costs about two updates.",
    )
    tensorboard: bool = Field(
        default=False, description="Also write all metrics as TensorBoard event files."
    )


class Budget(Section):
    """Conditions that end training: the first one met; a checkpoint is always saved."""

    epochs: float = Field(
        default=10, gt=0, le=LARGEST, description="Passes over the training prompts."
    )
    max_steps: int | None = Field(
        default=None, ge=1, le=MOST, description="Maximum number of steps."
    )
    max_rollouts: int | None = Field(
        default=None,
        ge=1,
        le=10**12,
        description="Maximum number of training completions; the step in progress is finished.",
    )
    max_seconds: float | None = Field(
        default=None,
        gt=0,
        le=1e9,
        description="Maximum time of training, evaluation and saving over all attempts, without "
        "loading [s]; the step in progress is finished.",
    )
    max_gpu_hours: float | None = Field(
        default=None,
        gt=0,
        le=1e9,
        description="Maximum of the same time in hours, multiplied by the GPUs used; ignored "
        "without a GPU.",
    )


# Times that Postgres and Python can represent in every time zone.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(3000, 1, 1, tzinfo=UTC)
Queue = Annotated[
    str,
    Field(
        pattern=matching(
            r"^[a-z0-9][a-z0-9-]{0,39}$",
            "must be 1 to 40 lower-case letters, digits and hyphens, and not begin with a hyphen",
        )
    ),
]


class Resources(Section):
    """Requirements on a worker, and order in the queue."""

    queue: Queue = Field(default="default", description="Queue; only its workers run the job.")
    gpus: Literal["auto", 0, 1] = Field(
        default="auto",
        description="Number of GPUs; auto: 1 if a worker of the queue has a GPU, or if the memory "
        "of none of its workers would be enough without one, else 0.  With 1 the trainer fails "
        "without a GPU.",
    )
    priority: int = Field(
        default=0, ge=-100, le=100, description="Priority within the project; higher runs first."
    )
    not_before: Annotated[AwareDatetime, Field(ge=EARLIEST, lt=LATEST)] | None = Field(
        default=None, description="Earliest start: a time with a time zone."
    )
    max_failures: int = Field(
        default=3,
        ge=1,
        le=100,
        description="Consecutive lost or crashed attempts that fail the job.",
    )
