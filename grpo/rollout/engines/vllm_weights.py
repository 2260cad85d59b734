"""Comparison of the weights that a vLLM engine computes with and the weights it was given.

vLLM's checkpoint loader knows where a weight belongs: query, key and value are fused, as are gate
and up; experts are stacked; vocabularies are padded.  Here it loads into empty parameters beside
the live ones, and the two are compared.  On the CPU many layers hold only a packed copy:
multiplying the identity by it recovers the weights, since each sum has one non-zero term.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import BoundArguments, signature, unwrap
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from grpo.models.layer_names import by_layer

ROWS_AT_ONCE = 512  # rows of the identity matrix
RELOAD_WRAPPER = "online_process_loader"


def stale_weights(
    model: Module, weights: Mapping[str, Tensor], *, names: Collection[str] | None
) -> list[str]:
    """Name the weights that differ from the model's, each with its place in the engine.

    `names`: the weights to compare; None: all, and every parameter of the model must have received
    one.
    """
    comparison = _Comparison(model)
    stale: list[str] = []
    with torch.inference_mode(), comparison.emptied_model():
        for of_layer in by_layer(weights if names is None else names).values():
            stale += comparison.stale({name: weights[name] for name in of_layer})
    return stale + (comparison.left_out() if names is None else [])


def repack_experts(model: Module) -> None:
    """Pack experts again after a reload: vLLM 0.32 packs them for the CPU at the first load only,
    and a reload copies plain weights into the memory of the packed ones."""
    for layer in model.modules():
        experts = _packing_experts(layer)
        if experts is not None:
            experts.process_weights_after_loading(layer)


@dataclass(frozen=True)
class _Layer:
    """A layer of the engine: its live parameters, and their form in a checkpoint without data."""

    name: str
    module: Module
    live: Mapping[str, Parameter]
    form: Mapping[str, Tensor]


@dataclass(frozen=True)
class _Load:
    """A call of vLLM's loader: one policy weight to be written into a layer's parameter."""

    weight: str
    layer: str
    parameter: str
    loader: Callable[..., object]
    arguments: BoundArguments

    def into(self, parameters: Mapping[str, Tensor]) -> None:
        self.arguments.arguments["param"] = parameters[self.parameter]
        self.loader(*self.arguments.args, **self.arguments.kwargs)
        del self.arguments.arguments["param"]  # may be as large as the vocabulary

    def __str__(self) -> str:
        expert = self.arguments.arguments.get("expert_id")
        return self.weight if expert is None else f"{self.weight} (expert {expert})"


class _Comparison:
    """Compares weights with a model's, layer by layer, while the model's loader is redirected."""

    def __init__(self, model: Module) -> None:
        self._model = model
        self._layers = {name: _layer(name, module) for name, module in model.named_modules()}
        self._loads: list[_Load] = []
        self._loading = ""  # name of the last weight passed to vLLM's loader
        # Layers' parameters, and whether each received all that a checkpoint holds for it.
        self._given: dict[tuple[str, str], bool] = {}
        self._sharing: Mapping[int, list[_Layer]] = defaultdict(list)
        for layer in self._layers.values():
            for parameter in layer.live.values():
                self._sharing[id(parameter)].append(layer)

    @contextmanager
    def emptied_model(self) -> Iterator[None]:
        """Make vLLM's loader record its calls instead of writing into the live parameters."""
        kept = {name: layer.module._parameters for name, layer in self._layers.items()}
        for layer in self._layers.values():
            for name, parameter in layer.form.items():
                self._note_loads(layer, name, parameter)
            layer.module._parameters = cast("Any", {**layer.module._parameters, **layer.form})
        heads = [layer.module for layer in self._layers.values() if _renews_its_bias(layer)]
        for head in heads:
            head._register_bias = lambda: None  # pyright: ignore[reportArgumentType]
        try:
            yield
        finally:
            for head in heads:
                del head._register_bias  # restores the class's method
            for name, parameters in kept.items():
                self._layers[name].module._parameters = parameters

    def stale(self, handed: Mapping[str, Tensor]) -> list[str]:
        """Name the weights of one layer that differ from the live ones."""
        self._model.load_weights(self._one_by_one(handed))  # pyright: ignore[reportCallIssue]
        by_engine_layer: dict[str, list[_Load]] = defaultdict(list)
        for load in self._loads:
            by_engine_layer[load.layer].append(load)
        self._loads.clear()  # they hold the policy's weights
        return [
            text
            for name, loads in by_engine_layer.items()
            for text in self._stale_of(self._layers[name], loads)
        ]

    def left_out(self) -> list[str]:
        """Name the model's parameters that did not receive all their weights."""
        return [
            f"{layer.name}.{name} in the engine, which did not receive all its weights"
            for layer in self._layers.values()
            for name in layer.live
            if not self._given.get((layer.name, name), False)
        ]

    def _note_loads(self, layer: _Layer, name: str, parameter: Tensor) -> None:
        from vllm.model_executor.model_loader.weight_utils import default_weight_loader

        # A reload leaves its wrapper, which has no effect by now, around the loader.
        loader = unwrap(
            getattr(parameter, "weight_loader", default_weight_loader),
            stop=lambda each: each.__name__ != RELOAD_WRAPPER,
        )

        def note(*args: Any, **kwargs: Any) -> object:  # noqa: ANN401
            arguments = signature(loader).bind(*args, **kwargs)
            arguments.apply_defaults()
            self._loads.append(_Load(self._loading, layer.name, name, loader, arguments))
            return loader(*args, **kwargs)  # into the form, which has no data

        parameter.weight_loader = note  # pyright: ignore[reportAttributeAccessIssue]

    def _one_by_one(self, handed: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        for self._loading, weight in handed.items():
            yield self._loading, weight

    def _stale_of(self, layer: _Layer, loads: Sequence[_Load]) -> Iterator[str]:
        names = dict.fromkeys(load.parameter for load in loads)
        if not any(self._not_given(layer, name) for name in names):
            return  # as a tied head, which is compared with the embedding
        expected = _loaded(layer, loads)
        for name in names:
            for holder in self._not_given(layer, name):
                self._given[holder.name, name] = _is_whole(expected[name], layer.form[name])
                if _holds(holder, name, expected[name]):
                    continue
                for load in loads:
                    alone = _loaded(layer, [load])[name]
                    if load.parameter == name and not _holds(holder, name, alone):
                        yield f"{load} in {holder.name}.{name}"

    def _not_given(self, layer: _Layer, name: str) -> list[_Layer]:
        """Return the layers that share a parameter and have not been compared."""
        sharing = self._sharing[id(layer.live[name])]
        return [holder for holder in sharing if (holder.name, name) not in self._given]


def _layer(name: str, module: Module) -> _Layer:
    from vllm.model_executor.model_loader.reload.layerwise import get_layerwise_info
    from vllm.model_executor.model_loader.reload.meta import to_meta_tensor
    from vllm.model_executor.model_loader.reload.sanitize import restore_layer_refs

    live = {name: each for name, each in module._parameters.items() if each is not None}
    recorded, _ = get_layerwise_info(module).restore_metadata
    form = {
        name: restore_layer_refs(to_meta_tensor(parameter), module)
        for name, parameter in {**live, **recorded}.items()
    }
    return _Layer(name, module, live, form)


def _renews_its_bias(layer: _Layer) -> bool:
    """Whether vLLM replaces the bias object when it loads one: in heads of transformers'
    classes."""
    return "bias" in layer.live and hasattr(layer.module, "_register_bias")


def _loaded(layer: _Layer, loads: Sequence[_Load]) -> dict[str, Tensor]:
    """Return the layer's effective weights after some loads; NaN where nothing was loaded."""
    from vllm.model_executor.model_loader.reload.meta import materialize_meta_tensor

    device = next(iter(layer.live.values())).device
    with device:
        loaded = {name: materialize_meta_tensor(each) for name, each in layer.form.items()}
    for parameter in loaded.values():
        parameter.fill_(torch.nan)
    for load in loads:
        load.into(loaded)
    experts = _packing_experts(layer.module)
    if experts is None:
        return loaded
    packed = Module()
    for name, parameter in loaded.items():
        packed.register_parameter(name, Parameter(parameter.data, requires_grad=False))
    experts.process_weights_after_loading(packed)
    return dict(packed.named_parameters())


def _holds(layer: _Layer, name: str, expected: Tensor) -> bool:
    """Whether the layer computes with the expected values wherever these are not NaN, which must be
    the case somewhere."""
    live, held = layer.live[name], []
    if live.numel():
        held.append(live)
    multiply: Any = getattr(layer.module, "cpu_linear", None)
    if name == "weight" and multiply is not None:
        held.append(_unpacked(multiply, live, expected))
    return bool(held) and all(_is_same(expected.to(each.dtype), each) for each in held)


def _is_same(expected: Tensor, held: Tensor) -> bool:
    is_loaded = ~expected.isnan()
    return bool(is_loaded.any()) and not ((held != expected) & is_loaded).any()


def _is_whole(loaded: Tensor, form: Tensor) -> bool:
    """Whether a parameter received as many values as a checkpoint holds for it."""
    from vllm.model_executor.model_loader.reload.utils import get_tensor_load_numel

    return int((~loaded.isnan()).sum()) >= get_tensor_load_numel(form)


def _unpacked(linear: Callable[..., Tensor], live: Tensor, expected: Tensor) -> Tensor:
    """Return the weight that a layer multiplies by: [out, in], as `expected` is."""
    identity = torch.eye(expected.shape[1], dtype=expected.dtype)
    return torch.cat([linear(rows, live, None) for rows in identity.split(ROWS_AT_ONCE)]).T


def _packing_experts(layer: Module) -> Any:  # noqa: ANN401 - of vLLM, which is not imported here
    """Return the kernel of a layer of experts that packs their weights for the CPU, or None."""
    kernel = getattr(getattr(layer, "quant_method", None), "moe_kernel", None)
    experts = getattr(kernel, "fused_experts", None)
    return experts if hasattr(experts, "isa") else None
