"""No secret is exposed in records, logs, responses, files or the trainer's environment."""

from pathlib import Path

import httpx
import pytest
from sqlalchemy import make_url, text

from store.database.database import Database
from store.settings import Settings
from store.tables import Job
from tests.faults.conftest import WorkerProcess
from tests.service.api.conftest import client, make_key, serving
from tests.service.receiver import receiving
from tests.waiting import wait_until

CLOUD = "canary-of-the-cloud"
WORKER = Path(__file__).with_name("scripted_worker.py")
EVENTS = ["job.succeeded", "job.failed"]


def ended(http: httpx.Client, job: str) -> bool:
    return http.get(f"/v1/jobs/{job}").json()["status"] in ("succeeded", "failed")


def answers(http: httpx.Client, job: str, webhook: str) -> str:
    """Return everything that the API shows of a job and its surroundings."""
    of_job = ("", "/records", "/attempts", "/logs", "/metrics", "/checkpoints", "/samples")
    around = (
        "jobs",
        "workers",
        "queue",
        "keys",
        "webhooks",
        "me",
        f"webhooks/{webhook}/deliveries",
    )
    paths = [*(f"/v1/jobs/{job}{part}" for part in of_job), *(f"/v1/{path}" for path in around)]
    return "\n".join(http.get(path).text for path in ("/metrics", "/readyz", *paths))


def stored(database: Database) -> str:
    """Return every row except webhooks, which contain signing secrets."""
    tables = [name for name in Job.metadata.tables if name != "webhooks"]
    with database.session() as session:
        return "\n".join(
            row
            for name in tables
            for row in session.scalars(text(f"select row_to_json(t)::text from {name} t"))
        )


def on_disk(folder: Path) -> str:
    files = (path for path in folder.rglob("*") if path.is_file())
    return "\n".join(path.read_bytes().decode(errors="replace") for path in files)


def test_no_secret_is_exposed_in_a_jobs_whole_life(
    settings: Settings,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CLOUD)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "SOMETHING_OF_THE_WORKERS_OWN"):
        monkeypatch.setenv(name, CLOUD)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization={CLOUD}")
    password = make_url(settings.database_url).password
    assert isinstance(password, str)
    settings = settings.model_copy(update={"webhooks_allow_private": True})
    key = make_key(database, "ours", "read", "submit", "admin")
    worker = WorkerProcess(settings, tmp_path / "worker.log", script=WORKER)
    try:
        with receiving() as receiver, serving(settings) as address, client(address, key) as http:
            hook = http.post("/v1/webhooks", json={"url": receiver.url, "events": EVENTS}).json()
            jobs = [
                http.post(
                    "/v1/jobs",
                    json={"labels": {"script": script}, "resources": {"max_failures": 1}},
                ).json()["id"]
                for script in ("environment step complete", "environment step crash")
            ]
            for job in jobs:
                wait_until(lambda job=job: ended(http, job))
            told = "\n".join(answers(http, job, hook["id"]) for job in jobs)
    finally:
        worker.end()
    everything = "\n".join((told, stored(database), on_disk(tmp_path), *capfd.readouterr()))
    assert "OMP_NUM_THREADS" in told, "the trainer told its environment"
    for secret in (password, CLOUD, key, hook["secret"], settings.redis_url):
        assert secret not in everything
