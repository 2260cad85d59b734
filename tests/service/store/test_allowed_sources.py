"""Sources that a spec may name: folders below the roots, and allowed organizations of the hub."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from store.access import keys
from store.database.database import Database
from store.security.allowed_sources import AllowedSources, SourceRefused, has_several_projects
from store.settings import Settings


def allowing(settings: Settings, **changed: object) -> AllowedSources:
    return AllowedSources.of(settings.model_copy(update=changed))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def sources(settings: Settings, root: Path) -> AllowedSources:
    return allowing(settings, local_roots=f"{root}, /nowhere")


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.session() as opened:
        yield opened


def model(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def test_a_folder_below_a_root_is_read(sources: AllowedSources, root: Path):
    inside = model(root / "qwen")
    assert sources.folder(str(inside)) == inside
    assert sources.folder(f"{root}/other/../qwen") == inside
    assert sources.folder(f"{root}/missing") == root / "missing"


def test_links_that_stay_inside_are_followed(sources: AllowedSources, root: Path):
    """Folder with the layout of the hub's own cache."""
    inside = model(root / "snapshot")
    (root / "blob").write_text("weights")
    (inside / "model.safetensors").symlink_to("../blob")
    (root / "latest").symlink_to(inside)
    assert sources.folder(str(root / "latest")) == inside


def test_no_path_escapes_the_root(sources: AllowedSources, root: Path, tmp_path: Path):
    outside = model(tmp_path / "secret")
    (root / "link").symlink_to(outside)
    (root / "up").symlink_to("..")
    beside = model(tmp_path / "models-of-others")
    for path in (
        outside,
        beside,
        f"{root}/../secret",
        root / "link",
        root / "up" / "secret",
        "/proc/self/cwd",
        "/",
    ):
        with pytest.raises(SourceRefused, match="DUET_LOCAL_ROOTS"):
            sources.folder(str(path))


@pytest.mark.parametrize("place", ["config.json", "more", "more/config.json"])
def test_no_link_in_a_folder_points_outside(
    sources: AllowedSources, root: Path, tmp_path: Path, place: str
):
    outside = model(tmp_path / "secret")
    inside = root / "qwen"
    (inside / place).parent.mkdir(parents=True)
    (inside / place).symlink_to(outside / "config.json" if "." in place else outside)
    with pytest.raises(
        SourceRefused, match=f"'{place}' in .* is a symbolic link that points outside the folder"
    ):
        sources.folder(str(inside))


def test_without_roots_no_folder_is_read(settings: Settings, root: Path):
    with pytest.raises(SourceRefused):
        allowing(settings, local_roots="").folder(str(root))


@pytest.mark.parametrize("base", ["{out}", "../secret", "evil/base", "{root}/adapter"])
def test_an_adapters_base_must_be_allowed_too(
    settings: Settings, root: Path, tmp_path: Path, base: str
):
    """The links of an adapter's adapter are checked as well."""
    sources = allowing(settings, local_roots=str(root), hub_organisations="Qwen")
    outside = model(tmp_path / "secret")
    named = base.format(out=outside, root=root)
    for folder, its_base in ((root / "adapter", named), (root / "second", str(root / "adapter"))):
        folder.mkdir()
        config = {"base_model_name_or_path": its_base}
        (folder / "adapter_config.json").write_text(json.dumps(config))
        if named == str(root / "adapter"):  # it names itself: nothing to find, and no endless way
            assert sources.folder(str(folder)) == folder
            continue
        with pytest.raises(SourceRefused, match="the base of the adapter"):
            sources.folder(str(folder))


@pytest.mark.parametrize("base", ["Qwen/Qwen3-0.6B", "tiny-arithmetic", "{root}/whole"])
def test_an_adapter_of_what_is_allowed_is_read(settings: Settings, root: Path, base: str):
    sources = allowing(settings, local_roots=str(root), hub_organisations="Qwen")
    model(root / "whole")
    (root / "adapter").mkdir()
    config = {"base_model_name_or_path": base.format(root=root)}
    (root / "adapter/adapter_config.json").write_text(json.dumps(config))
    assert sources.folder(f"{root}/adapter") == root / "adapter"


@pytest.mark.parametrize("shard", ["../secret/model.safetensors", "/etc/hosts", "..", 7])
def test_a_sharded_models_index_may_name_only_files_in_its_folder(
    sources: AllowedSources, root: Path, shard: object
):
    sharded = model(root / "sharded")
    index = sharded / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors"}}))
    assert sources.folder(str(sharded)) == sharded
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors", "b": shard}}))
    with pytest.raises(
        SourceRefused, match=f"refers to '{shard}', which is not a file in the folder"
    ):
        sources.folder(str(sharded))


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../b", "a/..", "./a", "a/b/c", "a", "", "-a/b", ".a/b", "a//b", "a\\b/c", "a/b\n"],
)
def test_an_invalid_hub_id_is_refused(sources: AllowedSources, name: str):
    with pytest.raises(SourceRefused, match="not a valid hub id"):
        sources.check_hub(name)


def test_the_hub_is_open_to_all_or_some_organisations_or_none(settings: Settings):
    allowing(settings).check_hub("Qwen/Qwen3-0.6B")
    some = allowing(settings, hub_organisations="qwen, openai")
    some.check_hub("Qwen/Qwen3-0.6B")
    some.check_hub("openai/gsm8k")
    with pytest.raises(SourceRefused, match=r"'evil'.*openai, qwen"):
        some.check_hub("evil/qwen")
    with pytest.raises(SourceRefused, match="allowed: none"):
        allowing(settings, hub_organisations="").check_hub("Qwen/Qwen3-0.6B")
    with pytest.raises(SourceRefused, match="DUET_ALLOW_HUB"):
        allowing(settings, allow_hub=False).check_hub("Qwen/Qwen3-0.6B")


@pytest.mark.parametrize(
    ("allowed", "name", "taken"),
    [
        ("openai/gsm8k", "openai/gsm8k", True),
        ("openai/gsm8k", "OpenAI/GSM8K", True),
        ("openai/gsm8k", "openai/gsm8k-2", False),
        ("openai/gsm8k, mine/*", "mine/rows", True),
        ("mine/*", "mine-too/rows", False),
        ("*", "someone/rows", True),
    ],
)
def test_data_sets_of_the_hub_are_named_by_the_operator(
    settings: Settings, session: Session, allowed: str, name: str, taken: bool
):
    for number in range(2):
        keys.create_project(session, f"project {number}")
    sources = allowing(settings, allowed_datasets=allowed)
    several = partial(has_several_projects, session)
    if taken:
        sources.check_dataset(name, several_projects=several)
    else:
        with pytest.raises(SourceRefused, match="DUET_ALLOWED_DATASETS"):
            sources.check_dataset(name, several_projects=several)


def test_with_several_projects_only_listed_data_sets_are_allowed(
    settings: Settings, session: Session
):
    def check(name: str, **more: Any) -> None:
        several = partial(has_several_projects, session)
        allowing(settings, **more).check_dataset(name, several_projects=several)

    keys.create_project(session, "first")
    check("openai/gsm8k")
    with pytest.raises(SourceRefused, match="not a valid hub id"):
        check("../gsm8k")
    with pytest.raises(SourceRefused, match="DUET_ALLOW_HUB"):
        check("a/b", allow_hub=False, allowed_datasets="*")
    keys.create_project(session, "second")
    with pytest.raises(SourceRefused, match=r"several projects.*DUET_ALLOWED_DATASETS"):
        check("openai/gsm8k")


@pytest.mark.parametrize("place", ["a/b/c/vocab.json", "x/y"])
def test_no_link_points_outside_at_any_depth(
    sources: AllowedSources, root: Path, tmp_path: Path, place: str
):
    inside = model(root / "deep")
    (inside / place).parent.mkdir(parents=True)
    (inside / place).symlink_to(tmp_path)
    with pytest.raises(SourceRefused, match="is a symbolic link that points outside the folder"):
        sources.folder(str(inside))


def test_a_folder_whose_files_name_outside_paths_is_refused(sources: AllowedSources, root: Path):
    inside = model(root / "named")
    config = {"tokenizer_file": str(root / "other.json")}
    (inside / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(
        SourceRefused, match=r"tokenizer_config\.json refers to .*, which is not a file"
    ):
        sources.folder(str(inside))
