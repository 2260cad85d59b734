"""A worker removes the caches of the hub that projects no longer use."""

import os
import time
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from store.access import keys, project_secrets
from store.ids import encode, new_id
from tests.service.worker.conftest import Desk
from tests.waiting import wait_until
from worker.context import WorkerContext
from worker.maintenance.hub_cache_removal import remove_hub_caches

DAY = 86_400


@pytest.fixture
def context(context: WorkerContext, tmp_path: Path) -> WorkerContext:
    settings = context.settings.model_copy(update={"runs_keep_days": 7})
    environment = {**context.environment, "HF_HOME": str(tmp_path / "home")}
    return replace(context, settings=settings, environment=environment)


def cache_of(desk: Desk, project_id: UUID, *, seconds_ago: float, suffix: str = "") -> Path:
    """Return a project's cache, last used then."""
    name = encode("proj", project_id) + suffix
    cache = Path(desk.context.environment["HF_HOME"], "projects", name)
    (cache / "hub" / "blobs").mkdir(parents=True)
    (cache / "hub" / "blobs" / "abc").write_text("weights")
    then = time.time() - seconds_ago
    for path in (*cache.rglob("*"), cache):
        os.utime(path, (then, then))
    return cache


def put_token(desk: Desk, project_id: UUID) -> None:
    with desk.context.database.session() as session:
        project_secrets.put(session, desk.context.cipher, project_id, "HF_TOKEN", "hf_x")


def test_a_cache_goes_with_its_token_and_others_stay(desk: Desk):
    with desk.context.database.session() as session:
        other = keys.create_project(session, "other").id
        project_secrets.put(session, desk.context.cipher, desk.project.id, "JUDGE_KEY", "x")
    put_token(desk, other)
    ours = cache_of(desk, desk.project.id, seconds_ago=100)
    kept = [
        cache_of(desk, other, seconds_ago=6 * DAY),
        cache_of(desk, new_id(), seconds_ago=100 * DAY),  # of another server on this machine
    ]
    notes = ours.with_name("notes")
    notes.mkdir()
    assert remove_hub_caches(desk.context) == 1
    assert not ours.exists()
    assert sorted(ours.parent.iterdir()) == sorted([*kept, notes])


def test_a_cache_that_was_long_unused_goes_though_there_is_a_token(desk: Desk):
    put_token(desk, desk.project.id)
    cache = cache_of(desk, desk.project.id, seconds_ago=8 * DAY)
    assert remove_hub_caches(desk.context) == 1
    assert list(cache.parent.iterdir()) == []


@pytest.mark.parametrize("has_token", [True, False])
def test_a_cache_stays_while_a_job_of_its_project_runs(desk: Desk, has_token: bool):
    put_token(desk, desk.project.id)
    desk.submit("gate complete")
    claim, thread = desk.start()
    cache = Path(desk.context.environment["HF_HOME"], "projects", encode("proj", desk.project.id))
    wait_until(lambda: (desk.folder(claim) / "spec.json").exists() and cache.exists())
    if not has_token:
        with desk.context.database.session() as session:
            project_secrets.delete(session, desk.project.id, "HF_TOKEN")
    os.utime(cache, (0, 0))
    assert remove_hub_caches(desk.context) == 0
    (desk.folder(claim) / "open").touch()
    thread.join()
    assert remove_hub_caches(desk.context) == 0, "used a moment ago"
    os.utime(cache, (0, 0))
    assert remove_hub_caches(desk.context) == 1
    assert not cache.exists()


def test_a_cache_of_a_job_that_is_about_to_start_stays(desk: Desk):
    cache = cache_of(desk, desk.project.id, seconds_ago=0)
    assert remove_hub_caches(desk.context) == 0
    assert cache.exists()


def test_a_removal_that_was_interrupted_is_completed(desk: Desk):
    put_token(desk, desk.project.id)
    cache = cache_of(desk, desk.project.id, seconds_ago=100)
    left = cache_of(desk, desk.project.id, seconds_ago=0, suffix=".removed")
    assert remove_hub_caches(desk.context) == 1
    assert (cache.exists(), left.exists()) == (True, False)


def test_a_link_in_a_caches_place_is_not_followed(desk: Desk, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    cache = Path(desk.context.environment["HF_HOME"], "projects", encode("proj", desk.project.id))
    cache.parent.mkdir(parents=True)
    cache.symlink_to(elsewhere)
    os.utime(elsewhere, (0, 0))
    assert remove_hub_caches(desk.context) == 0
    assert elsewhere.exists()


def test_without_any_cache_there_is_nothing_to_remove(desk: Desk):
    assert remove_hub_caches(desk.context) == 0
