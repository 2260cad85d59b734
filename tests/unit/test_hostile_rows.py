"""Hostile rows, templates, addresses and headers."""

import json
from pathlib import Path

import pytest
from fastapi import Request

from api.dependencies.cookies import check_own_page
from api.errors.problems import Problem
from api.schemas.sweeps import NewSweep
from api.submission.sweep import check_sweep
from grpo.data.dataset_folder import DatasetFolder
from grpo.data.inspection import MAX_NAME, MAX_NAMES, inspect
from grpo.net.private_addresses import PrivateAddresses
from grpo.net.public_address import AddressRefused, check_text
from grpo.runtime.plain_files import FolderRefused
from grpo.spec.resolve import SpecError
from grpo.values import members
from grpo.values.members import NoSuchMember, member


def test_a_json_text_is_parsed_once_for_any_number_of_templates():
    members._inside.cache_clear()
    fields = {"f": json.dumps([[]] * 1_000), "g": json.dumps({"a": [1]})}
    for _ in range(500):
        assert member(fields, "f.0") == []
        assert member(fields, "g.a.0") == 1
    assert members._inside.cache_info().misses == 2


@pytest.mark.parametrize("step", ["--5", "-", "+1", "٣", "1" * 20, "-" * 9, "0x1", "1_0", ""])
@pytest.mark.parametrize("held", [[1, 2], "[1, 2]"])
def test_an_odd_index_leads_nowhere(step: str, held: object):
    with pytest.raises(NoSuchMember):
        member({"a": held}, f"a.{step}")


@pytest.mark.parametrize("begin", ['{"a":', "[", '[{"a":'])
def test_a_text_of_deep_json_stays_a_text(begin: str):
    end = {"{": "}", "[": "]"}
    for depth in (100, 450, 5_000):
        text = begin * depth + "1" + "".join(end[c] for c in reversed(begin) if c in end) * depth
        with pytest.raises(NoSuchMember):
            member({"a": text}, "a.0.a")
        assert member({"a": text}, "a") == text


def test_the_names_of_a_files_fields_are_bounded(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"a" * MAX_NAME: 1}) + "\n")
    assert not inspect(str(path)).problems
    path.write_text(json.dumps({"a" * (MAX_NAME + 1): 1}) + "\n")
    assert "1,001 characters" in inspect(str(path)).problems[0]
    names = [f"{n:04}".rjust(MAX_NAME, "a") for n in range(MAX_NAMES // MAX_NAME)]
    path.write_text(json.dumps(dict.fromkeys(names, 1)) + "\n")
    assert not inspect(str(path)).problems
    path.write_text(json.dumps({**dict.fromkeys(names, 1), "b": 1}) + "\n")
    assert "100,000 characters" in inspect(str(path)).problems[0]


def test_a_sweep_of_long_names_is_refused_before_its_pointers_are_written():
    variant: dict = {f"a{n}": 0 for n in range(2_000)}
    for _ in range(58):
        variant = {"x" * 1_000: variant}
    sweep = NewSweep(variants=[variant])
    with pytest.raises(SpecError, match="characters in total"):
        check_sweep(sweep, "swp_0", None)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("origin", ["http://[", "http://]:80", "null", "", "http://[::1", "\x00"])
def test_an_origin_that_cannot_be_read_is_another_site(origin: str):
    headers = [(b"host", b"here"), (b"origin", origin.encode())]
    request = Request({"type": "http", "headers": headers, "method": "POST", "path": "/"})
    with pytest.raises(Problem) as refused:
        check_own_page(request)
    assert refused.value.status == 403


@pytest.mark.parametrize(
    "host", ["xn--a.com", "xn--.com", "xn--0000", "[::", "a" * 70 + ".com\u0130"]
)
def test_an_address_whose_name_cannot_be_read_is_refused(host: str):
    with pytest.raises(AddressRefused):
        check_text(f"http://{host}/", private=PrivateAddresses("SETTING"))


@pytest.mark.parametrize(
    "written",
    [
        "a0: &a0 [x, x]\na1: &a1 [*a0, *a0]\nconfigs:\n- config_name: *a1\n  data_files: r.jsonl",
        "a0: &a0 [x, x]\nconfigs:\n- config_name: c\n  data_dir: *a0",
        "a: &a {x: 1}\nconfigs:\n- <<: [*a, *a]\n  config_name: c\n  data_files: r.jsonl",
    ],
)
def test_a_readme_with_multiplying_aliases_is_refused(written: str, tmp_path: Path):
    (tmp_path / "r.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "README.md").write_text(f"---\n{written}\n---\n")
    with pytest.raises(FolderRefused):
        DatasetFolder.of(tmp_path).files(config=None, split="train")
