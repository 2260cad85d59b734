"""A command line in the test's own process, and what its tests begin with."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from duet.cli import main
from store.settings import Settings
from tests.service.api.hand import Hand


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhooks_allow_private": True, "reward_hosts": "127.0.0.1"})


@dataclass(frozen=True)
class Done:
    stdout: str
    stderr: str


Duet = Callable[..., Done]


@pytest.fixture
def duet(
    url: str,
    key: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Duet:
    """Runs a command that is to end with `code`, in a terminal's width: the whole of the installed
    command but its process, which takes a second to start."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, code: int | None = 0, columns: int = 80, **added: str) -> Done:
        given = {"DUET_URL": url, "DUET_API_KEY": key, "COLUMNS": str(columns)} | added
        with monkeypatch.context() as patch:
            for name, value in given.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["duet", *map(str, arguments)])
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        said = capsys.readouterr()
        assert code is None or (ended.value.code or 0) == code, said.err
        return Done(said.out, said.err)

    return run


@pytest.fixture
def trained(http: httpx.Client, claims: Callable[[], Hand]) -> Callable[..., Hand]:
    """Return a job with one step per score; costs are per step."""

    def train(name: str, group_size: int, rollouts: int, scores: list[float]) -> Hand:
        spec = {"name": name, "algorithm": {"group_size": group_size}}
        assert http.post("/v1/jobs", json=spec).status_code == 201
        hand = claims()
        for step, score in enumerate(scores, 1):
            hand.step(step, num_rollouts=rollouts * step, num_tokens=10 * rollouts * step)
            hand.ship(hand.entry("eval", {"eval/accuracy": score}, step))
        return hand

    return train


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text("name: mine\npreset: demo\n")
    return path
