"""What a spec may have the server read: folders below the roots, and of the hub what is allowed."""

from pathlib import Path

import pytest

from store.allowed_sources import AllowedSources, SourceRefused
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
    """As the hub's own cache has them."""
    inside = model(root / "snapshot")
    (root / "blob").write_text("weights")
    (inside / "model.safetensors").symlink_to("../blob")
    (root / "latest").symlink_to(inside)
    assert sources.folder(str(root / "latest")) == inside


def test_no_path_leaves_the_root(sources: AllowedSources, root: Path, tmp_path: Path):
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
def test_no_link_in_a_folder_leads_out(
    sources: AllowedSources, root: Path, tmp_path: Path, place: str
):
    outside = model(tmp_path / "secret")
    inside = root / "qwen"
    (inside / place).parent.mkdir(parents=True)
    (inside / place).symlink_to(outside / "config.json" if "." in place else outside)
    with pytest.raises(SourceRefused, match=f"'{place}' in .* is a link that leads elsewhere"):
        sources.folder(str(inside))


def test_without_roots_no_folder_is_read(settings: Settings, root: Path):
    with pytest.raises(SourceRefused):
        allowing(settings, local_roots="").folder(str(root))


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../b", "a/..", "./a", "a/b/c", "a", "", "-a/b", ".a/b", "a//b", "a\\b/c", "a/b\n"],
)
def test_what_is_no_hub_id_is_not_taken_for_one(sources: AllowedSources, name: str):
    with pytest.raises(SourceRefused, match="no hub id"):
        sources.check_hub(name)


def test_the_hub_is_open_to_all_or_some_organisations_or_none(settings: Settings):
    allowing(settings).check_hub("Qwen/Qwen3-0.6B")
    some = allowing(settings, hub_organisations="qwen, openai")
    some.check_hub("Qwen/Qwen3-0.6B")
    some.check_hub("openai/gsm8k")
    with pytest.raises(SourceRefused, match=r"'evil'.*openai, qwen"):
        some.check_hub("evil/qwen")
    with pytest.raises(SourceRefused, match="of none"):
        allowing(settings, hub_organisations="").check_hub("Qwen/Qwen3-0.6B")
    with pytest.raises(SourceRefused, match="DUET_ALLOW_HUB"):
        allowing(settings, allow_hub=False).check_hub("Qwen/Qwen3-0.6B")
