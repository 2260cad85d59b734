"""Memory that autograd saves for the backward pass, counted tensor by tensor.

Counted for models of the Qwen2 and Llama kind with sdpa, which keeps one normalizer per row and
never the L x L matrix.  Under bfloat16 autocast the residual stream and the norms stay in float32,
and every linear layer keeps its own copy of its input and of its weights, unless these are frozen.
"""

from dataclasses import dataclass

from grpo.estimate.architecture import Architecture, Linear
from grpo.spec.model import Lora

FLOAT32, BFLOAT16 = 4, 2  # bytes
READ_FROM_NORM = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


@dataclass(frozen=True)
class Training:
    """The trained part of an architecture, and its compute settings."""

    architecture: Architecture
    lora: Lora | None
    checkpointing: bool
    bytes_a_number: int  # 4, or 2 under autocast

    @property
    def adapted(self) -> tuple[Linear, ...]:
        """The linear maps of one layer that have an adapter."""
        if self.lora is None:
            return ()
        targets = self.lora.targets
        return tuple(
            linear
            for linear in self.architecture.linears
            if targets == "all-linear" or linear.name in targets
        )

    @property
    def num_adapter_parameters(self) -> int:
        rank = self.lora.rank if self.lora else 0
        of_a_layer = sum(rank * (linear.inputs + linear.outputs) for linear in self.adapted)
        return self.architecture.num_layers * of_a_layer

    @property
    def num_trained_parameters(self) -> int:
        if self.lora is not None:
            return self.num_adapter_parameters
        return self.architecture.num_parameters

    def keeps_input(self, name: str) -> bool:
        """Whether a linear map's input is kept: for the gradient of its weights or adapter."""
        return self.lora is None or name in {linear.name for linear in self.adapted}


def saved_bytes(training: Training, num_tokens: int) -> int:
    """Return the bytes kept by a forward pass over `num_tokens`, without the head's logits."""
    shape = training.architecture
    of_a_layer = shape.hidden * FLOAT32 if training.checkpointing else _layer_token_bytes(training)
    of_a_token = shape.num_layers * of_a_layer + _end_token_bytes(training)
    return num_tokens * of_a_token + _weight_copies(training)


def working_bytes(training: Training, num_tokens: int) -> int:
    """Return the peak bytes that the backward pass holds beside the saved tensors: the gradients
    within a norm or an MLP, and with checkpointing the recomputed layer."""
    hidden, inner = training.architecture.hidden, training.architecture.intermediate
    again = _layer_token_bytes(training) if training.checkpointing else 0
    return num_tokens * (again + FLOAT32 * max(3 * hidden, 2 * inner - hidden))


def passing_bytes(training: Training, num_tokens: int, *, largest_block: int) -> int:
    """Return the total of a forward pass's short-lived tensors below `largest_block`.

    A norm's squares; queries and keys before, half way through and after their rotation; the
    outputs added to the residual stream; and the outputs of linear maps that have an adapter.
    """
    shape = training.architecture
    widths = [(shape.hidden, 4.0), (shape.query_width, 4.5), (shape.kv_width, 4.5)]
    # The adapter's output, its scaled copy, and the base's output: held together, so half is
    # reused.
    widths += [(linear.outputs, 1.5) for linear in training.adapted]
    small = [
        (width, times) for width, times in widths if num_tokens * width * FLOAT32 < largest_block
    ]
    a_token = sum(width * times for width, times in small)
    return int(num_tokens * shape.num_layers * a_token * FLOAT32)


def _layer_token_bytes(training: Training) -> int:
    """Return the bytes that one layer keeps per token."""
    shape, width = training.architecture, training.bytes_a_number
    attention = 2 * (shape.query_width + shape.kv_width) * width + shape.num_heads * FLOAT32
    gated = 3 * shape.intermediate * width  # gate, its activation, up
    product = training.keeps_input("down_proj") * shape.intermediate * width
    ranks = len(training.adapted) * (training.lora.rank if training.lora else 0) * width
    return _norms(training) + _normed_inputs(training) + attention + gated + product + ranks


def _norms(training: Training) -> int:
    """Return the bytes that norms keep: the input, and the normed input if the weight is
    trained."""
    shape, frozen = training.architecture, training.lora is not None
    kept = 2 * (shape.hidden * FLOAT32 * (1 if frozen else 2) + FLOAT32)
    if shape.head_norms:
        a_number = FLOAT32 + (0 if frozen else training.bytes_a_number)
        kept += (shape.query_width + shape.kv_width) * a_number
        kept += (shape.num_heads + shape.num_kv_heads) * FLOAT32
    return kept


def _normed_inputs(training: Training) -> int:
    """Return the bytes of the linear layers' inputs after the norms: one tensor, or one copy
    each."""
    readers = [sum(map(training.keeps_input, names)) for names in READ_FROM_NORM]
    if training.bytes_a_number == FLOAT32:
        readers = [min(1, number) for number in readers]
    return sum(readers) * training.architecture.hidden * training.bytes_a_number


def _end_token_bytes(training: Training) -> int:
    """Return the bytes per token of the last norm and of the head's input."""
    hidden, frozen = training.architecture.hidden, training.lora is not None
    return hidden * FLOAT32 * (1 if frozen else 2) + hidden * training.bytes_a_number


def _weight_copies(training: Training) -> int:
    """Return the bytes of autocast's copies of the linear layers' weights; frozen weights are
    bfloat16 themselves."""
    if training.bytes_a_number == FLOAT32 or training.lora is not None:
        return 0
    shape = training.architecture
    return BFLOAT16 * (shape.num_linear_parameters + shape.num_embedding_parameters)
