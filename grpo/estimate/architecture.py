"""The shape of a causal language model, read from its config without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Older families use other names for these fields.
OTHER_NAMES = {
    "hidden_size": ("n_embd", "d_model"),
    "num_hidden_layers": ("n_layer", "num_layers"),
    "num_attention_heads": ("n_head", "num_heads"),
}
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")


@dataclass(frozen=True)
class Linear:
    """A layer's linear map, matched by the end of its name."""

    name: str
    inputs: int
    outputs: int
    bias: bool

    @property
    def num_parameters(self) -> int:
        return (self.inputs + self.bias) * self.outputs


@dataclass(frozen=True)
class Architecture:
    """A decoder of equal layers: attention and a gated MLP, each behind a norm."""

    hidden: int
    intermediate: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_width: int
    vocabulary: int
    tied: bool  # the head is the embedding
    head_norms: bool  # queries and keys are normed per head, as in Qwen3
    query_bias: bool
    output_bias: bool

    @property
    def query_width(self) -> int:
        return self.num_heads * self.head_width

    @property
    def kv_width(self) -> int:
        return self.num_kv_heads * self.head_width

    @property
    def linears(self) -> tuple[Linear, ...]:
        """The linear maps of one layer."""
        hidden, inner, kv = self.hidden, self.intermediate, self.kv_width
        return (
            Linear("q_proj", hidden, self.query_width, self.query_bias),
            Linear("k_proj", hidden, kv, self.query_bias),
            Linear("v_proj", hidden, kv, self.query_bias),
            Linear("o_proj", self.query_width, hidden, self.output_bias),
            Linear("gate_proj", hidden, inner, bias=False),
            Linear("up_proj", hidden, inner, bias=False),
            Linear("down_proj", inner, hidden, bias=False),
        )

    @property
    def num_embedding_parameters(self) -> int:
        """Parameters of the embedding; an untied head has as many."""
        return self.vocabulary * self.hidden

    @property
    def num_linear_parameters(self) -> int:
        """Parameters of all layers' linear maps."""
        return self.num_layers * sum(linear.num_parameters for linear in self.linears)

    @property
    def num_parameters(self) -> int:
        norms = self.num_layers * (2 * self.hidden + 2 * self.head_norms * self.head_width)
        embeddings = (1 if self.tied else 2) * self.num_embedding_parameters
        return embeddings + self.num_linear_parameters + norms + self.hidden


def read_architecture(config: Mapping[str, Any]) -> Architecture:
    """Read the shape from a model's config.json.

    Exact for Qwen2, Qwen3, Llama and Mistral; others are assumed to be of that kind.

    Raises:
        ValueError: a size is missing, or the model is a mixture of experts.
    """
    config = config.get("text_config") or config
    if any((config.get(name) or 0) > 1 for name in EXPERTS):
        raise ValueError("the memory of a mixture of experts is not estimated")
    kind = str(config.get("model_type", ""))
    hidden, heads = _size(config, "hidden_size"), _size(config, "num_attention_heads")
    return Architecture(
        hidden=hidden,
        intermediate=_optional(config, "intermediate_size") or 4 * hidden,
        num_layers=_size(config, "num_hidden_layers"),
        num_heads=heads,
        num_kv_heads=_optional(config, "num_key_value_heads") or heads,
        head_width=_optional(config, "head_dim") or hidden // heads,
        vocabulary=_size(config, "vocab_size"),
        # Default of the families whose configs omit it.
        tied=bool(config.get("tie_word_embeddings", kind.startswith(("gemma", "gpt2")))),
        head_norms=kind.startswith("qwen3"),
        query_bias=kind == "qwen2" or bool(config.get("attention_bias")),
        output_bias=bool(config.get("attention_bias")),
    )


def _size(config: Mapping[str, Any], name: str) -> int:
    for written in (name, *OTHER_NAMES.get(name, ())):
        if config.get(written):
            return int(config[written])
    raise ValueError(f"the model's config has no {name}")


def _optional(config: Mapping[str, Any], name: str) -> int | None:
    """Return an optional size as an int; a string or list, once multiplied, could take all
    memory."""
    return int(config[name]) if config.get(name) else None
