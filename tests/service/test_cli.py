"""The command line against a running Duet, without a terminal, 80 columns wide."""

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.service.duet_process import environment, run_duet, start_up
from tests.service.receiver import receiving
from tests.waiting import deadline

EXAMPLES = Path(__file__).parents[2] / "examples"
Duet = Callable[..., CompletedProcess[str]]
JOB = re.compile(r"job_[0-9a-f]{32}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a running .duet/ in it."""
    folder = tmp_path_factory.mktemp("cli")
    up, _ = start_up(folder, env=environment(DUET_WEBHOOKS_ALLOW_PRIVATE="true"))
    yield folder
    up.send_signal(signal.SIGTERM)
    assert up.wait(deadline(120)) == 0
    assert up.stdout is not None
    up.stdout.close()


@pytest.fixture(scope="module")
def duet(folder: Path) -> Duet:
    """Run a command in a subfolder."""
    below = folder / "work"
    below.mkdir()

    def run(*arguments: str, **added: str) -> CompletedProcess[str]:
        return run_duet(*arguments, cwd=below, env=environment(COLUMNS="80", **added), seconds=280)

    return run


@pytest.fixture(scope="module")
def trained(duet: Duet) -> CompletedProcess[str]:
    """`duet submit --watch` of the example with a data file of its own: two steps."""
    return duet("submit", str(EXAMPLES / "own-data.yaml"), "--watch")


def test_watching_shows_progress_in_plain_lines_and_ends_well(trained: CompletedProcess[str]):
    assert trained.returncode == 0, trained.stderr
    lines = trained.stdout.splitlines()
    assert JOB.fullmatch(lines[0])
    assert any(line.startswith("step 2/2  reward ") for line in lines)
    assert lines[-1].startswith("succeeded")
    assert "\x1b" not in trained.stdout
    assert "own-data.jsonl: 8 rows, file_" in trained.stderr


def test_lines_fit_80_columns(trained: CompletedProcess[str], duet: Duet):
    listed = duet("jobs")
    assert listed.returncode == 0
    for line in (trained.stdout + listed.stdout).splitlines():
        assert len(line) <= 80, line


def test_jobs_shows_what_became_of_them(trained: CompletedProcess[str], duet: Duet):
    job = trained.stdout.splitlines()[0]
    row = next(line for line in duet("jobs").stdout.splitlines() if line.startswith(job))
    assert row.split()[1:3] == ["succeeded", "2/2"]


def test_logs_are_what_the_trainer_printed(trained: CompletedProcess[str], duet: Duet):
    job = trained.stdout.splitlines()[0]
    followed = duet("logs", job, "--follow")
    assert followed.returncode == 0
    assert followed.stdout == duet("logs", job).stdout
    assert "step 2: reward" in followed.stdout


def test_a_checkpoint_is_listed_and_downloaded(
    trained: CompletedProcess[str], duet: Duet, tmp_path: Path
):
    job = trained.stdout.splitlines()[0]
    assert re.search(r"^ckpt_\S+  step +2 .* final$", duet("checkpoint", job).stdout, re.MULTILINE)
    fetched = duet("checkpoint", job, "--download", str(tmp_path / "model"))
    assert fetched.returncode == 0, fetched.stderr
    assert {"model.safetensors", "config.json"} <= {f.name for f in (tmp_path / "model").iterdir()}
    missing = duet("checkpoint", job, "--download", str(tmp_path), "--step", "77")
    assert (missing.returncode, missing.stderr.strip()) == (
        2,
        f"Error: {job} has no checkpoint of step 77; available: 2",
    )


def test_a_refused_spec_names_the_field(duet: Duet, tmp_path: Path):
    spec = tmp_path / "spec.yaml"
    spec.write_text("algorithm: {group_size: 1}\n")
    refused = duet("submit", str(spec))
    assert refused.returncode == 2
    assert "/algorithm/group_size" in refused.stderr
    assert refused.stdout == ""


def test_an_invalid_spec_file_is_refused_before_any_request(duet: Duet, tmp_path: Path):
    spec = tmp_path / "spec.yaml"
    spec.write_text("- a list\n")
    refused = duet("submit", str(spec), "--url", "http://127.0.0.1:9", "--key", "none")
    assert refused.returncode == 2
    assert "its top level must be a mapping" in refused.stderr


def test_a_failing_job_shows_the_reason(duet: Duet, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text('{"model_type": "qwen2"}')
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"preset: demo\nmodel: {{source: {tmp_path / 'empty'}}}\n")
    failed = duet("submit", str(spec), "--watch")
    assert failed.returncode == 1
    assert "failed: model_unusable" in failed.stderr
    assert "The end of its log:" in failed.stderr


def test_a_queued_job_is_cancelled_at_once(duet: Duet, tmp_path: Path):
    spec = tmp_path / "spec.yaml"
    spec.write_text("preset: demo\nresources: {queue: nobody}\n")
    job = duet("submit", str(spec)).stdout.strip()
    assert f"{job}  queued #1" in duet("jobs").stdout
    cancelled = duet("cancel", job)
    assert (cancelled.returncode, cancelled.stdout) == (0, f"{job} is cancelled\n")
    again = duet("cancel", job)
    assert again.returncode == 2
    assert duet("logs", job, "--follow").returncode == 1


def test_a_job_is_held_let_go_changed_retried_and_deleted(duet: Duet, tmp_path: Path):
    spec = tmp_path / "spec.yaml"
    spec.write_text("preset: demo\nresources: {queue: nobody-else}\n")
    job = duet("submit", str(spec)).stdout.strip()

    def says(*arguments: str) -> str:
        done = duet(*arguments)
        assert done.returncode == 0, done.stderr
        assert all(len(line) <= 80 for line in done.stdout.splitlines())
        return done.stdout.strip()

    assert says("pause", job) == f"{job} is paused"
    assert says("resume", job) == f"{job} is queued #1"
    labels = ("--label", "a=1", "--label", "b=x=y")
    changed = says("set", job, "--name", "other", "--priority", "3", *labels)
    assert changed == f"{job} has changed: name, labels, priority"
    assert says("jobs").splitlines()[1].split()[-1] == "other"
    refused = duet("delete", job, "--yes")
    assert (refused.returncode, "cancel it" in refused.stderr) == (2, True)
    says("cancel", job)
    again = says("retry", job)
    assert JOB.fullmatch(again)
    assert again != job
    assert says("delete", job, "--yes") == f"{job} is deleted"
    assert duet("resume", job).returncode == 2
    says("cancel", again)


def test_a_job_is_forked_from_its_checkpoint(
    trained: CompletedProcess[str], duet: Duet, tmp_path: Path
):
    job = trained.stdout.splitlines()[0]
    overrides = tmp_path / "overrides.yaml"
    overrides.write_text("name: forked\nresources: {queue: nobody-else}\n")
    forked = duet("fork", job, str(overrides))
    assert forked.returncode == 0, forked.stderr
    assert JOB.fullmatch(forked.stdout.strip())
    assert f"forked: fork of {job} at step 2" in forked.stderr
    overrides.write_text("preset: demo\n")
    refused = duet("fork", job, str(overrides))
    assert (refused.returncode, "/overrides/preset" in refused.stderr) == (2, True)
    assert duet("fork", job, "--step", "77").returncode == 2
    assert duet("cancel", forked.stdout.strip()).returncode == 0


def test_a_webhook_is_added_tested_listed_and_removed(duet: Duet):
    with receiving() as receiver:
        added = duet("webhooks", "add", receiver.url, "--event", "job.created")
        assert added.returncode == 0, added.stderr
        hook, secret = added.stdout.split()
        assert duet("webhooks", "list").stdout.startswith(f"{hook}  {receiver.url}  job.created")
        assert duet("webhooks", "test", hook).stdout.startswith("delivered: it answered 200 in 0.")
        assert receiver.arrived[0].verified(secret)["type"] == "webhook.test"
        receiver.answering = lambda _: 500
        failed = duet("webhooks", "test", hook)
        assert (failed.returncode, failed.stderr) == (1, "Error: not delivered: it answered 500\n")
        listed = duet("webhooks", "deliveries", hook).stdout.splitlines()
        assert [line.split()[1:3] for line in listed] == [
            ["webhook.test", "given_up"],
            ["webhook.test", "delivered"],
        ]
    assert duet("webhooks", "remove", hook, "--yes").stdout == f"{hook} is removed\n"
    refused = duet("webhooks", "add", "http://127.0.0.1", "--event", "job.exploded")
    assert (refused.returncode, "/events/0" in refused.stderr) == (2, True)


def test_a_change_of_nothing_or_to_no_label_is_refused(duet: Duet):
    job = "job_" + "0" * 32
    for arguments in (("set", job), ("set", job, "--label", "a")):
        refused = duet(*arguments, DUET_URL="http://127.0.0.1:9", DUET_API_KEY="k")
        assert refused.returncode == 2


def test_a_missing_file_exits_with_2_and_an_unreachable_server_with_3(
    duet: Duet, folder: Path, tmp_path: Path
):
    assert duet("logs", "job_" + "0" * 32).returncode == 2
    assert duet("logs").returncode == 2
    assert duet("jobs", DUET_URL="http://127.0.0.1:9", DUET_API_KEY="k").returncode == 3
    assert duet("jobs", DUET_API_KEY="duet_wrong").returncode == 3
    nowhere = run_duet("jobs", cwd=tmp_path)
    assert nowhere.returncode == 3
    assert "start one with `duet up`" in nowhere.stderr
