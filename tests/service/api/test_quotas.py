"""A project at its limit of queued jobs is refused with a retry time."""

import httpx

from store.access import projects
from store.access.projects import Quota
from store.database.database import Database


def test_one_job_too_many_is_refused_with_a_retry_time(
    http: httpx.Client, their_http: httpx.Client, database: Database
):
    with database.session() as session:
        projects.set_quota(session, "ours", Quota(max_running=None, max_queued=1))
    first = http.post("/v1/jobs", json={})
    assert first.status_code == 201

    once = {"Idempotency-Key": "second"}
    refused = http.post("/v1/jobs", json={}, headers=once)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    assert refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert problem["code"] == "quota_exceeded"
    assert "submit again when one of them has started, or cancel one" in problem["detail"]
    assert len(http.get("/v1/jobs").json()["data"]) == 1

    assert http.post("/v1/jobs?validate_only=true", json={}).status_code == 200
    assert their_http.post("/v1/jobs", json={}).status_code == 201
    http.post(f"{first.headers['location']}/cancel")
    assert http.post("/v1/jobs", json={}, headers=once).status_code == 201
