"""A spec's text is read unchanged, for any characters."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given

from duet.errors import Refused
from duet.spec_file import read_spec, with_settings
from grpo.spec.resolve import SpecError, load_spec, resolve
from tests.unicode import EVERY_CHARACTER, TEXTS, chunks

Read = Callable[[Path], str]
READERS = [
    pytest.param(lambda path: load_spec(path).data.system, id="trainer"),
    pytest.param(lambda path: read_spec(path)["data"]["system"], id="client"),
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_every_character_of_unicode_comes_through_json(
    read: Read, ascii_only: bool, tmp_path: Path
):
    path = tmp_path / "spec.json"
    for text in chunks(EVERY_CHARACTER, 100_000):  # as long as the field may be
        spec = {"data": {"system": text}}
        path.write_text(json.dumps(spec, ensure_ascii=ascii_only), encoding="utf-8")
        assert read(path) == text


@pytest.mark.parametrize("read", READERS)
@given(text=TEXTS)
def test_text_comes_through_yaml_and_json(
    tmp_path_factory: pytest.TempPathFactory, read: Read, text: str
):
    path = tmp_path_factory.getbasetemp() / "any-spec.yaml"
    spec = {"data": {"system": text}}
    for written in (
        yaml.safe_dump(spec),
        json.dumps(spec),
        json.dumps(spec, indent=1),
    ):
        path.write_text(written, encoding="utf-8", newline="")
        assert read(path) == text


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "written",
    [
        r'data: {system: "\ud83e\uddee"}',
        r'{data: {system: "\ud83e\uddee"}}',
        r'{"data": {"system": "\ud83e\uddee"}}',
        '\ufeff{"data": {"system": "🧮"}}',
        "\ufeffdata: {system: 🧮}",
    ],
)
def test_an_escaped_pair_of_surrogates_is_one_character(read: Read, written: str, tmp_path: Path):
    path = tmp_path / "spec.yaml"
    path.write_text(written, encoding="utf-8")
    assert read(path) == "🧮"


@pytest.mark.parametrize("written", [r'data: {system: "\ud83e"}', r'{"labels": {"\udd00": "a"}}'])
def test_half_of_a_pair_is_refused(written: str, tmp_path: Path):
    path = tmp_path / "spec.json"
    path.write_text(written)
    with pytest.raises(SpecError, match=r"spec\.json holds an unpaired surrogate"):
        load_spec(path)
    with pytest.raises(Refused, match=r"spec\.json holds an unpaired surrogate"):
        read_spec(path)
    with pytest.raises(Refused, match="--set name holds an unpaired surrogate"):
        with_settings({}, [r'name="\ud83e"'])


@given(text=TEXTS.filter(bool))
def test_a_resolved_spec_keeps_text_when_it_is_written_and_read(
    tmp_path_factory: pytest.TempPathFactory, text: str
):
    spec = resolve({"data": {"prompt": f"{text} {{{{question}}}}", "system": text}})
    path = tmp_path_factory.getbasetemp() / "resolved.json"
    path.write_text(spec.model_dump_json(indent=1), encoding="utf-8")
    assert load_spec(path) == spec
