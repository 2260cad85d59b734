"""The parts of a job spec about a run as a whole: what it keeps and says, how long it lasts."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from grpo.values.section import LARGEST, MOST, Section


class Checkpoints(Section):
    """When the run is saved; it always is at its end."""

    every_steps: int = Field(default=50, ge=1, le=MOST, description="Steps between checkpoints.")
    dtype: Literal["float32", "source"] = Field(
        default="float32",
        description="What a checkpoint's weights are saved in: float32, as they are trained, so "
        "that a continued run is bit-exact; or the dtype of the model's source, half as large for "
        "bfloat16, from which a run continues with rounded weights.  Exports are always in the "
        "source's.",
    )
    best: bool = Field(
        default=False, description="Save too whenever evaluation.metric has a new best."
    )
    keep_last: int = Field(
        default=2,
        ge=1,
        le=MOST,
        description="Newest checkpoints that a job keeps; the final one is always kept.",
    )
    keep_best: bool = Field(
        default=True, description="Keep the one with the best evaluation.metric, too."
    )


class Reporting(Section):
    """The log of a step besides its metrics."""

    samples_per_step: int = Field(
        default=3, ge=0, le=64, description="Groups logged whole a step, one of them a tie."
    )
    token_logprobs: bool = Field(
        default=False,
        description="Log each token of these with its sampler's and policy's logprob.",
    )
    diagnostics_every_steps: int | None = Field(
        default=None,
        ge=1,
        le=MOST,
        description="Steps between measurements of the gradient's variance and of its cosine with "
        "DPO's; none: never.  One costs about two more updates.",
    )
    tensorboard: bool = Field(
        default=False, description="Write TensorBoard event files of all metrics, too."
    )


class Budget(Section):
    """When training ends: whichever comes first, and always with a checkpoint."""

    epochs: float = Field(
        default=10, gt=0, le=LARGEST, description="Passes over the training prompts."
    )
    max_steps: int | None = Field(default=None, ge=1, le=MOST, description="Steps at most.")
    max_rollouts: int | None = Field(
        default=None,
        ge=1,
        le=10**12,
        description="Completions drawn in training; their step is finished.",
    )
    max_seconds: float | None = Field(
        default=None,
        gt=0,
        le=1e9,
        description="Seconds of training, evaluation and saving, of all attempts together; loading "
        "does not count.  The step in which they are over is finished.",
    )
    max_gpu_hours: float | None = Field(
        default=None,
        gt=0,
        le=1e9,
        description="The same time in hours, times the GPUs used; without a GPU: never.",
    )


# In every zone it is a time that Postgres and Python can write.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(3000, 1, 1, tzinfo=UTC)
Queue = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]


class Resources(Section):
    """The job's requirements of a worker, and its order in the queue."""

    queue: Queue = Field(default="default", description="Only workers of this queue take the job.")
    gpus: Literal["auto", 0, 1] = Field(
        default="auto",
        description="auto: 1 where a worker of the queue has a GPU, else 0.  With 1 the trainer "
        "fails where it finds no GPU.",
    )
    priority: int = Field(
        default=0, ge=-100, le=100, description="Higher runs first, within the project."
    )
    not_before: Annotated[AwareDatetime, Field(ge=EARLIEST, lt=LATEST)] | None = Field(
        default=None, description="The job is not begun earlier: a time with its zone."
    )
    max_failures: int = Field(
        default=3, ge=1, le=100, description="Lost or crashed attempts in a row that end the job."
    )
