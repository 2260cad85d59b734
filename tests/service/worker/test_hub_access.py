"""A project's hub token is passed only to trainers of its own jobs."""

import json
import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from store.access import keys, project_secrets
from store.ids import encode, new_id
from store.tables import Attempt, Job, Project
from tests.hub import serving_hub
from tests.service.worker.conftest import Desk
from worker.attempt.hub_access import with_token
from worker.attempt.trainer_environment import NO_STORED_TOKEN, trainer_environment
from worker.context import WorkerContext

KEY, OTHER_KEY = (urlsafe_b64encode(letter * 32).decode() for letter in (b"k", b"o"))
WORKERS = {
    "HF_TOKEN": "hf_of-the-operator",
    "HUGGING_FACE_HUB_TOKEN": "hf_of-the-operator",
    "DUET_SECRETS_KEY": KEY,
}
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
def context(context: WorkerContext) -> WorkerContext:
    settings = context.settings.model_copy(update={"secrets_key": KEY})
    environment = trainer_environment({**os.environ, **WORKERS}, named=[])
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
    cache = Path(given["HF_HUB_CACHE"])
    assert cache.parent == desk.context.settings.runs_dir / "hub"
    assert cache.name == encode("proj", desk.project.id)
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
        allowed = with_token(given, hub.token, project_id=ours, runs_dir=tmp_path)
        refused = with_token(given, "hf_refused", project_id=theirs, runs_dir=tmp_path)
        found = [_read(each) for each in (allowed, refused, given)]
    assert found[0] == "{'a': 1}\n"
    assert (tmp_path / "hub" / encode("proj", ours)).is_dir()
    assert not list((tmp_path / "home").rglob("train.jsonl"))
    for answer in found[1:]:
        assert answer.startswith("bad_data the data set owner/gated cannot be fetched")


def _read(environment: Mapping[str, str]) -> str:
    command = [sys.executable, "-c", READ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "hf_allowed" not in done.stdout + done.stderr
    assert "hf_refused" not in done.stdout + done.stderr
    return done.stdout


def test_offline_the_shared_cache_is_used(tmp_path: Path):
    for value, shared in (("1", True), ("true", True), ("0", False), ("", False)):
        given = with_token(
            {"HF_HUB_OFFLINE": value}, "hf_x", project_id=new_id(), runs_dir=tmp_path
        )
        assert ("HF_HUB_CACHE" not in given) is shared
