"""A trainer gets the secrets that its job's rewards name, and may call what the operator allows."""

import json
import os
from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import Any

import pytest

from store.access import keys, project_secrets
from store.ids import encode
from store.tables import Attempt, Job, Project, ProjectSecret
from tests.reward_service import SECRET
from tests.service.worker.conftest import Desk
from worker.context import WorkerContext

KEY = urlsafe_b64encode(b"k" * 32).decode()
ALLOWED = "grader.internal:8080,10.1.0.0/16"
HTTP = {"type": "http", "url": "https://a.example/", "secret": "GRADER"}
REWARDS: list[dict[str, Any]] = [
    HTTP,
    {
        "type": "multi",
        "rewards": [{**HTTP, "name": "part", "secret": "OTHER"}],
        "calculate_output": "part",
    },
]


@pytest.fixture
def context(context: WorkerContext) -> WorkerContext:
    settings = context.settings.model_copy(update={"secrets_key": KEY, "reward_hosts": ALLOWED})
    return replace(context, settings=settings)


def put(desk: Desk, project: Project, name: str, value: str) -> None:
    with desk.context.database.session() as session:
        project_secrets.put(session, desk.context.cipher, project.id, name, value)


def told(desk: Desk, job: Job) -> Any:
    texts = [one.payload["text"] for one in desk.records(job.id) if one.kind == "message"]
    return json.loads(texts[-1])


def test_a_trainer_gets_the_secrets_that_its_rewards_name_and_no_others(desk: Desk):
    with desk.context.database.session() as session:
        theirs = keys.create_project(session, "theirs")
    put(desk, theirs, "GRADER", "theirs")
    put(desk, desk.project, "GRADER", SECRET)
    put(desk, desk.project, "OTHER", "another")
    put(desk, desk.project, "UNNAMED", "unnamed")
    desk.submit("environment complete", rewards=REWARDS)
    given = told(desk, desk.run())
    secrets = {name: value for name, value in given.items() if name.startswith("DUET_SECRET_")}
    assert secrets == {"DUET_SECRET_GRADER": SECRET, "DUET_SECRET_OTHER": "another"}

    desk.submit("environment complete")
    assert not any(name.startswith("DUET_SECRET_") for name in told(desk, desk.run()))


def test_a_rewards_secret_reaches_its_trainer_and_no_file_or_record(
    desk: Desk, capfd: pytest.CaptureFixture[str]
):
    put(desk, desk.project, "GRADER", SECRET)
    desk.submit("step save step crash", rewards=[HTTP])
    job = desk.run()
    folder = desk.context.settings.runs_dir.parent
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert any(b"GRADER" in content for content in files)  # the spec has its name
    records = [str(record.payload) for record in desk.records(job.id)]
    content = [one.decode(errors="replace") for one in files]
    assert SECRET not in "\n".join([*content, *records, str(job.spec), *capfd.readouterr()])


def test_a_trainer_may_call_only_what_the_operator_allows(desk: Desk):
    job_id = desk.submit("arguments complete", rewards=[HTTP])
    arguments = told(desk, desk.run())
    assert arguments[arguments.index("--reward-hosts") + 1] == ALLOWED
    assert arguments[arguments.index("--job") + 1] == encode("job", job_id)

    settings = desk.context.settings.model_copy(update={"reward_hosts": ""})
    desk.context = replace(desk.context, settings=settings)
    desk.submit("arguments complete")
    arguments = told(desk, desk.run())
    assert arguments[arguments.index("--reward-hosts") + 1] == ""


def test_a_later_attempt_has_the_scores_of_earlier_ones(desk: Desk):
    desk.submit("scores arguments crash", rewards=[HTTP])
    claim_folder = desk.context.settings.runs_dir.resolve()
    first = told(desk, desk.run())
    assert "--earlier" not in first
    job = desk.run()
    second = told(desk, job)
    earlier = claim_folder / encode("job", job.id) / "attempt-0001"
    assert second[second.index("--earlier") + 1] == str(earlier)


def test_a_worker_that_cannot_decrypt_a_rewards_secret_reports_it(desk: Desk):
    put(desk, desk.project, "GRADER", SECRET)
    job_id = desk.submit("complete", rewards=[HTTP])
    settings = desk.context.settings.model_copy(update={"secrets_key": ""})
    desk.context = replace(desk.context, settings=settings)
    job = desk.run()
    assert job.status == "queued"
    with desk.context.database.session() as session:
        error = session.get_one(Attempt, (job_id, job.attempt)).error
    assert error is not None
    assert error["code"] == "secret_unreadable"
    assert os.environ.get("DUET_SECRET_GRADER") is None


JUDGE = {
    "type": "judge",
    "url": "https://API.openai.com/v1",
    "model": "m",
    "mode": "score",
    "rubric": "r",
    "api_key": "OPENAI_API_KEY",
}


@pytest.mark.parametrize(
    "host", [None, "a.example", "openai.com", "evil-api.openai.com", "api.openai.com:8443"]
)
def test_a_secret_is_sent_only_to_the_host_that_it_was_set_for(desk: Desk, host: str | None):
    """Else whoever may submit a job could have it sent to an address of their own."""
    with desk.context.database.session() as session:
        own = (desk.context.cipher, desk.project.id, "OPENAI_API_KEY")
        project_secrets.put(session, *own, "sk-canary", host=host)
    job_id = desk.submit("environment complete", rewards=[JUDGE])
    job = desk.run()
    assert job.status == "failed"
    with desk.context.database.session() as session:
        error = session.get_one(Attempt, (job_id, job.attempt)).error
    assert error is not None
    assert error["code"] == "secret_missing"
    assert "--host api.openai.com" in error["message"]
    assert not any(record.kind == "message" for record in desk.records(job_id))


def test_a_judges_key_reaches_the_trainer_whose_judge_it_was_set_for(desk: Desk):
    with desk.context.database.session() as session:
        own = (desk.context.cipher, desk.project.id, "OPENAI_API_KEY")
        project_secrets.put(session, *own, "sk-canary", host="api.openai.com")
    desk.submit("environment complete", rewards=[JUDGE])
    assert told(desk, desk.run())["DUET_SECRET_OPENAI_API_KEY"] == "sk-canary"


def test_a_host_changed_in_the_database_makes_the_secret_unreadable(desk: Desk):
    with desk.context.database.session() as session:
        own = (desk.context.cipher, desk.project.id, "OPENAI_API_KEY")
        project_secrets.put(session, *own, "sk-canary", host="a.example")
        secret = session.get_one(ProjectSecret, (desk.project.id, "OPENAI_API_KEY"))
        secret.host = "api.openai.com"
    job_id = desk.submit("environment complete", rewards=[JUDGE])
    job = desk.run()
    with desk.context.database.session() as session:
        error = session.get_one(Attempt, (job_id, job.attempt)).error
    assert error is not None
    assert error["code"] == "secret_unreadable"
