"""The file of a server is used only if no other user can have written it."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from duet.discovery import Server, find_server, running_server
from duet.errors import Refused, Unreachable
from duet.local.state import State
from duet.server_file import read_server_file

HERE = {"url": "http://127.0.0.1:8000", "key": "duet_here", "pids": {"up": 1}}
STRANGER = 65_534
ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="only root gives files away")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file as written by `duet up`, in a parent of the user's folder."""
    folder = tmp_path / ".duet"
    folder.mkdir(mode=0o700)
    written = folder / "server.json"
    written.write_text(json.dumps(HERE))
    written.chmod(0o600)
    (tmp_path / "a" / "b").mkdir(parents=True)
    return written


def found(file: Path) -> Server:
    start = file.parent.parent / "a" / "b"
    return find_server(url=None, key=None, start=start, environment={})


def test_a_discovered_server_includes_its_file(file: Path):
    assert found(file).named_by == str(file)


def test_the_environment_is_named_as_well():
    told = {"DUET_URL": "http://elsewhere", "DUET_API_KEY": "duet_k"}
    assert find_server(url=None, key=None, environment=told).named_by == "DUET_URL"
    assert find_server(url="http://elsewhere", key=None, environment=told).named_by == "DUET_URL"
    assert find_server(url="http://given", key="duet_k", environment=told).named_by is None


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666, 0o660])
def test_a_file_that_others_can_write_is_refused(file: Path, mode: int):
    file.chmod(mode)
    with pytest.raises(Refused, match=r"server\.json can be written by other users .*chmod go-w"):
        found(file)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777, 0o720])
def test_a_folder_that_others_can_write_is_refused(file: Path, mode: int):
    file.parent.chmod(mode)
    with pytest.raises(Refused, match=r"\.duet can be written by other users"):
        found(file)


def give_file(file: Path) -> None:
    os.chown(file, STRANGER, STRANGER)


def give_folder(file: Path) -> None:
    os.chown(file.parent, STRANGER, STRANGER)


def give_linked_folder(file: Path) -> None:
    """Another user's link to our own folder elsewhere."""
    elsewhere = file.parent.parent / "elsewhere"
    file.parent.rename(elsewhere)
    file.parent.symlink_to(elsewhere)
    os.lchown(file.parent, STRANGER, STRANGER)


def give_folder_behind_our_link(file: Path) -> None:
    elsewhere = file.parent.parent / "elsewhere"
    file.parent.rename(elsewhere)
    file.parent.symlink_to(elsewhere)
    os.chown(elsewhere, STRANGER, STRANGER)


@needs_root
@pytest.mark.parametrize(
    "plant", [give_file, give_folder, give_linked_folder, give_folder_behind_our_link]
)
def test_a_file_of_another_user_is_refused(file: Path, plant: Callable[[Path], None]):
    plant(file)
    with pytest.raises(Refused, match=rf"belongs to another user \(uid {STRANGER}\)"):
        found(file)


@needs_root
def test_roots_file_is_trusted_and_another_users_is_not(file: Path):
    for above in (file, *file.parents):
        above.chmod(above.stat().st_mode | 0o055)
        if above == Path("/tmp"):
            break
    assert as_user(STRANGER, file) == "found"
    os.chown(file, 1234, 1234)
    assert as_user(STRANGER, file) == "refused"
    os.chown(file.parent, 1234, 1234)
    file.parent.chmod(0o700)
    assert as_user(STRANGER, file) == "refused", "a folder that cannot be looked into"


def as_user(uid: int, file: Path) -> str:
    """Run the search as that user, in a child process, and return the result."""
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        try:
            found(file)
            os._exit(0)
        except Refused:
            os._exit(1)
        except BaseException:  # noqa: BLE001 - the parent hears of it by the code
            os._exit(2)
    return {0: "found", 1: "refused"}.get(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "?")


def test_a_link_in_the_files_stead_is_refused(file: Path, tmp_path: Path):
    file.rename(tmp_path / "elsewhere.json")
    file.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(Refused, match=r"server\.json cannot be read"):
        found(file)


def test_a_pipe_or_a_folder_does_not_block(file: Path):
    file.unlink()
    os.mkfifo(file, 0o600)
    with pytest.raises(Refused):
        found(file)
    file.unlink()
    file.mkdir()
    with pytest.raises(Refused):
        found(file)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'"duet"',
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"url": 1, "key": "duet_k"}',
        b'{"url": "http://x"}',
        b'{"url": "http://x", "key": null}',
        b" " * 100_000 + json.dumps(HERE).encode(),
    ],
)
def test_content_that_is_not_what_up_writes_is_refused(file: Path, content: bytes):
    file.write_bytes(content)
    with pytest.raises(Refused, match=r"server\.json (is not valid JSON|was not written)"):
        found(file)


def test_a_parent_without_a_file_is_passed_over(file: Path):
    (file.parent.parent / "a" / ".duet").write_text("a file of that name")
    assert found(file) == Server(HERE["url"], HERE["key"])
    assert read_server_file(file.parent.parent / "nowhere") == {}


def test_a_folder_without_a_server_is_reported(file: Path):
    file.write_text(json.dumps({"key": "duet_here"}))
    with pytest.raises(Unreachable, match="is not running"):
        running_server(file.parent)


def test_a_state_folder_of_another_user_is_refused(tmp_path: Path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    with (
        pytest.raises(Refused, match="can be written by other users"),
        State(tmp_path / "state").locked(),
    ):
        pass
