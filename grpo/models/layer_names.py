"""A model's weights, grouped by layer."""

from collections.abc import Iterable


def by_layer(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the names of each layer's weights, in their order.

    A layer's name is the path up to its number, such as `model.layers.7`; "" holds the weights
    outside the layers.
    """
    layers: dict[str, list[str]] = {}
    for name in names:
        parts = name.split(".")
        number = next((place for place, part in enumerate(parts) if part.isdecimal()), None)
        layer = "" if number is None else ".".join(parts[: number + 1])
        layers.setdefault(layer, []).append(name)
    return layers
