"""The algorithm section of a job spec: groups, advantages, ties, loss."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from grpo.values.section import LARGEST, MOST, Section

LossName = Literal["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "gspo"]
RatioLevel = Literal["token", "sequence"]

# CISPO clips the ratio itself, from above only: the value is ScaleRL's (arXiv 2510.13786), since
# CISPO's paper (arXiv 2506.13585) gives none.  The bounds of a sequence ratio are GSPO's (arXiv
# 2507.18071, section 5.1).
CISPO_CLIP = {"clip_high": 5.0}
SEQUENCE_CLIP = {"clip_low": 3e-4, "clip_high": 4e-4}


class Advantage(Section):
    """A_i = (r_i - mean) / (std + eps) over a group (arXiv 2402.03300), 0 for a tie; or r_i - b_i
    with a baseline from more than the group."""

    baseline: Literal["pair", "shrunk", "memory"] = Field(
        default="pair",
        description="What a reward is compared with.  pair: the group's mean, and with two "
        "completions the partner; shrunk: the siblings' mean, drawn towards the other groups' "
        "(arXiv 2511.03710); memory: the siblings and the prompt's rewards in earlier epochs (SPO, "
        "arXiv 2509.13232).  With shrunk and memory ties carry a gradient too.",
    )

    aggregation: Literal["sum_then_normalize", "normalize_then_sum"] = Field(
        default="sum_then_normalize",
        description="Comparison of several rewards.  sum_then_normalize: their weighted sum is "
        "compared; normalize_then_sum: each is divided by its own deviation in the group before "
        "they are summed by weight, so that none drowns the others (GDPO); scale is then batch or "
        "none.",
    )
    scale: Literal["group", "batch", "none"] = Field(
        default="group",
        description="Scale of advantages: the group's standard deviation, the standard deviation "
        "of all the step's rewards, or none.  The mean is always the group's.",
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
        description="Largest difference of rewards within a group that still counts as a tie.",
    )

    @model_validator(mode="before")
    @classmethod
    def _scale_of_the_baseline(cls, written: Any) -> Any:  # noqa: ANN401 - unchecked input
        """Fill in the usual scale of comparisons where it is not the group's."""
        if isinstance(written, dict) and written.get("baseline") in ("shrunk", "memory"):
            return {"scale": "none", **written}
        if isinstance(written, dict) and written.get("aggregation") == "normalize_then_sum":
            return {"scale": "batch", **written}
        return written

    @model_validator(mode="after")
    def _defined(self) -> Self:
        if self.baseline != "pair" and self.scale != "none":
            raise ValueError(
                f"scale {self.scale} is not defined with baseline {self.baseline}, where groups "
                "without a deviation carry a gradient: set scale to none"
            )
        if self.aggregation == "normalize_then_sum":
            if self.baseline != "pair":
                raise ValueError(
                    "aggregation normalize_then_sum divides by the group's deviations, which "
                    f"baseline {self.baseline} does not use: set baseline to pair"
                )
            if self.scale == "group":
                raise ValueError(
                    "scale group would divide the sum by its own deviation again, and make every "
                    "pair ±1: set scale to batch or none with aggregation normalize_then_sum"
                )
        if self.baseline != "pair" and self.tie_margin > 0:
            raise ValueError(
                f"tie_margin has no effect with baseline {self.baseline}: leave it at 0"
            )
        return self


class Ties(Section):
    """Handling of ties: groups with equal rewards, which carry no gradient."""

    policy: Literal["drop", "keep", "resample", "grow"] = Field(
        default="drop",
        description="Handling of ties.  drop: not computed, but counted in the "
        "loss's denominator; keep: computed anyway (for the KL term); resample: replaced with a "
        "group of another prompt; grow: extended by two completions at a time.",
    )
    resample_budget: int | None = Field(
        default=None,
        ge=2,
        le=MOST,
        description="resample: maximum number of completions per step; null: 16 x "
        "prompts_per_step, as many as 16-GRPO draws.",
    )
    grow_limit: int = Field(
        default=16, ge=3, le=1024, description="grow: maximum number of completions per prompt."
    )


class Kl(Section):
    """KL penalty towards a reference policy, which is loaded only when beta > 0."""

    beta: float = Field(default=0.0, ge=0, le=100, description="Weight of the KL term; 0: off.")
    estimator: Literal["k1", "k2", "k3"] = Field(
        default="k3",
        description="Estimator of KL(policy, reference) per token, with d = reference logprob - "
        "policy logprob: k1 = -d, k2 = d²/2, k3 = exp(d) - d - 1 (never negative).",
    )
    where: Literal["loss", "reward"] = Field(
        default="loss",
        description="loss: added to the loss of each token; reward: summed over the completion's "
        "tokens and subtracted from the reward.",
    )
    sync_every_steps: int | None = Field(
        default=None,
        ge=1,
        le=MOST,
        description="Number of steps between copies of the policy to the reference; null: the "
        "reference stays the initial policy.",
    )


class SamplerCorrection(Section):
    """Importance weights exp(policy - sampler logprob) that correct for engine-trainer mismatch."""

    level: RatioLevel = Field(
        default="token", description="One weight per token, or one per completion (their product)."
    )
    mode: Literal["auto", "none", "truncate", "mask"] = Field(
        default="truncate",
        description="Weights outside the bounds: truncate sets them to the bound (TIS), mask to 0; "
        "none: no weights; auto: truncate where the precision is not float32, else none.",
    )
    clip_min: float | None = Field(
        default=None, gt=0, le=LARGEST, description="Lower bound; null: no bound."
    )
    clip_max: float = Field(default=3.0, gt=0, le=LARGEST, description="Upper bound.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.clip_min is not None and self.clip_min > self.clip_max:
            raise ValueError(f"clip_min {self.clip_min} is above clip_max {self.clip_max}")
        return self


class Overlong(Section):
    """DAPO's soft penalty for long completions (arXiv 2503.14476, eq. 13)."""

    buffer_tokens: int = Field(
        default=256,
        ge=1,
        le=MOST,
        description="Number of tokens before max_tokens over which the penalty grows to `penalty`.",
    )
    penalty: float = Field(
        default=1.0,
        gt=0,
        le=LARGEST,
        description="Amount subtracted from the reward at max_tokens.",
    )


class Algorithm(Section):
    """k-GRPO: how completions are grouped, compared and turned into a loss."""

    group_size: int = Field(default=2, ge=2, le=1024, description="Completions per prompt.")
    prompts_per_step: int = Field(default=256, ge=1, le=65536, description="Prompts per step.")
    minibatches: int = Field(
        default=1,
        ge=1,
        le=65536,
        description="Number of minibatches per step, with one update each.",
    )
    epochs_per_batch: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Passes over a step's batch; ratios are against the policy before the first.",
    )
    advantage: Advantage = Field(
        default=Advantage(), description="Computation of advantages from rewards."
    )
    ties: Ties = Field(default=Ties(), description="Handling of groups without a contrast.")
    loss: LossName = Field(
        default="grpo",
        description="Weighting of tokens: grpo and gspo average over each completion, then over "
        "the completions; bnpo averages over the minibatch's tokens; dapo and cispo over the "
        "step's; dr_grpo divides by max_tokens.  cispo uses the clipped ratio as a constant "
        "weight, gspo the sequence's ratio.",
    )
    ratio: RatioLevel = Field(
        default="token",
        description="Level of the importance ratio: token, or sequence (the geometric mean of a "
        "completion's token ratios).  gspo always uses sequence.",
    )
    denominator: Literal["all", "contrasting"] = Field(
        default="all",
        description="Groups over which the loss is averaged: all, or only those that are not "
        "ties.  At most half of all pairs are not ties, so this changes the size of a step.",
    )
    clip_low: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="The ratio is clipped below 1 - clip_low.  Default with sequence ratios: "
        "3e-4.  cispo has no lower bound.",
    )
    clip_high: float = Field(
        default=0.28,
        gt=0,
        le=10,
        description="The ratio is clipped above 1 + clip_high; for cispo above clip_high itself.  "
        "Default for cispo: 5; with sequence ratios: 4e-4.",
    )
    delta: float | None = Field(
        default=None,
        gt=1,
        le=LARGEST,
        description="Two-sided clip: upper bound of the ratio also where A < 0 (INTELLECT-2, arXiv "
        "2505.07291); null: no bound.",
    )
    kl: Kl = Field(default=Kl(), description="KL penalty towards a reference policy.")
    sampler_correction: SamplerCorrection = Field(
        default=SamplerCorrection(mode="auto"),
        description="Correction for an engine that rounds differently; null: mode none.",
    )
    truncated: Literal["keep", "mask", "shape"] = Field(
        default="keep",
        description="Completions cut off at max_tokens.  keep: trained on unchanged; mask: left "
        "out of the loss; shape: penalized as they approach max_tokens (see overlong).",
    )
    overlong: Overlong = Field(default=Overlong(), description="Penalty of `truncated: shape`.")

    @property
    def ratio_level(self) -> RatioLevel:
        return "sequence" if self.loss == "gspo" else self.ratio

    @property
    def correction(self) -> SamplerCorrection | None:
        """The correction in use.  `auto` counts as none until an attempt resolves it; see
        `JobSpec.with_precision`."""
        is_on = self.sampler_correction.mode in ("truncate", "mask")
        return self.sampler_correction if is_on else None

    @property
    def resample_budget(self) -> int:
        """Maximum number of completions per step if ties are resampled."""
        return self.ties.resample_budget or 16 * self.prompts_per_step

    @property
    def prompts_per_update(self) -> float:
        return self.prompts_per_step / self.minibatches

    @model_validator(mode="before")
    @classmethod
    def _clip_of_the_loss(cls, written: Any) -> Any:  # noqa: ANN401 - unchecked input
        """Fill in the clip bounds of the loss's paper if they are not given."""
        if not isinstance(written, dict):
            return written
        if written.get("loss") == "cispo":
            return {**CISPO_CLIP, **written}
        if written.get("loss") == "gspo" or written.get("ratio") == "sequence":
            return {**SEQUENCE_CLIP, **written}
        return written

    @field_validator("sampler_correction", mode="before")
    @classmethod
    def _null_is_none(cls, written: Any) -> Any:  # noqa: ANN401 - whatever was written
        return {"mode": "none"} if written is None else written

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
                "the ratios that this clip leaves unbounded"
            )
        if self.delta is not None and self.loss == "cispo":
            raise ValueError("delta is not used by cispo, whose ratio is bounded by clip_high")
        return self

    @model_validator(mode="after")
    def _ties_to_replace(self) -> Self:
        if self.advantage.baseline != "pair" and self.ties.policy in ("resample", "grow"):
            raise ValueError(
                f"ties.policy {self.ties.policy} needs advantage.baseline pair: with "
                f"{self.advantage.baseline} a tie carries a gradient, so it is not replaced; set "
                "ties.policy to drop, which leaves out only groups without a gradient"
            )
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
