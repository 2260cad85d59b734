"""A part that measures what it was given."""

from tests.gpu.part import Figures, Setting


def measure(setting: Setting) -> Figures:
    assert not any(setting.folder.iterdir())
    return {"cpu": str(setting.cpu), "model": str(setting.model), "size": setting.size(2.5, 1)}
