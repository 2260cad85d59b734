"""The parts of a job spec, each field with its unit, bounds and meaning."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from grpo.spec.section import Section


class Model(Section):
    """Where the policy starts."""

    source: str = Field(
        default="tiny-arithmetic",
        min_length=1,
        max_length=400,
        description="A catalogue name, a model folder's path, a hub id, or a checkpoint id.",
    )
    revision: str | None = Field(default=None, description="Branch, tag or commit of a hub model.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="What the policy and the engine compute in: auto is float32 without a GPU and "
        "bfloat16 with one.  The optimizer's weights are always float32.",
    )


class Data(Section):
    """The prompts to train on, and the held-out prompts to evaluate on."""

    train: str = Field(
        default="arithmetic",
        min_length=1,
        description="A built-in data set's name, a file id, or (without a server) a JSONL path.",
    )
    eval: str | None = Field(
        default=None,
        min_length=1,
        description="Held-out prompts, named like `train`; none: no evaluation.",
    )
    prompt: str = Field(
        default="{{question}}",
        min_length=1,
        description="Template of the prompt over a row's fields.",
    )
    answer: str = Field(
        default="{{answer}}", min_length=1, description="Template of the expected answer."
    )
    answer_after: str | None = Field(
        default=None,
        min_length=1,
        description="Keep only what follows the last occurrence of this marker in the answer.",
    )
    system: str | None = Field(default=None, description="A system message before every prompt.")
    chat: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Wrap prompts in the model's chat template: auto does where it has one.",
    )
    max_prompt_tokens: int = Field(
        default=512, ge=1, description="Longer prompts are left out and counted [tokens]."
    )


class Advantage(Section):
    """A_i = (r_i - mean) / (std + eps) over a group (arXiv 2402.03300); a tie's is 0."""

    scale: Literal["group", "none"] = Field(
        default="group", description="Divide by the group's standard deviation, or do not."
    )
    std_ddof: Literal[0, 1] = Field(
        default=0,
        description="0: population std, ±1 for a mixed pair as in the paper; 1: as TRL and verl.",
    )
    eps: float = Field(default=0.0, ge=0, le=1, description="Added to the standard deviation.")
    tie_margin: float = Field(
        default=0.0, ge=0, description="A group whose rewards differ by no more than this is a tie."
    )


class Algorithm(Section):
    """k-GRPO: how completions are grouped, compared and turned into a loss."""

    group_size: int = Field(default=2, ge=2, le=1024, description="Completions a prompt.")
    prompts_per_step: int = Field(
        default=256, ge=1, le=65536, description="Prompts in one step's batch."
    )
    minibatches: int = Field(
        default=1, ge=1, description="Updates a step; the step's prompts are split among them."
    )
    advantage: Advantage = Field(default=Advantage(), description="How rewards become advantages.")
    denominator: Literal["all", "contrasting"] = Field(
        default="all",
        description="Completions the loss is averaged over: all of the minibatch, or only those of "
        "groups that are not ties.",
    )
    clip_low: float = Field(
        default=0.2, gt=0, lt=1, description="The ratio is clipped below 1 - clip_low."
    )
    clip_high: float = Field(default=0.28, gt=0, le=10, description="and above 1 + clip_high.")

    @model_validator(mode="after")
    def _enough_prompts(self) -> Self:
        if self.minibatches > self.prompts_per_step:
            raise ValueError(
                f"{self.minibatches} minibatches need at least as many prompts_per_step, "
                f"not {self.prompts_per_step}"
            )
        return self


class Optimizer(Section):
    """AdamW with a constant learning rate after a linear warm-up."""

    name: Literal["adamw"] = Field(default="adamw", description="Betas 0.9 and 0.999.")
    learning_rate: float = Field(default=8.0e-6, gt=0, le=1, description="Peak learning rate.")
    warmup_steps: int = Field(default=10, ge=0, description="Updates of linear warm-up.")
    schedule: Literal["constant"] = Field(
        default="constant", description="The learning rate after the warm-up."
    )
    max_grad_norm: float = Field(
        default=1.0, gt=0, description="Gradients are clipped to this 2-norm."
    )
    weight_decay: float = Field(default=0.0, ge=0, le=1, description="Decoupled weight decay.")


class Rollout(Section):
    """How training completions are sampled."""

    engine: Literal["auto", "vllm", "transformers"] = Field(
        default="auto", description="auto is vllm where it is installed, else transformers."
    )
    temperature: float = Field(
        default=1.0,
        ge=0.01,  # vLLM raises what is lower to this, and refuses what is above 2
        le=2,
        description="The policy's logits are divided by it as well.",
    )
    top_p: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Must be 1 in training: below it the sampler is not the policy.",
    )
    max_tokens: int = Field(default=1024, ge=1, description="Longest completion [tokens].")
    gpu_memory_fraction: float = Field(
        default=0.4, gt=0, lt=1, description="Share of a GPU's memory that the engine takes."
    )

    @field_validator("top_p")
    @classmethod
    def _whole_distribution(cls, top_p: float) -> float:
        if top_p < 1:
            raise ValueError(
                "must be 1 in training: below it the sampler's distribution is not the policy's "
                "and the ratio is biased; evaluation.top_p is free"
            )
        return top_p


class Evaluation(Section):
    """How held-out accuracy is measured: before, during and after training."""

    every_steps: int = Field(default=10, ge=1, description="Steps between evaluations.")
    samples: int = Field(default=4, ge=1, le=1024, description="Completions a held-out prompt.")
    temperature: float = Field(default=0.7, ge=0, le=2, description="0: greedy.")
    top_p: float = Field(
        default=0.8, gt=0, le=1, description="Share of the probability mass sampled from."
    )
    top_k: int = Field(default=20, ge=0, description="Tokens sampled from; 0: no limit.")
    limit: int = Field(default=512, ge=1, description="Held-out prompts used, from the first.")


class Checkpoints(Section):
    """When the run is saved; it always is at its end."""

    every_steps: int = Field(default=50, ge=1, description="Steps between checkpoints.")


class Budget(Section):
    """When training ends: whichever comes first."""

    epochs: float = Field(default=10, gt=0, description="Passes over the training prompts.")
    max_steps: int | None = Field(default=None, ge=1, description="Steps at most.")


Queue = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]


class Resources(Section):
    """What the job needs of a worker, and its place in the queue."""

    queue: Queue = Field(default="default", description="Only workers of this queue take the job.")
    gpus: Literal["auto", 0, 1] = Field(
        default="auto", description="auto: 0 on a machine without GPUs, else 1."
    )
    priority: int = Field(default=0, ge=-100, le=100, description="Higher runs first.")
    max_failures: int = Field(
        default=3, ge=1, le=100, description="Lost or crashed attempts in a row that end the job."
    )
