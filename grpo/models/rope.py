"""Rotary embeddings whose frequencies follow from the context that their config states."""

from collections.abc import Mapping

ALWAYS = ("dynamic", "longrope", "su")  # the last: Phi-3's first name of longrope


def depends_on_context(rope: object) -> str | None:
    """Return the type of rotary embeddings that another context would change; None: no such.

    `rope`: a config's `rope_parameters` or `rope_scaling`, for all layers or by type of layer.
    """
    if not isinstance(rope, Mapping):
        return None
    for each in (rope, *rope.values()):
        kind = each.get("rope_type") or each.get("type") if isinstance(each, Mapping) else None
        if kind in ALWAYS or (kind == "yarn" and each.get("factor") is None):
            return kind
    return None
