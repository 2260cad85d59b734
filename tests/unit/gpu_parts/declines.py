"""A part that cannot be measured without a model."""

from tests.gpu.part import Figures, NotMeasured, Setting


def measure(setting: Setting) -> Figures:
    raise NotMeasured("no model | here")
