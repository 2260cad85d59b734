"""YAML aliases are refused in all user input."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from duet.errors import Refused
from duet.plain_yaml import load_yaml as load_of_the_client
from duet.spec_file import read_spec, with_settings
from grpo.spec.plain_yaml import load_yaml
from grpo.spec.resolve import SpecError, load_spec

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 64))


@pytest.mark.parametrize("load", [load_yaml, load_of_the_client])
@pytest.mark.parametrize("text", [BOMB, "a: &x 1\nb: *x", "a: &x [*x]", "<<: *x"])
def test_an_alias_is_refused_and_named(load: Callable[[str], object], text: str):
    with pytest.raises(yaml.YAMLError, match=r"line|alias"):
        load(text)


def test_a_value_may_look_like_an_alias(tmp_path: Path):
    path = tmp_path / "spec.yaml"
    path.write_text("name: '*x'\nlabels: {a: \"&b\"}")
    assert load_spec(path).name == "*x"
    assert read_spec(path)["labels"] == {"a": "&b"}


def test_a_file_and_a_setting_with_one_are_refused(tmp_path: Path):
    path = tmp_path / "spec.yaml"
    path.write_text(BOMB)
    with pytest.raises(SpecError, match="aliases"):
        load_spec(path)
    with pytest.raises(Refused, match="aliases"):
        read_spec(path)
    with pytest.raises((Refused, yaml.YAMLError), match="alias"):
        with_settings({}, ["labels={a: &x b, c: *x}"])
