"""A project's hub token is passed only to trainers of its own jobs."""

import json
import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from store.access import keys, project_secrets
from store.ids import encode, new_id
from store.tables import Attempt, Job, Project
from tests.hub import serving_hub
from tests.service.worker.conftest import Desk
from worker.attempt.hub_access import project_caches, with_token
from worker.attempt.preparation import Prepared
from worker.attempt.trainer_environment import NO_STORED_TOKEN, trainer_environment
from worker.context import WorkerContext

KEY, OTHER_KEY = (urlsafe_b64encode(letter * 32).decode() for letter in (b"k", b"o"))
WORKERS = {
    "HF_TOKEN": "hf_of-the-operator",
    "HUGGING_FACE_HUB_TOKEN": "hf_of-the-operator",
    "DUET_SECRETS_KEY": KEY,
}
VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
READ = """
from grpo.data.hub import read_hub
from grpo.errors import RunError
from grpo.spec.data import DataSource
try:
    print(next(read_hub(DataSource(source="owner/gated"), split="train")).fields)
except RunError as error:
    print(error.code, error.message)
"""


@pytest.fixture
def context(context: WorkerContext, tmp_path: Path) -> WorkerContext:
    settings = context.settings.model_copy(update={"secrets_key": KEY})
    home = {"HF_HOME": str(tmp_path / "home")}
    environment = trainer_environment({**os.environ, **WORKERS, **home}, named=[])
    return replace(context, settings=settings, environment=environment)


def put(desk: Desk, project: Project, value: str, name: str = "HF_TOKEN") -> None:
    with desk.context.database.session() as session:
        project_secrets.put(session, desk.context.cipher, project.id, name, value)


def environment_of(desk: Desk, job: Job) -> Mapping[str, str]:
    """Return the environment of the last attempt's trainer."""
    told = [one.payload["text"] for one in desk.records(job.id) if one.kind == "message"]
    return json.loads(told[-1])


def test_a_trainer_gets_its_own_projects_current_token(desk: Desk):
    with desk.context.database.session() as session:
        theirs = keys.create_project(session, "theirs")
    put(desk, theirs, "hf_theirs")
    put(desk, desk.project, "another", name="OTHER_KEY")
    desk.submit("environment complete")
    given = environment_of(desk, desk.run())
    assert "HF_TOKEN" not in given
    assert given.items() >= NO_STORED_TOKEN.items()

    desk.submit("environment complete")  # queued before the token is there
    put(desk, desk.project, "hf_first")
    put(desk, desk.project, "hf_second")
    job = desk.run()
    given = environment_of(desk, job)
    assert given["HF_TOKEN"] == "hf_second"
    cache = Path(desk.context.environment["HF_HOME"], "projects", encode("proj", desk.project.id))
    assert given["HF_HUB_CACHE"] == str(cache / "hub")
    assert given["HF_XET_CACHE"] == str(cache / "xet")
    assert cache.stat().st_mode & 0o077 == 0
    assert not given.keys() & {*NO_STORED_TOKEN, "HUGGING_FACE_HUB_TOKEN", "DUET_SECRETS_KEY"}
    assert not {"hf_theirs", "another", "hf_of-the-operator", KEY} & set(given.values())


def test_the_token_is_in_no_file_record_or_command(desk: Desk, capfd: pytest.CaptureFixture[str]):
    put(desk, desk.project, "hf_canary")
    desk.submit("step save step crash")
    job = desk.run()
    assert job.status == "queued"
    folder = desk.context.settings.runs_dir.parent
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "spec.json" for path in files)
    told = [str(record.payload) for record in desk.records(job.id)]
    content = [path.read_bytes().decode(errors="replace") for path in files]
    assert "hf_canary" not in "\n".join([*content, *told, str(job.spec), *capfd.readouterr()])


def test_a_worker_that_cannot_decrypt_reports_it_and_the_job_waits_for_another(desk: Desk):
    put(desk, desk.project, "hf_canary")
    job_id = desk.submit("complete")
    able = desk.context
    for unable in ("", OTHER_KEY):
        settings = able.settings.model_copy(update={"secrets_key": unable})
        desk.context = replace(able, settings=settings)
        job = desk.run()
        assert (job.status, job.failures) == ("queued", 1 if unable == "" else 2)
        with able.database.session() as session:
            error = session.get_one(Attempt, (job_id, job.attempt)).error
        assert error is not None
        assert error["code"] == "secret_unreadable"
        assert "DUET_SECRETS_KEY" in error["message"]
        assert "hf_canary" not in str(error)
    desk.context = able
    assert desk.run().status == "succeeded"


def test_a_download_with_one_projects_token_is_not_visible_to_another(tmp_path: Path):
    """The hub's client sends no request for cached files."""
    with serving_hub({"datasets/owner/gated": {"train.jsonl": b'{"a": 1}\n'}}) as hub:
        hub.token = "hf_allowed"
        given = trainer_environment(
            {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}, named=[]
        )
        ours, theirs = new_id(), new_id()
        allowed = with_token(given, hub.token, project_id=ours)
        refused = with_token(given, "hf_refused", project_id=theirs)
        found = [_read(each) for each in (allowed, refused, given)]
    assert found[0] == "{'a': 1}\n"
    assert list((tmp_path / "home/projects" / encode("proj", ours)).rglob("train.jsonl"))
    assert not list((tmp_path / "home/hub").rglob("train.jsonl"))
    for answer in found[1:]:
        assert answer.startswith("bad_data the data set owner/gated cannot be fetched")


def _read(environment: Mapping[str, str]) -> str:
    command = [sys.executable, "-c", READ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "hf_allowed" not in done.stdout + done.stderr
    assert "hf_refused" not in done.stdout + done.stderr
    return done.stdout


OFFLINE = """
import importlib, json, os, sys
from huggingface_hub import constants
for named in json.load(sys.stdin):
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        os.environ.pop(name, None)
    os.environ.update(named)
    print(json.dumps(importlib.reload(constants).HF_HUB_OFFLINE))
"""


def test_the_shared_cache_is_used_wherever_the_hubs_client_is_offline(tmp_path: Path):
    values = (None, "", "0", "1", "true", "Yes", "on", "2")
    cases = [
        {name: value for name, value in zip(VARIABLES, pair, strict=True) if value is not None}
        for pair in product(values, repeat=2)
    ]
    command = [sys.executable, "-c", OFFLINE]
    asked = subprocess.run(
        command, input=json.dumps(cases), capture_output=True, text=True, check=True
    )
    offline = [json.loads(line) for line in asked.stdout.splitlines()]
    assert {True, False} == set(offline)
    for case, shared in zip(cases, offline, strict=True):
        given = with_token({**case, "HF_HOME": str(tmp_path)}, "hf_x", project_id=new_id())
        assert ("HF_HUB_CACHE" not in given) is shared, case


@pytest.mark.parametrize(
    ("named", "folder"),
    [
        ({"HF_HOME": "/models"}, "/models/projects"),
        ({"HF_HOME": "/models", "HF_HUB_CACHE": "/shared"}, "/models/projects"),
        ({"HF_HUB_CACHE": "/shared"}, "/shared/projects"),
        ({"XDG_CACHE_HOME": "/caches"}, "/caches/huggingface/projects"),
        ({"HF_HOME": "", "XDG_CACHE_HOME": ""}, "~/.cache/huggingface/projects"),
        ({"HF_HOME": "~/models"}, "~/models/projects"),
    ],
)
def test_the_projects_caches_are_beside_the_shared_one(named: Mapping[str, str], folder: str):
    assert project_caches(named) == Path(folder).expanduser()


def test_a_trainer_that_is_to_start_shows_no_token(tmp_path: Path):
    environment = with_token({"HF_HOME": str(tmp_path)}, "hf_canary", project_id=new_id())
    assert "hf_canary" not in repr(Prepared(["python"], environment))
