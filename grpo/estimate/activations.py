"""Memory that autograd saves for the backward pass, counted tensor by tensor.

Counted for the layers of `grpo.estimate.families` through sdpa, which keeps a row's normaliser and
never the L x L matrix.  In half precision the norms stay in float32, and so does the residual
stream, unless the weights are frozen; every linear layer keeps its own copy of its input and of its
weights, unless these are frozen.  `grpo.estimate.dry_run` measures the same on the model itself.
"""

from dataclasses import dataclass

from grpo.estimate.architecture import Architecture, Linear
from grpo.spec.model import Lora

FLOAT32, BFLOAT16 = 4, 2  # bytes
# Tensors of the MLP's inner width that an activation function keeps: torch's own, its input alone.
KEPT_BY_ACTIVATION = {"gelu_new": 4, "gelu_fast": 4, "gelu_python": 2, "relu2": 2, "quick_gelu": 2}


@dataclass(frozen=True)
class Training:
    """The trained part of an architecture, and its compute settings."""

    architecture: Architecture
    lora: Lora | None
    checkpointing: bool
    bytes_a_number: int  # 4, or 2 under autocast

    @property
    def bytes_of_stream(self) -> int:
        """Bytes of a number of the residual stream: frozen weights leave it in half precision."""
        return FLOAT32 if self.lora is None else self.bytes_a_number

    @property
    def copies_adapted(self) -> bool:
        """Whether each adapter keeps a copy of its input, which peft casts to its own dtype."""
        return self.lora is not None and self.bytes_a_number != FLOAT32

    @property
    def copies_weights(self) -> bool:
        """Whether autocast copies weights; frozen ones are in half precision themselves."""
        return self.lora is None and self.bytes_a_number != FLOAT32

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
    of_a_layer = _layer_token_bytes(training)
    if training.checkpointing:
        of_a_layer = shape.hidden * training.bytes_of_stream
    of_a_token = shape.num_layers * of_a_layer + _end_token_bytes(training)
    return num_tokens * of_a_token + _weight_copies(training)


def layer_bytes(training: Training, num_tokens: int) -> int:
    """Return the bytes that one layer keeps, or with checkpointing recomputes, its copies of
    weights included."""
    of_weights = training.copies_weights * training.architecture.num_linear_parameters
    copies = of_weights * training.bytes_a_number // training.architecture.num_layers
    return num_tokens * _layer_token_bytes(training) + copies


def working_bytes(training: Training, num_tokens: int) -> int:
    """Return the most that a layer's backward pass holds beside the saved tensors: the gradients
    within a norm or an MLP."""
    hidden, inner = training.architecture.hidden, training.architecture.intermediate
    whole = 0
    if training.lora is not None and training.lora.base_4bit:  # the weight at work
        linears = training.architecture.linears
        whole = max(linear.inputs * linear.outputs for linear in linears) * training.bytes_a_number
    return num_tokens * FLOAT32 * max(3 * hidden, 2 * inner - hidden) + whole


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
    ranks = len(training.adapted) * (training.lora.rank if training.lora else 0)
    return (
        _norms(training)
        + _normed_inputs(training)
        + _attention(training)
        + _mlp(training)
        + ranks * training.bytes_a_number
    )


def _attention(training: Training) -> int:
    """Return the bytes of queries, keys, values and the output, and of a normaliser per head."""
    shape, family = training.architecture, training.architecture.family
    kept = 2 * (shape.query_width + shape.kv_width)
    if len(family.queries) == 1:  # values are a part of the one map's output, which stays whole
        kept += shape.query_width + shape.kv_width
    copied = family.copies_output or training.copies_adapted
    if copied and training.keeps_input(family.output):
        kept += shape.query_width
    return kept * training.bytes_a_number + shape.num_heads * FLOAT32


def _mlp(training: Training) -> int:
    """Return the bytes of the MLP: gated, the gate, its activation and the other map's output."""
    shape, family = training.architecture, training.architecture.family
    kept = KEPT_BY_ACTIVATION.get(shape.activation, 1) + 2 * family.gated
    kept += training.keeps_input(family.down)
    return kept * shape.intermediate * training.bytes_a_number


def _norms(training: Training) -> int:
    """Return the bytes that norms keep: the input, and the normed one if the weight is trained."""
    shape, family = training.architecture, training.architecture.family
    width, trained = training.bytes_a_number, training.lora is None
    if family.norm == "layer":  # mean and deviation, and nothing normed
        inputs = 1 if family.parallel else family.num_norms
        return inputs * shape.hidden * training.bytes_of_stream + family.num_norms * 2 * FLOAT32
    first = min(2, family.num_norms)
    normed = FLOAT32 if family.norm == "rms_float32" else width
    kept = first * shape.hidden * FLOAT32 * (1 + trained)
    kept += (family.num_norms - first) * shape.hidden * (FLOAT32 + trained * normed)
    kept += family.num_norms * FLOAT32
    if family.head_norms is not None:
        kept += (shape.query_width + shape.kv_width) * (FLOAT32 + trained * normed)
        scales = shape.num_heads + shape.num_kv_heads if family.head_norms == "each" else 2
        kept += scales * FLOAT32
    return kept


def _normed_inputs(training: Training) -> int:
    """Return the bytes of the linear layers' inputs after the norms: one tensor, or a copy each."""
    family = training.architecture.family
    readers = [sum(map(training.keeps_input, names)) for names in (family.queries, family.up)]
    if training.bytes_a_number == FLOAT32:
        readers = [min(1, number) for number in readers]
        readers = readers[:1] if family.num_norms == 1 else readers
    return sum(readers) * training.architecture.hidden * training.bytes_a_number


def _end_token_bytes(training: Training) -> int:
    """Return the bytes per token of the last norm and of the head's input."""
    shape = training.architecture
    one_tensor = training.lora is not None or shape.family.norm == "layer"
    return shape.hidden * (FLOAT32 * (1 if one_tensor else 2) + training.bytes_a_number)


def _weight_copies(training: Training) -> int:
    """Return the bytes of autocast's copies of weights that the backward pass needs: the head's,
    and the layers', unless they are recomputed."""
    if not training.copies_weights or training.checkpointing:
        return 0
    shape = training.architecture
    return training.bytes_a_number * (shape.num_linear_parameters + shape.num_embedding_parameters)
