"""The shape of a causal language model, read from its config without torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grpo.estimate.families import FAMILIES, OTHER, Family

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
    """A decoder of equal layers: attention and an MLP, with their norms."""

    family: Family
    hidden: int
    intermediate: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_width: int
    vocabulary: int
    tied: bool  # the head is the embedding
    query_bias: bool
    output_bias: bool
    mlp_bias: bool
    activation: str

    @property
    def query_width(self) -> int:
        return self.num_heads * self.head_width

    @property
    def kv_width(self) -> int:
        return self.num_kv_heads * self.head_width

    @property
    def linears(self) -> tuple[Linear, ...]:
        """The linear maps of one layer."""
        family, hidden, inner = self.family, self.hidden, self.intermediate
        return (
            *_maps(
                family.queries, hidden, (self.query_width, *[self.kv_width] * 2), self.query_bias
            ),
            Linear(family.output, self.query_width, hidden, self.output_bias),
            *_maps(family.up, hidden, (inner,) * (1 + family.gated), self.mlp_bias),
            Linear(family.down, inner, hidden, self.mlp_bias),
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
        embeddings = (1 if self.tied else 2) * self.num_embedding_parameters
        head_bias = self.family.head_bias * self.vocabulary
        return embeddings + head_bias + self.num_linear_parameters + self._num_norm_parameters

    @property
    def _num_norm_parameters(self) -> int:
        a_number = 2 if self.family.norm == "layer" else 1  # a bias beside the weight
        norms = (self.num_layers * self.family.num_norms + 1) * self.hidden * a_number
        match self.family.head_norms:
            case "each":
                return norms + self.num_layers * 2 * self.head_width
            case "all":
                return norms + self.num_layers * (self.query_width + self.kv_width)
            case None:
                return norms


def _maps(
    names: Sequence[str], inputs: int, outputs: Sequence[int], bias: bool
) -> Iterator[Linear]:
    """Yield a linear map for each name; one name: one map with all outputs."""
    widths = outputs if len(names) == len(outputs) else [sum(outputs)]
    for name, width in zip(names, widths, strict=True):
        yield Linear(name, inputs, width, bias)


def read_architecture(config: Mapping[str, Any]) -> Architecture:
    """Read the shape from a model's config.json.

    Exact for the families of `grpo.estimate.families`; others are assumed to be of Llama's kind.

    Raises:
        ValueError: a size is missing, or the model is a mixture of experts.
    """
    config = config.get("text_config") or config
    if any((config.get(name) or 0) > 1 for name in EXPERTS):
        raise ValueError("the memory of a mixture of experts is not estimated")
    kind = str(config.get("model_type", ""))
    family = FAMILIES.get(kind, OTHER)
    hidden, heads = _size(config, "hidden_size"), _size(config, "num_attention_heads")
    return Architecture(
        family=family,
        hidden=hidden,
        intermediate=_optional(config, "intermediate_size") or 4 * hidden,
        num_layers=_size(config, "num_hidden_layers"),
        num_heads=heads,
        num_kv_heads=heads
        if kind == "gpt_neox"
        else _optional(config, "num_key_value_heads") or heads,
        head_width=_optional(config, "head_dim") or hidden // heads,
        vocabulary=_size(config, "vocab_size"),
        # Defaults of the families whose config leaves it out.
        tied=bool(
            config.get("tie_word_embeddings", family.tied or kind.startswith(("gemma", "gpt2")))
        ),
        query_bias=family.query_bias.read(config),
        output_bias=family.output_bias.read(config),
        mlp_bias=family.mlp_bias.read(config),
        activation=str(config.get("hidden_act") or family.activation),
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
