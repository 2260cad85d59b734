"""The part of a job spec that says which weights are trained."""

from typing import Annotated, Literal

from pydantic import Field

from grpo.values.section import LARGEST, MAX_NAME, Section

LayerName = Annotated[str, Field(max_length=MAX_NAME)]


class Lora(Section):
    """Low-rank adapters beside frozen weights (arXiv 2106.09685), through peft."""

    rank: int = Field(default=16, ge=1, le=1024, description="Rank of each adapter's update.")
    alpha: float = Field(
        default=32.0, gt=0, le=LARGEST, description="The update is scaled by alpha / rank."
    )
    targets: Literal["all-linear"] | Annotated[list[LayerName], Field(max_length=1000)] = Field(
        default="all-linear",
        min_length=1,
        description="Which layers get an adapter: all linear ones but the head, or those whose "
        "names end so, for instance [q_proj, v_proj].",
    )


class Model(Section):
    """Where the policy starts."""

    source: str = Field(
        default="tiny-arithmetic",
        min_length=1,
        max_length=400,
        description="A catalogue name, a model folder's path, a hub id, or a checkpoint id.",
    )
    revision: str | None = Field(
        default=None,
        max_length=200,
        pattern=r"^[\w-]+([./][\w-]+)*$",  # the hub's client makes a path of it
        description="Branch, tag or commit of a hub model.",
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="What the policy and the engine compute in: auto is float32 without a GPU and "
        "bfloat16 with one.  The optimizer's weights are always float32.",
    )
    lora: Lora | None = Field(
        default=None, description="Train adapters instead of all weights; none: all weights."
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="Compute activations again in the backward pass: less memory, a third slower.",
    )
