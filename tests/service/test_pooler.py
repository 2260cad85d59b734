"""Behind a pooler in transaction mode a server works with a direct address, or does not start."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from store.database.database import Database
from store.database.schema import migrate
from store.settings import Settings
from tests.service.api.conftest import client, make_key, serving
from tests.service.pooler import pooler
from tests.waiting import deadline

REPOSITORY = Path(__file__).parents[2]
NAMED = "leads to a pooler that drops connection settings"


@pytest.fixture
def direct_url(database_url: str) -> str:
    return database_url.replace("+psycopg", "")


@pytest.mark.nightly
@pytest.mark.parametrize("ignored", [[], ["ignore_startup_parameters = options"]])
def test_without_a_direct_address_no_process_starts(
    settings: Settings, direct_url: str, tmp_path: Path, ignored: Sequence[str]
):
    with pooler(direct_url, tmp_path / "pooler", *ignored) as url:
        environment = {
            **os.environ,
            "DATABASE_URL": url,
            "REDIS_URL": settings.redis_url,
            "ARTIFACTS_URL": settings.artifacts_url,
        }
        for command in (
            ["api", "--port", "0"],
            ["worker"],
            ["worker", "ops"],
            ["store", "migrate"],
        ):
            ended = subprocess.run(
                [sys.executable, "-m", *command],
                env=environment,
                cwd=REPOSITORY,
                capture_output=True,
                text=True,
                timeout=deadline(120),
                check=False,
            )
            assert ended.returncode == 1, command
            [said] = ended.stderr.splitlines()
            assert NAMED in said


@pytest.mark.nightly
def test_through_a_pooler_requests_and_notifications_work(
    settings: Settings, direct_url: str, tmp_path: Path
):
    """More clients than the pooler has servers, so that statements change connections."""
    with pooler(direct_url, tmp_path / "pooler") as url:
        pooled = settings.model_copy(
            update={"database_url": url, "database_direct_url": direct_url}
        )
        database = Database.of(pooled)
        key = make_key(database, "ours", "read", "submit")
        with serving(pooled) as address, client(address, key) as http:
            made = [http.post("/v1/jobs", json={}).json()["id"] for _ in range(8)]
            for _ in range(12):  # psycopg would prepare a statement at its sixth run
                for job in made:
                    assert http.get(f"/v1/jobs/{job}").status_code == 200
            with http.stream("GET", f"/v1/jobs/{made[0]}/stream", timeout=deadline(20)) as stream:
                told = stream.iter_lines()
                assert any("queued" in line for line in told)
                httpx.post(
                    f"{address}/v1/jobs/{made[0]}/cancel",
                    headers={"Authorization": f"Bearer {key}"},
                ).raise_for_status()
                assert any("cancelled" in line for line in told)
        database.close()


@pytest.mark.nightly
def test_a_transaction_through_a_pooler_has_our_settings(direct_url: str, tmp_path: Path):
    with pooler(direct_url, tmp_path / "pooler") as url:
        database = Database(url, direct_url=direct_url)
        for _ in range(8):
            with database.session() as session, database.session() as other:
                for each in (session, other):
                    limit = each.scalar(text("show idle_in_transaction_session_timeout"))
                    assert (limit, each.scalar(text("show timezone"))) == ("10s", "UTC")
        database.close()
        migrate(database.listen_url)
