"""The part of a job spec that is k-GRPO itself: groups, advantages, ties, loss."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from grpo.values.section import LARGEST, MOST, Section

LossName = Literal["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "gspo"]
RatioLevel = Literal["token", "sequence"]

# The clip of cispo bounds the ratio itself, from above only: the value is ScaleRL's (arXiv
# 2510.13786), since its own paper (arXiv 2506.13585) gives none.  Those of a sequence's ratio are
# GSPO's (arXiv 2507.18071, section 5.1).
CISPO_CLIP = {"clip_high": 5.0}
SEQUENCE_CLIP = {"clip_low": 3e-4, "clip_high": 4e-4}


class Advantage(Section):
    """A_i = (r_i - mean) / (std + eps) over a group (arXiv 2402.03300); a tie's is 0."""

    scale: Literal["group", "batch", "none"] = Field(
        default="group",
        description="Divide by the group's standard deviation, by that of all the step's rewards, "
        "or do not.  The mean is always the group's.",
    )
    std_ddof: Literal[0, 1] = Field(
        default=0,
        description="0: population std, ±1 for a mixed pair as in the paper; 1: as TRL and verl.",
    )
    eps: float = Field(default=0.0, ge=0, le=1, description="Added to the standard deviation.")
    tie_margin: float = Field(
        default=0.0,
        ge=0,
        le=LARGEST,
        description="A group whose rewards differ by no more than this is a tie.",
    )


class Ties(Section):
    """The handling of groups whose rewards are equal, which carry no gradient."""

    policy: Literal["drop", "keep", "resample", "grow"] = Field(
        default="drop",
        description="drop: not computed, its completions stay in the loss's denominator; keep: "
        "computed all the same (for the KL term); resample: replaced by a group of a new prompt; "
        "grow: two more completions at a time.",
    )
    resample_budget: int | None = Field(
        default=None,
        ge=2,
        le=MOST,
        description="resample: completions a step at most; none: 16 x prompts_per_step, what "
        "16-GRPO draws.",
    )
    grow_limit: int = Field(
        default=16, ge=3, le=1024, description="grow: completions a prompt at most."
    )


class Kl(Section):
    """A pull towards a reference policy, which is loaded only when beta > 0."""

    beta: float = Field(default=0.0, ge=0, le=100, description="Weight of the KL term; 0: none.")
    estimator: Literal["k1", "k2", "k3"] = Field(
        default="k3",
        description="Of KL(policy, reference) a token, with d = reference - policy logprob: "
        "k1 = -d, k2 = d²/2, k3 = exp(d) - d - 1 (never negative).",
    )
    where: Literal["loss", "reward"] = Field(
        default="loss",
        description="Added to the loss of each token, or taken off the reward, summed over a "
        "completion's tokens.",
    )
    sync_every_steps: int | None = Field(
        default=None,
        ge=1,
        le=MOST,
        description="Steps after which the reference becomes the policy; none: it stays what the "
        "policy started from.",
    )


class SamplerCorrection(Section):
    """Importance weights exp(policy - sampler logprob), where engine and trainer differ."""

    level: RatioLevel = Field(
        default="token", description="One weight a token, or one a completion (their product)."
    )
    mode: Literal["truncate", "mask"] = Field(
        default="truncate",
        description="Weights beyond the bounds become the bound (TIS), or 0.",
    )
    clip_min: float | None = Field(
        default=None, gt=0, le=LARGEST, description="Lower bound; none: no bound."
    )
    clip_max: float = Field(default=3.0, gt=0, le=LARGEST, description="Upper bound.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.clip_min is not None and self.clip_min > self.clip_max:
            raise ValueError(f"clip_min {self.clip_min} is above clip_max {self.clip_max}")
        return self


class Overlong(Section):
    """DAPO's soft penalty of long completions (arXiv 2503.14476, eq. 13)."""

    buffer_tokens: int = Field(
        default=256,
        ge=1,
        le=MOST,
        description="The penalty grows from 0 to `penalty` over the last so many tokens.",
    )
    penalty: float = Field(
        default=1.0, gt=0, le=LARGEST, description="Taken off the reward at max_tokens."
    )


class Algorithm(Section):
    """k-GRPO: how completions are grouped, compared and turned into a loss."""

    group_size: int = Field(default=2, ge=2, le=1024, description="Completions a prompt.")
    prompts_per_step: int = Field(
        default=256, ge=1, le=65536, description="Prompts in one step's batch."
    )
    minibatches: int = Field(
        default=1,
        ge=1,
        le=65536,
        description="The step's prompts are split into so many, an update each.",
    )
    epochs_per_batch: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Passes over a step's batch; ratios are against the policy before the first.",
    )
    advantage: Advantage = Field(default=Advantage(), description="How rewards become advantages.")
    ties: Ties = Field(default=Ties(), description="What happens to groups without a contrast.")
    loss: LossName = Field(
        default="grpo",
        description="How tokens are weighted: grpo and gspo average each completion, then the "
        "completions; bnpo averages the minibatch's tokens; dapo and cispo the step's; dr_grpo "
        "divides by max_tokens.  cispo clips the ratio as a constant weight, gspo takes the "
        "sequence's ratio.",
    )
    ratio: RatioLevel = Field(
        default="token",
        description="The importance ratio of each token, or of the completion (the geometric mean "
        "of its tokens' ratios).  gspo is always the latter.",
    )
    denominator: Literal["all", "contrasting"] = Field(
        default="all",
        description="What the loss is averaged over: all of the batch, or only groups that are not "
        "ties.  With pairs at most half are not, so this changes the size of a step.",
    )
    clip_low: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="The ratio is clipped below 1 - clip_low.  Unless given, 3e-4 where a ratio is "
        "a completion's; cispo has no lower bound.",
    )
    clip_high: float = Field(
        default=0.28,
        gt=0,
        le=10,
        description="and above 1 + clip_high; for cispo at clip_high itself.  Unless given, 5 for "
        "cispo, and 4e-4 where a ratio is a completion's.",
    )
    delta: float | None = Field(
        default=None,
        gt=1,
        le=LARGEST,
        description="Two-sided clip: the ratio is at most this even where A < 0 (INTELLECT-2, "
        "arXiv 2505.07291); none: no bound.",
    )
    kl: Kl = Field(default=Kl(), description="The pull towards a reference policy.")
    sampler_correction: SamplerCorrection | None = Field(
        default=None, description="Correct for an engine that rounds otherwise; none: do not."
    )
    truncated: Literal["keep", "mask", "shape"] = Field(
        default="keep",
        description="Completions cut off at max_tokens: learnt from as they are, left out of the "
        "loss, or penalised as they come near it (see overlong).",
    )
    overlong: Overlong = Field(default=Overlong(), description="The penalty of truncated: shape.")

    @property
    def ratio_level(self) -> RatioLevel:
        return "sequence" if self.loss == "gspo" else self.ratio

    @property
    def resample_budget(self) -> int:
        """Completions a step at most, where ties are resampled."""
        return self.ties.resample_budget or 16 * self.prompts_per_step

    @property
    def prompts_per_update(self) -> float:
        return self.prompts_per_step / self.minibatches

    @model_validator(mode="before")
    @classmethod
    def _clip_of_the_loss(cls, written: Any) -> Any:  # noqa: ANN401 - whatever was written
        """A loss has the clip bounds of its own paper, unless they are given."""
        if not isinstance(written, dict):
            return written
        if written.get("loss") == "cispo":
            return {**CISPO_CLIP, **written}
        if written.get("loss") == "gspo" or written.get("ratio") == "sequence":
            return {**SEQUENCE_CLIP, **written}
        return written

    @model_validator(mode="after")
    def _enough_prompts(self) -> Self:
        if self.minibatches > self.prompts_per_step:
            raise ValueError(
                f"{self.minibatches} minibatches need at least as many prompts_per_step, "
                f"not {self.prompts_per_step}"
            )
        return self

    @model_validator(mode="after")
    def _delta_beyond_the_clip(self) -> Self:
        if self.delta is not None and self.delta <= 1 + self.clip_high:
            raise ValueError(
                f"delta {self.delta} must be above 1 + clip_high, {1 + self.clip_high}: it bounds "
                "what that clip leaves unbounded"
            )
        if self.delta is not None and self.loss == "cispo":
            raise ValueError("delta has no meaning for cispo, whose ratio is bounded by clip_high")
        return self

    @model_validator(mode="after")
    def _room_for_more_completions(self) -> Self:
        if self.ties.policy == "grow" and self.ties.grow_limit <= self.group_size:
            raise ValueError(
                f"ties.grow_limit {self.ties.grow_limit} must be above group_size "
                f"{self.group_size} for a group to grow"
            )
        first = self.prompts_per_step * self.group_size
        if self.ties.policy == "resample" and self.resample_budget < first:
            raise ValueError(
                f"ties.resample_budget {self.resample_budget} must be at least "
                f"prompts_per_step x group_size, {first}"
            )
        return self
