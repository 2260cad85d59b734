"""A part that asks for a module of this repository that does not exist."""

from tests.gpu.part import Figures, Setting


def measure(setting: Setting) -> Figures:
    import grpo.of_no_such_name  # pyright: ignore[reportMissingImports] # noqa: F401

    return {}
