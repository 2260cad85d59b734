"""The model section of a job spec: the weights that are trained."""

from typing import Annotated, Literal

from pydantic import Field

from grpo.values.field_errors import matching
from grpo.values.section import LARGEST, MAX_NAME, Section

MAX_CONTEXT = 1 << 22  # engines keep a table with a row for each position

Dtype = Literal["float32", "bfloat16", "float16"]
LayerName = Annotated[str, Field(max_length=MAX_NAME)]


class Lora(Section):
    """Low-rank adapters on frozen weights (arXiv 2106.09685), with peft."""

    rank: int = Field(default=16, ge=1, le=1024, description="Rank of each adapter.")
    alpha: float = Field(
        default=32.0, gt=0, le=LARGEST, description="The update is scaled by alpha / rank."
    )
    base_4bit: bool = Field(
        default=False,
        description="Keep the frozen linear layers in 4 bits (QLoRA, arXiv 2305.14314: NF4 with "
        "double quantization, by bitsandbytes); the engine gets the same rounded weights.",
    )
    targets: Literal["all-linear"] | Annotated[list[LayerName], Field(max_length=1000)] = Field(
        default="all-linear",
        min_length=1,
        description="Layers that get an adapter: all linear layers but the head, or a list of name "
        "suffixes such as [q_proj, v_proj].",
    )


class Model(Section):
    """The policy's initial weights."""

    source: str = Field(
        default="tiny-arithmetic",
        min_length=1,
        max_length=400,
        description="Catalogue name, path of a model folder, hub id, or checkpoint id.",
    )
    revision: str | None = Field(
        default=None,
        max_length=200,
        pattern=matching(  # the hub client uses it in a path
            r"^[\w-]+([./][\w-]+)*$", "must be the name of a branch or tag, or a commit's hash"
        ),
        description="Branch, tag or commit of a hub model.",
    )
    context_tokens: int | None = Field(
        default=None,
        ge=2,
        le=MAX_CONTEXT,
        description="Longest prompt and completion together [tokens], in place of the number in "
        "the model's config; a model with rotary position embeddings may exceed the length it was "
        "trained on.  None: the config's.",
    )
    dtype: Literal["auto"] | Dtype = Field(
        default="auto",
        description="The precision of policy and engine: auto is float32 without a GPU and "
        "bfloat16 with one.  Trained weights and the optimizer's state are float32 in all.  In "
        "bfloat16 and float16 the policy computes under autocast, and the frozen weights under an "
        "adapter and the engine's are of that precision; float16 rounds eight times less and "
        "scales gradients.",
    )
    float32_head: bool = Field(
        default=False,
        description="Compute the policy's logits in float32 where its layers are in half "
        "precision; the engine's head stays in its own dtype.",
    )
    lora: Lora | None = Field(
        default=None, description="Train adapters instead of all weights; null: all weights."
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="Recompute activations in the backward pass: less memory, a third slower.",
    )
