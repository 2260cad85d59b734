"""`/metrics` as Prometheus reads it."""

import re
from pathlib import Path

import httpx
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from store import workers
from store.database.database import Database
from store.ids import new_id
from store.jobs import reaper
from tests.service.api.test_fleet import claim, enrol
from tests.service.api.test_jobs import submit

ALERTS = Path(__file__).parents[3] / "deploy" / "alerts.yml"


def scraped(url: str) -> dict[tuple[str, str], float]:
    """Return values by name and label value; empty without a label."""
    answer = httpx.get(f"{url}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_every_number_is_what_the_database_holds(url: str, http: httpx.Client, database: Database):
    draining, busy = enrol(database), enrol(database, slots=3)
    with database.session() as session:
        workers.drain(session, draining, leave=False)
    for _ in range(3):
        submit(http)
    submit(http, resources={"queue": "other", "not_before": "2999-01-01T00:00:00Z"})
    claim(database, busy)
    claim(database, busy)
    with database.engine.begin() as connection:
        connection.execute(
            text(
                "update jobs set lease_expires_at = now() - interval '1 s' where id = "
                "(select min(id::text)::uuid from jobs where status = 'running')"
            )
        )
        connection.execute(text("update attempts set ended_at = now(), outcome = 'lost'"))
    with database.session() as session:
        reaper.reap(session, outage_seconds=30, lease_seconds=60)
    now = scraped(url)
    assert now["duet_jobs", "running"] == 2
    assert now["duet_jobs", "queued"] == 2
    assert now["duet_jobs", "failed"] == 0
    assert (now["duet_attempts", "lost"], now["duet_attempts", "running"]) == (2, 0)
    assert (now["duet_workers", "active"], now["duet_workers", "draining"]) == (1, 1)
    assert [now["duet_leases", state] for state in ("held", "expiring", "expired")] == [1, 0, 1]
    assert (now["duet_queue_queued_jobs", "other"], now["duet_queue_due_jobs", "other"]) == (1, 0)
    assert now["duet_queue_oldest_wait_seconds", "other"] == 0
    assert now["duet_queue_due_jobs", "default"] == 1
    assert 0 < now["duet_queue_oldest_wait_seconds", "default"] < 60
    assert (now["duet_queue_workers", "default"], now["duet_queue_free_slots", "default"]) == (1, 1)
    assert 0 <= now["duet_sweep_age_seconds", ""] < 60
    assert now["duet_webhook_deliveries_due", ""] == 0


def test_a_due_delivery_is_counted_from_when_it_was_due(
    url: str, http: httpx.Client, database: Database
):
    submit(http)
    with database.engine.begin() as connection:
        connection.execute(
            text(
                "with hook as (insert into webhooks (id, project_id, created_by, url, events, "
                "secret) select :hook, project_id, created_by, 'https://example.org', '{}', 's' "
                "from jobs limit 1 returning id) "
                "insert into deliveries (id, webhook_id, event, payload, next_try_at) "
                "select gen_random_uuid(), id, 'e', '{}', now() + wait from hook, "
                "(values (interval '-90 s'), (interval '-5 s'), (interval '1 h')) as due (wait)"
            ),
            {"hook": new_id()},
        )
    now = scraped(url)
    assert now["duet_webhook_deliveries_due", ""] == 2
    assert 90 <= now["duet_webhook_oldest_delivery_seconds", ""] < 150


def test_every_alert_uses_exported_metrics(url: str, http: httpx.Client, database: Database):
    enrol(database)
    submit(http)
    with database.session() as session:
        reaper.reap(session, outage_seconds=30, lease_seconds=60)
    told = {name for name, _ in scraped(url)}
    [group] = yaml.safe_load(ALERTS.read_text())["groups"]
    for rule in group["rules"]:
        asked = set(re.findall(r"\bduet_\w+", rule["expr"]))
        assert asked, rule["alert"]
        assert asked <= told, rule["alert"]
        assert rule["annotations"]["summary"]
