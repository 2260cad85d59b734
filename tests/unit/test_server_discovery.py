"""Discovery of a command's server, and locking of a state folder."""

from pathlib import Path

import pytest

from duet.discovery import Server, find_server
from duet.errors import Refused, Unreachable
from duet.local.state import State

HERE = Server("http://127.0.0.1:8000", "duet_here")


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = State(tmp_path / ".duet")
    with state.locked():
        state.write_server(HERE, {"up": 1})
    return state


def test_explicit_options_win(state: State):
    found = find_server(
        url="http://elsewhere", key="duet_k", start=state.folder.parent, environment={}
    )
    assert found == Server("http://elsewhere", "duet_k")


def test_the_nearest_folder_upwards_is_found(state: State):
    assert (
        find_server(url=None, key=None, start=state.folder.parent / "a" / "b", environment={})
        == HERE
    )


def test_a_key_alone_replaces_the_folders_own(state: State):
    found = find_server(url=None, key="duet_k", start=state.folder.parent, environment={})
    assert found == Server(HERE.url, "duet_k")


def test_a_folders_key_is_never_sent_to_another_server(state: State):
    with pytest.raises(Unreachable, match="no key for http://elsewhere: give --key"):
        find_server(url="http://elsewhere", key=None, start=state.folder.parent, environment={})


def test_the_environment_is_read_before_the_folder(state: State):
    named = {"DUET_URL": "http://elsewhere/", "DUET_API_KEY": "duet_k"}
    found = find_server(url=None, key=None, start=state.folder.parent, environment=named)
    assert found == Server("http://elsewhere", "duet_k")
    found = find_server(url="http://given", key=None, start=state.folder, environment=named)
    assert found == Server("http://given", "duet_k")


def test_a_server_that_was_stopped_is_not_spoken_to(state: State):
    state.write_stopped(HERE)
    assert state.read_key() == "duet_here"
    with pytest.raises(Unreachable, match="start it with `duet up`"):
        find_server(url=None, key=None, start=state.folder.parent, environment={})


def test_without_a_server_the_message_says_what_to_do(tmp_path: Path):
    with pytest.raises(Unreachable, match=r"DUET_URL and DUET_API_KEY"):
        find_server(url=None, key=None, start=tmp_path, environment={})


def test_only_its_owner_may_read_the_file_with_the_key(state: State):
    assert (state.folder / "server.json").stat().st_mode & 0o777 == 0o600


def test_a_folder_is_held_by_one_process(state: State):
    with state.locked():
        assert state.running
        with pytest.raises(Refused, match=r"another `duet up` \(process \d+\) runs on"):
            state.locked().__enter__()
    assert not state.running
