"""Grids accepted by `duet sweep --grid`."""

import pytest

from duet.commands.sweep import read_grid
from duet.errors import Refused


def test_values_are_read_as_in_a_spec():
    written = [
        "algorithm.group_size=2,4",
        "model.source=tiny-arithmetic, org/name",
        "a=[1, x],null",
    ]
    assert read_grid(written) == {
        "algorithm.group_size": [2, 4],
        "model.source": ["tiny-arithmetic", "org/name"],
        "a": [[1, "x"], None],
    }


@pytest.mark.parametrize(
    "written", [["seed"], ["seed="], ["=1"], ["seed=[1"], ["seed=1", "seed=2"]]
)
def test_an_invalid_grid_is_refused_with_an_example(written: list[str]):
    with pytest.raises(Refused, match="--grid"):
        read_grid(written)
