"""A part whose check fails."""

from tests.gpu.part import Figures, Setting


def measure(setting: Setting) -> Figures:
    raise AssertionError("2 is not 3")
