"""Rotary embeddings whose frequencies depend on the context stated in the config."""

from collections.abc import Mapping

ALWAYS = ("dynamic", "longrope", "su")  # su: Phi-3's earlier name of longrope


def depends_on_context(rope: object) -> str | None:
    """Return the type of rotary embeddings that a different context would change; None: unaffected.

    `rope`: a config's `rope_parameters` or `rope_scaling`, for all layers or by layer type.
    """
    if not isinstance(rope, Mapping):
        return None
    for each in (rope, *rope.values()):
        kind = each.get("rope_type") or each.get("type") if isinstance(each, Mapping) else None
        if kind in ALWAYS or (kind == "yarn" and each.get("factor") is None):
            return kind
    return None
