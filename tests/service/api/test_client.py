"""The Python client against a live server.

The synchronous one is written from the other: what they share is tested with one of them.
"""

import hashlib
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import duet
from store.access import projects
from store.access.projects import Quota
from store.artifacts.folder import FolderArtifacts
from store.database.database import Database
from store.jobs.outcomes import Failed, Stopped
from tests.service.api.conftest import make_key
from tests.service.api.hand import Hand, sample
from tests.service.api.test_exports import put_rollouts
from tests.service.both_clients import KINDS, client_of
from tests.waiting import deadline

Claims = Callable[[], Hand]
WEIGHTS = bytes(range(256)) * 40
FILES = {"model.safetensors": WEIGHTS, "deep/wörter 词.txt": b"tokens"}


of_both_kinds = pytest.mark.parametrize("client", KINDS, indirect=True)


@pytest.fixture
def client(request: pytest.FixtureRequest, url: str, database: Database) -> Iterator[duet.Client]:
    """With a key that may do everything."""
    key = make_key(database, "ours", "read", "submit", "admin", "server")
    with client_of(getattr(request, "param", "sync"), url, key) as opened:
        yield opened


@of_both_kinds
def test_a_job_from_its_spec_to_its_checkpoint(client: duet.Client, claims: Claims, tmp_path: Path):
    spec = {"preset": "demo", "labels": {"team": "a"}}
    assert client.jobs.validate(spec).total_steps == 16
    job = client.jobs.create(spec)
    assert (job.status, job.labels) == ("queued", {"team": "a"})
    assert job.queue is not None
    hand = claims()
    for step in (1, 2):
        hand.step(step, **({"eval/accuracy": 0.5} if step == 2 else {}))
    hand.ship(hand.entry("sample", sample(2, "1+1=2", "1+1=3"), 2))
    put_rollouts(hand, 1, [0, 1], tmp_path / "rollouts")
    hand.checkpoint(2, FILES, tmp_path / "made")
    hand.finish()

    assert client.jobs.wait(job.id, timeout_seconds=deadline(20)).status == "succeeded"
    records = list(client.jobs.stream(job.id))
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assert list(client.jobs.records(job.id)) == records
    assert [r.step for r in client.jobs.records(job.id, kind="metric")] == [1, 2]
    [shown] = client.jobs.samples(job.id, outcome="mixed")
    assert [completion.text for completion in shown.completions] == ["1+1=2", "1+1=3"]
    assert list(client.jobs.samples(job.id, outcome="tied")) == []
    [pair] = client.jobs.pairs(job.id)
    assert (pair.step, pair.reward_chosen, pair.reward_rejected) == (1, 1, 0)
    assert [each.outcome for each in client.jobs.attempts(job.id)] == ["completed"]
    assert client.jobs.logs(job.id, tail=1) == ""
    [last] = client.checkpoints.list(job.id)

    seen: list[tuple[int, int]] = []
    folder = client.checkpoints.download(
        last.id, tmp_path / "copy", progress=lambda now, total: seen.append((now, total))
    )
    assert {path: (folder / path).read_bytes() for path in FILES} == FILES
    assert seen[-1] == (last.bytes, last.bytes)
    assert [now for now, _ in seen] == sorted(now for now, _ in seen)


def test_metrics_become_a_table_where_pandas_is(
    client: duet.Client, claims: Claims, monkeypatch: pytest.MonkeyPatch
):
    job = client.jobs.create({})
    hand = claims()
    hand.step(1, **{"kl/mean": 0.25})
    hand.step(2, reward=0.75)
    metrics = client.jobs.metrics(job.id, ["reward", "kl/mean"])
    assert metrics["reward"].value == [0.5, 0.75]
    table = metrics.to_pandas()
    assert table.index.to_list() == [1, 2]
    assert table["reward"].to_list() == [0.5, 0.75]
    first, second = table["kl/mean"].to_list()
    assert first == 0.25
    assert math.isnan(second)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(duet.DuetError, match="pip install pandas"):
        metrics.to_pandas()


def test_a_job_is_controlled_changed_retried_forked_and_deleted(
    client: duet.Client, claims: Claims, tmp_path: Path
):
    job = client.jobs.create({})
    assert client.jobs.pause(job.id).status == "paused"
    assert client.jobs.resume(job.id).status == "queued"
    changed = client.jobs.update(job.id, name="other", labels={"a": "1"}, priority=3)
    assert (changed.name, changed.labels) == ("other", {"a": "1"})
    hand = claims()
    made = hand.checkpoint(1, FILES, tmp_path / "made")
    assert made is not None
    assert client.jobs.cancel(job.id).wanted == "cancel"
    hand.finish(Stopped())
    with pytest.raises(duet.JobFailed, match="cancelled") as failed:
        client.jobs.wait(job.id)
    assert (failed.value.job.status, failed.value.code) == ("cancelled", None)
    [checkpoint] = client.checkpoints.list(job.id)
    retried = client.jobs.retry(job.id)
    assert retried.retry_of == job.id
    forked = client.jobs.fork(job.id, checkpoint.id, overrides={"seed": 7})
    assert (forked.spec["model"]["source"], forked.spec["seed"]) == (checkpoint.id, 7)
    with pytest.raises(duet.Conflict):
        client.jobs.delete(retried.id)
    client.jobs.cancel(retried.id)
    client.jobs.cancel(forked.id)
    client.jobs.delete(retried.id)
    with pytest.raises(duet.NotFound):
        client.jobs.get(retried.id)


def test_lists_are_read_page_after_page(client: duet.Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("duet.client.sync.transport.MOST_A_PAGE", 2)
    ids = [client.jobs.create({"name": f"job {n}"}).id for n in range(5)]
    assert [job.id for job in client.jobs.list(status=["queued", "paused"])] == ids[::-1]
    assert [job.id for job in client.jobs.list(limit=3)] == ids[:1:-1]
    assert [job.id for job in client.jobs.list(text="job 4")] == ids[-1:]
    assert list(client.jobs.list(limit=0)) == []


@of_both_kinds
def test_files_go_up_and_come_back(client: duet.Client, tmp_path: Path):
    path = tmp_path / "sums.jsonl"
    path.write_text('{"question": "1+1=", "answer": "2"}\n' * 9000)
    seen: list[tuple[int, int]] = []
    file = client.files.upload(path, progress=lambda now, total: seen.append((now, total)))
    assert (file.name, file.num_rows) == ("sums.jsonl", 9000)
    assert seen[-1] == (file.bytes, path.stat().st_size)
    assert len(seen) > 2
    assert client.files.preview(file.id).data[0] == {"question": "1+1=", "answer": "2"}
    assert [each.id for each in client.files.list()] == [file.id]
    back = client.files.download(file.id, tmp_path / "back.jsonl")
    assert hashlib.sha256(back.read_bytes()).hexdigest() == client.files.get(file.id).sha256
    client.files.delete(file.id)
    path.write_text('{"question": "1+1="}\nnot JSON\n')
    with pytest.raises(duet.InvalidRequest, match="line 2"):
        client.files.upload(path)


def test_a_refusal_names_the_field_and_what_to_do(
    client: duet.Client, claims: Claims, database: Database
):
    with pytest.raises(duet.InvalidRequest) as refused:
        client.jobs.create({"rollout": {"top_p": 0.5}})
    assert refused.value.status == 422
    assert "  /rollout/top_p: " in str(refused.value)
    assert refused.value.request_id is not None
    with pytest.raises(duet.Refused, match="cannot be encoded as JSON"):
        client.jobs.create({"seed": object()})
    with database.session() as session:
        projects.set_quota(session, "ours", Quota(max_running=None, max_queued=1))
    job = client.jobs.create({"resources": {"max_failures": 1}})
    with pytest.raises(duet.RateLimited) as busy:
        client.jobs.create({})
    assert busy.value.retry_after_seconds == 60
    with pytest.raises(duet.WaitTimeout, match=r"is still queued after 0\.1 s"):
        client.jobs.wait(job.id, timeout_seconds=0.1)
    error = {"code": "model_unusable", "message": "it is no model", "hint": "take another"}
    claims().finish(Failed(error, retryable=False), log_tail="one\ntwo")
    with pytest.raises(duet.JobFailed, match=r"it is no model\ntake another") as failed:
        client.jobs.wait(job.id)
    assert (failed.value.code, str(failed.value)[-11:]) == ("model_unusable", "  one\n  two")


def test_estimates_comparisons_sweeps_and_the_catalogue(client: duet.Client):
    estimates = client.estimate({"preset": "demo"}, group_sizes=[16]).estimates
    assert [each.group_size for each in estimates] == [2, 16]
    sweep = client.sweeps.create({}, grid={"algorithm.group_size": [2, 4]}, name="sizes")
    assert [job.differs["algorithm.group_size"] for job in sweep.jobs] == [2, 4]
    assert [(each.id, each.jobs) for each in client.sweeps.list()] == [(sweep.id, {"queued": 2})]
    ids = [job.id for job in client.sweeps.get(sweep.id).jobs]
    compared = client.compare(ids, x="rollouts", baseline=ids[1])
    assert (compared.x, compared.baseline, len(compared.jobs)) == ("rollouts", ids[1], 2)
    assert {job.status for job in client.sweeps.cancel(sweep.id).jobs} == {"cancelled"}
    variants = [{"seed": 1}, {"seed": 2}, {"seed": 3}]
    assert len(client.sweeps.validate({}, variants=variants).jobs) == 3
    assert "2-grpo" in [preset.name for preset in client.presets()]
    assert "tiny-arithmetic" in [model.name for model in client.models()]
    assert "arithmetic" in [dataset.name for dataset in client.datasets()]
    assert "math" in [reward.type for reward in client.rewards()]
    assert "algorithm" in client.schema()["properties"]


def test_rewards_and_data_are_tried_before_a_job(client: duet.Client):
    completions = [{"completion": "so 7", "answer": "7"}, {"completion": "8", "answer": "7"}]
    tried = client.try_rewards([{"type": "number", "weight": 2.0}], completions).completions
    assert [(each.total, each.parts[0].score) for each in tried] == [(2, 1), (0, 0)]
    [source] = client.preview_data({"train": "arithmetic"})
    assert (source.source, source.rows[0].messages[0].role) == ("arithmetic", "user")
    preflight = client.jobs.validate({"preset": "demo"}).preflight
    assert preflight is not None
    assert [reward.warnings for reward in preflight.rewards] == [[]]


def test_keys_projects_webhooks_and_the_fleet(client: duet.Client):
    me = client.me()
    assert (me.project.name, me.key.scopes) == ("ours", ["admin", "read", "server", "submit"])
    made = client.keys.create("a notebook", scopes=["read"])
    assert made.key.startswith(made.prefix)
    client.keys.revoke(made.id)
    revoked = {key.id: key.revoked_at is not None for key in client.keys.list()}
    assert revoked == {me.key.id: False, made.id: True}
    theirs = client.projects.create("theirs", max_queued=5)
    assert (theirs.project.max_queued, theirs.key.scopes[0]) == (5, "read")
    again = client.projects.set_quota(theirs.project.id, max_running=1, max_queued=None)
    assert (again.max_running, again.max_queued) == (1, None)
    assert "theirs" in [project.name for project in client.projects.list()]
    assert client.workers.list() == []
    assert client.queues() == []
    assert client.ready().checks["database"] == "ok"

    hook = client.webhooks.create("https://1.1.1.1/hook", events=["job.failed"])
    assert client.webhooks.update(hook.id, enabled=False).enabled is False
    assert client.webhooks.rotate_secret(hook.id).secret != hook.secret
    assert [each.id for each in client.webhooks.list()] == [hook.id]
    assert list(client.webhooks.deliveries(hook.id)) == []
    client.webhooks.delete(hook.id)
    with pytest.raises(duet.NotFound):
        client.webhooks.get(hook.id)


def test_a_damaged_file_is_not_kept(
    client: duet.Client, claims: Claims, artifacts: FolderArtifacts, tmp_path: Path
):
    job = client.jobs.create({})
    hand = claims()
    hand.checkpoint(1, FILES, tmp_path / "made")
    [checkpoint] = client.checkpoints.list(job.id)
    stored = artifacts.local(f"{hand.folder}/step-1/model.safetensors")
    assert stored is not None
    stored.write_bytes(b"\7" + WEIGHTS[1:])
    copy = tmp_path / "copy"
    with pytest.raises(duet.Damaged, match=r"model\.safetensors arrived damaged"):
        client.checkpoints.download(checkpoint.id, copy)
    assert not list(copy.glob("model*"))
    stored.write_bytes(WEIGHTS)
    client.checkpoints.download(checkpoint.id, copy)
    assert (copy / "model.safetensors").read_bytes() == WEIGHTS
