"""A data set's folder: declarations select only its own files."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as some

from grpo.data.dataset_folder import DatasetFolder
from grpo.data.hub import read_hub
from grpo.data.rows import RowError
from grpo.errors import RunError
from grpo.runtime.plain_files import FolderRefused
from grpo.spec.data import DataSource
from tests.hub import Hub, serving_hub

SECRET = "canary-of-the-server"


def put(folder: Path, *names: str) -> Path:
    """Files of one row, whose text is the file's name."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"text": name}) + "\n")
    return folder


def declare(folder: Path, configs: object) -> Path:
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': configs})}---\n# Rows\n")
    return folder


def paths(path: object) -> list[dict[str, Any]]:
    return [{"config_name": "default", "data_files": [{"split": "train", "path": path}]}]


def texts(folder: Path, *, split: str = "train", config: str | None = None) -> list[str]:
    source = DataSource(source=str(folder), config=config)
    return [row.fields["text"] for row in read_hub(source, split=split)]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A data set next to the server's own files."""
    secrets = tmp_path / "server"
    put(secrets, "server.json", "jobs/1/rollouts.jsonl")
    for path in secrets.rglob("*.json*"):
        path.write_text(json.dumps({"text": SECRET}) + "\n")
    return put(tmp_path / "rows", "train.jsonl", "data/a.jsonl", "data/more/b.jsonl")


HOSTILE = [
    "{server}/server.json",
    "{server}/**/*.jsonl",
    "/{server}/server.json",
    "../server/server.json",
    "data/../../server/server.json",
    "data/*/../../../server/*.json",
    "**/../../server/server.json",
    "./../server/server.json",
    "file://{server}/server.json",
    "FILE://{server}/server.json",
    "local://{server}/server.json",
    "{url}/rows.jsonl",
    "simplecache::{url}/rows.jsonl",
    "json://text::{server}/server.json",
    "hf://datasets/other/rows/train.jsonl",
    "s3://bucket/rows.jsonl",
    "~/server.json",
    "~root/server.json",
    "$HOME/server.json",
    "/proc/self/environ",
    "..\\server\\server.json",
    "train.jsonl\0.json",
    "[.][.]/server/server.json",
    "?./server/*",
    "",
]


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Hub]:
    """A server that this machine can reach."""
    with serving_hub({}) as hub:
        yield hub


@pytest.mark.parametrize("pattern", HOSTILE)
def test_no_file_that_readme_names_is_read_outside_the_data_set(
    rows: Path, elsewhere: Hub, pattern: str
):
    path = pattern.format(server=rows.parent / "server", url=elsewhere.url)
    for config in (
        {"data_files": [{"split": "train", "path": path}]},
        {"data_files": [{"split": "train", "path": ["train.jsonl", path]}]},
        {"data_files": path},
        {"data_files": ["train.jsonl", path]},
        {"data_dir": path or "nowhere"},
        {"data_dir": "data", "data_files": path},
    ):
        declare(rows, [{"config_name": "default", **config}])
        with pytest.raises(RunError, match=r"README\.md|unknown split") as refused:
            texts(rows)
        assert refused.value.code == "bad_data"
        assert SECRET not in str(refused.value)
    assert elsewhere.asked == []


PIECES = [
    "..",
    ".",
    "*",
    "**",
    "",
    "~",
    "a",
    "server",
    "server.json",
    "*.json*",
    "[.][.]",
    "?",
    "/",
]


@settings(max_examples=50, deadline=None)
@given(pattern=some.lists(some.sampled_from(PIECES), min_size=1, max_size=8).map("/".join))
def test_any_declaration_reads_only_rows_of_the_folder(
    pattern: str, tmp_path_factory: pytest.TempPathFactory
):
    parent = tmp_path_factory.getbasetemp() / "declared"
    put(parent / "server", "server.json")
    folder = put(parent / "rows", "train.jsonl", "a/b.json")
    declare(folder, paths(pattern))
    try:
        found = texts(folder)
    except RunError:
        return
    assert set(found) <= {"train.jsonl", "a/b.json"}


@pytest.mark.parametrize("place", ["train.jsonl", "data", "data/more/c.jsonl", "notes.txt"])
@pytest.mark.parametrize("way", ["absolute", "relative", "over another link"])
def test_a_link_that_leads_out_is_refused(rows: Path, place: str, way: str):
    target = rows.parent / "server" / ("" if place == "data" else "server.json")
    link = rows / place
    if link.is_dir():
        link.rename(rows / "before")
    link.unlink(missing_ok=True)
    if way == "over another link":
        (rows.parent / "step").symlink_to(target)
        target = rows.parent / "step"
    link.symlink_to(os.path.relpath(target, link.parent) if way == "relative" else target)
    with pytest.raises(RunError, match="in it is a symbolic link that points outside the folder"):
        texts(rows)


def test_links_into_the_hubs_cache_are_what_a_snapshot_is_made_of(tmp_path: Path):
    repository = tmp_path / "datasets--someone--rows"
    put(repository / "blobs", "0a")
    snapshot = repository / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot / "train.jsonl").symlink_to("../../blobs/0a")
    assert texts(snapshot) == ["0a"]
    (tmp_path / "other").write_text(json.dumps({"text": SECRET}))
    (snapshot / "test.jsonl").symlink_to(tmp_path / "other")
    with pytest.raises(
        RunError, match=r"'test\.jsonl' in it is a symbolic link that points outside the folder"
    ):
        texts(snapshot)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("train.jsonl", ["train.jsonl"]),
        ("./data//a.jsonl", ["data/a.jsonl"]),
        ("data/*", ["data/a.jsonl"]),
        ("data/**", ["data/a.jsonl", "data/more/b.jsonl"]),
        ("**/*.jsonl", ["data/a.jsonl", "data/more/b.jsonl", "train.jsonl"]),
        (["train.jsonl", "data/[ab].jsonl", "train.*"], ["train.jsonl", "data/a.jsonl"]),
    ],
)
def test_patterns_that_stay_inside_are_the_hubs(rows: Path, path: object, found: list[str]):
    assert texts(declare(rows, paths(path))) == found


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["a.jsonl", "b.json"], {"train": ["a.jsonl", "b.json"]}),
        (["train.jsonl", "test.jsonl"], {"train": ["train.jsonl"], "test": ["test.jsonl"]}),
        (["train-1.jsonl", "my_eval.json"], {"train": ["train-1.jsonl"], "test": ["my_eval.json"]}),
        (
            ["train/a.jsonl", "dev/b.jsonl"],
            {"train": ["train/a.jsonl"], "validation": ["dev/b.jsonl"]},
        ),
        (
            ["data/train-00000-of-00001.jsonl", "data/extra-00000-of-00001-x.jsonl"],
            {
                "extra": ["data/extra-00000-of-00001-x.jsonl"],
                "train": ["data/train-00000-of-00001.jsonl"],
            },
        ),
        (
            ["contest.jsonl", "latest/restraining.jsonl"],
            {"train": ["contest.jsonl", "latest/restraining.jsonl"]},
        ),
        ([".hidden/train.jsonl", "train.jsonl", "config.json"], {"train": ["train.jsonl"]}),
    ],
)
def test_without_a_declaration_splits_are_found_by_file_names(
    tmp_path: Path, names: list[str], splits: dict[str, list[str]]
):
    folder = DatasetFolder.of(put(tmp_path, *names))
    for split, expected in splits.items():
        found = folder.files(None, split)
        assert [path.relative_to(tmp_path).as_posix() for path in found] == expected
    with pytest.raises(FolderRefused, match=f"available are {', '.join(map(repr, splits))}$"):
        folder.files(None, "nowhere")


@pytest.mark.parametrize(
    "configs",
    [
        7,
        "train.jsonl",
        ["main"],
        [{"data_files": 7}],
        [{"data_files": [["a"]]}],
        [{"data_files": [{"split": "train"}]}],
        [{"data_files": [{"split": 1, "path": "a"}]}],
        [{"data_files": [{"split": "train", "path": [["a"]]}]}],
    ],
)
def test_a_declaration_that_is_none_is_named(rows: Path, configs: object):
    with pytest.raises(RunError, match=r"README\.md"):
        texts(declare(rows, configs))


@pytest.mark.parametrize(
    "text",
    ["---\nconfigs: *none\n---\n", "---\n\tconfigs: [\n---\n", "---\n" + "[" * 500 + "\n---\n"],
)
def test_invalid_front_matter_is_reported(rows: Path, text: str):
    (rows / "README.md").write_text(text)
    with pytest.raises(RunError, match="is not YAML"):
        texts(rows)


def test_aliases_that_multiply_cost_no_more_than_their_limit(rows: Path):
    """Nine lists of nine, one in another, are 387 million patterns."""
    lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    many = "&a0 [" + ", ".join(["train.jsonl"] * 200) + "]"
    data_files = "\n".join(["  - {split: train, path: *a0}"] * 200)
    for configs in (
        "configs: [{data_files: [{split: train, path: *a9}]}]",
        f"configs:\n- data_files:\n{data_files}",
    ):
        beginning = f"---\na0: {many}\n" + "\n".join(lines) + f"\n{configs}\n---\n"
        (rows / "README.md").write_text(beginning)
        with pytest.raises(RunError, match="data_files that are not a list"):
            texts(rows)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"text": "1e5"}\n\n{"text": "Zoë"}\n'),
        ("a.json", '{"text": "1e5"}\n{"text": "Zoë"}'),
        ("a.json", '\ufeff [{"text": "1e5"},\n {"text": "Zoë"}]'),
        ("a.csv", 'text\n1e5\n"Zoë"\n'),
        ("a.csv", "\ufefftext\r\n1e5\r\nZoë\r\n"),
    ],
)
def test_rows_are_numbered_through_and_keep_what_is_written(
    tmp_path: Path, name: str, content: str
):
    (tmp_path / name).write_text(content, newline="")
    put(tmp_path, "b.jsonl")
    rows = list(read_hub(DataSource(source=str(tmp_path)), split="train"))
    assert [(row.number, row.place, row.fields["text"]) for row in rows] == [
        (1, "row 1", "1e5"),
        (2, "row 2", "Zoë"),
        (3, "row 3", "b.jsonl"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "", "has no field names"),
        ("a.csv", "x,x\n1,2\n", "or repeats one"),
        ("a.csv", "x,y\n1,2\n1\n", "row 2 has 1 values for 2 fields"),
        ("a.json", "[1]", "row 1 is not a JSON object"),
        ("a.json", "[{]", "is not JSON"),
        ("a.jsonl", "{}\n{", "line 2 is not JSON"),
        ("a.parquet", "PAR1", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: str, said: str):
    (tmp_path / name).write_text(content)
    with pytest.raises(RowError, match=f"^{name}: .*{said}"):
        list(read_hub(DataSource(source=str(tmp_path)), split="train"))
