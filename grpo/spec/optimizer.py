"""The part of a job spec that says how the weights move."""

from typing import Annotated, Literal

from pydantic import Field

from grpo.values.section import MOST, Section

# An adapter's weights start at no effect and have a small share of the model's: of the same rate
# they learn several times more slowly (measured in docs/trainer.md).
LORA_FACTOR = 10


class LearningRateReference(Section):
    """A rate that is known to be good for a number of prompts an update."""

    learning_rate: float = Field(default=1.0e-6, gt=0, le=1, description="The paper's for 16-GRPO.")
    prompts_per_update: int = Field(default=32, ge=1, le=MOST, description="Of that rate.")


class Optimizer(Section):
    """AdamW with a linear warm-up."""

    name: Literal["adamw", "adamw_fused", "adamw_8bit"] = Field(
        default="adamw",
        description="AdamW (betas 0.9 and 0.999); fused: one kernel for all weights; 8bit: its "
        "state in 8 bits (bitsandbytes, GPUs only).",
    )
    learning_rate: Annotated[float, Field(gt=0, le=1)] | Literal["auto"] = Field(
        default="auto",
        description="Peak learning rate; auto: the reference's, scaled linearly with the prompts "
        "of an update, and ten times that for model.lora.",
    )
    reference: LearningRateReference = Field(
        default=LearningRateReference(),
        description="What learning_rate: auto scales from: a rate for all weights.",
    )
    warmup_steps: int = Field(default=10, ge=0, le=MOST, description="Updates of linear warm-up.")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        default="constant",
        description="The learning rate after the warm-up: as it is, or falling to 0 at the end.",
    )
    max_grad_norm: float = Field(
        default=1.0, gt=0, le=1e12, description="Gradients are clipped to this 2-norm."
    )
    weight_decay: float = Field(default=0.0, ge=0, le=1, description="Decoupled weight decay.")

    def peak(self, prompts_per_update: float, *, lora: bool = False) -> float:
        """The learning rate after the warm-up, for an update over so many prompts.

        `lora`: an adapter is trained instead of all weights.
        """
        if self.learning_rate != "auto":
            return self.learning_rate
        share = prompts_per_update / self.reference.prompts_per_update
        return self.reference.learning_rate * share * (LORA_FACTOR if lora else 1)
