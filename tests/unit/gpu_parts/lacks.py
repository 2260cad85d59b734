"""A part that needs a package that no machine has."""

from tests.gpu.part import Figures, Setting


def measure(setting: Setting) -> Figures:
    import package_of_no_machine.inner  # pyright: ignore[reportMissingImports] # noqa: F401

    return {}
