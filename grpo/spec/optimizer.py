"""The optimizer section of a job spec."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from grpo.values.section import MOST, Section

# An adapter initially has no effect and has few weights: at the same learning rate it learns
# several times more slowly (measured in docs/trainer.md).
LORA_FACTOR = 10

# Of bitsandbytes' AdamW in 8 bits: each block of so many numbers has a scale for each moment.
BLOCK_NUMBERS = 256


class LearningRateReference(Section):
    """A learning rate known to be good for a number of prompts per update."""

    learning_rate: float = Field(
        default=1.0e-6, gt=0, le=1, description="The paper's rate for 16-GRPO."
    )
    prompts_per_update: int = Field(
        default=32, ge=1, le=MOST, description="Prompts per update of that rate."
    )


class Optimizer(Section):
    """AdamW with a linear warm-up."""

    name: Literal["adamw", "adamw_fused", "adamw_8bit"] = Field(
        default="adamw",
        description="AdamW (betas 0.9 and 0.999); adamw_fused: one kernel for all weights, as "
        "adamw is on a GPU; adamw_8bit: state in 8 bits (bitsandbytes, GPUs only).",
    )
    offload: bool = Field(
        default=False,
        description="Keep the state of adamw and adamw_fused in the host's memory and move it to "
        "the GPU for each update, a layer at a time: 8 bytes less on the GPU for each trained "
        "weight, slower updates, and the same results bit for bit.",
    )
    learning_rate: Annotated[float, Field(gt=0, le=1)] | Literal["auto"] = Field(
        default="auto",
        description="Peak learning rate; auto: the reference rate scaled linearly with the prompts "
        "per update, times ten for model.lora.",
    )
    reference: LearningRateReference = Field(
        default=LearningRateReference(),
        description="Reference for `learning_rate: auto`: a rate for training all weights.",
    )
    warmup_steps: int = Field(
        default=10, ge=0, le=MOST, description="Number of updates of linear warm-up."
    )
    schedule: Literal["constant", "linear", "cosine"] = Field(
        default="constant",
        description="Learning rate after the warm-up: constant, or decaying to 0 at the end.",
    )
    max_grad_norm: float = Field(
        default=1.0, gt=0, le=1e12, description="Gradients are clipped to this 2-norm."
    )
    weight_decay: float = Field(default=0.0, ge=0, le=1, description="Decoupled weight decay.")

    @model_validator(mode="after")
    def _offloads_what_it_can(self) -> Self:
        if self.offload and self.name == "adamw_8bit":
            raise ValueError("offload cannot be used with adamw_8bit: choose one of them")
        return self

    def state_bytes(self, *, num_weights: int, num_embeddings: int) -> int:
        """Return the bytes of two moments of each trained weight on the trainer's device.

        `num_embeddings`: those of the weights that are in embeddings, whose state stays in 32 bits.
        """
        if self.offload:
            return 0
        if self.name != "adamw_8bit":
            return 8 * num_weights
        in_8_bits = num_weights - num_embeddings
        return 8 * num_embeddings + 2 * in_8_bits + 8 * in_8_bits // BLOCK_NUMBERS

    def peak(self, prompts_per_update: float, *, lora: bool = False) -> float:
        """Return the learning rate after the warm-up, for a number of prompts per update.

        `lora`: an adapter is trained instead of all weights.
        """
        if self.learning_rate != "auto":
            return self.learning_rate
        share = prompts_per_update / self.reference.prompts_per_update
        return self.reference.learning_rate * share * (LORA_FACTOR if lora else 1)
