"""Commands on the server and its projects, keys and webhooks."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from store.database.database import Database
from store.ids import encode
from store.settings import Settings
from tests.reward_service import reward_service, scored
from tests.service.api.command_line.conftest import Duet
from tests.service.api.conftest import make_key, serving
from tests.service.api.hand import Hand
from tests.waiting import wait_until

JOB = re.compile(r"job_[0-9a-f]{32}")


def test_shell_completion_lists_jobs_and_is_silent_without_a_server(
    duet: Duet, trained: Callable[..., Hand]
):
    job = encode("job", trained("two", 2, 64, []).claim.job_id)

    def completed(url: dict[str, str]) -> str:
        asked = {"_DUET_COMPLETE": "complete_bash", "COMP_WORDS": "duet logs job_"}
        return duet(COMP_CWORD="2", **asked, **url).stdout

    # Silent too where the server is slow: the shell waits.
    wait_until(lambda: completed({}).split() == [job])
    assert completed({"DUET_URL": "http://127.0.0.1:9"}).strip() == ""


def test_the_doctor_checks_machine_and_server_and_suggests_fixes(duet: Duet):
    lines = duet("doctor").stdout.splitlines()
    told = {line.split()[1]: line.strip().split(maxsplit=2) for line in lines if line[:1] != " "}
    assert told["Python"][0] == "ok"
    assert told["server"][0] == "ok"
    assert told["key"][2].startswith("read/submit of project ours, may read, submit")
    assert told["workers"] == ["warn", "workers", "no worker takes jobs"]
    assert "→ start one: `python -m worker` or `duet up`" in lines[-1]
    assert {each["name"] for each in json.loads(duet("doctor", "--json").stdout)} >= {"disk", "GPU"}
    strange = duet("doctor", code=1, DUET_API_KEY="duet_strange").stdout
    assert re.search(r"^fail key ", strange, re.MULTILINE)
    assert "→ use a key of this server" in strange
    away = duet("doctor", code=1, columns=40, DUET_URL="http://127.0.0.1:9").stdout
    assert re.search(r"^fail server ", away, re.MULTILINE)
    assert all(len(line) <= 40 for line in away.splitlines())


def test_the_doctor_reports_the_failed_checks_of_a_server(duet: Duet, settings: Settings):
    bare = settings.database_url.rpartition("/")[0] + "/postgres"
    with serving(settings.model_copy(update={"database_url": bare})) as url:
        found = json.loads(duet("doctor", "--json", code=1, DUET_URL=url).stdout)
    assert found[-1] == {
        "name": "server",
        "state": "fail",
        "said": f"{url} is not ready: migrations failed (the database has no tables yet)",
        "advice": "run `python -m store migrate` of the server's own version",
    }


def test_the_doctor_asks_the_driver_and_torch_about_gpus(duet: Duet, tmp_path: Path):
    """GPU and torch are simulated: importing torch takes seconds."""
    driver, torch = tmp_path / "bin" / "nvidia-smi", tmp_path / "torch.py"
    driver.parent.mkdir()
    card = "NVIDIA H200, 143771 MiB, 580.95.05"
    env = {"PATH": f"{driver.parent}:{os.environ['PATH']}", "PYTHONPATH": str(tmp_path)}

    def says(script: str, *, seen: bool, code: int) -> str:
        driver.write_text(f"#!/bin/sh\n{script}\n")
        driver.chmod(0o755)
        torch.write_text(
            f"class cuda:\n    is_available = lambda: {seen}\nclass version:\n    cuda = '13.0'\n"
        )
        found = json.loads(duet("doctor", "--json", code=code, **env).stdout)
        return next(f"{each['state']}: {each['said']}" for each in found if each["name"] == "GPU")

    assert says(f"echo '{card}'", seen=True, code=0) == f"ok: {card}; CUDA 13.0"
    old = "NVIDIA L4, 23034 MiB, 550.54.14"
    assert says(f"echo '{old}'", seen=False, code=1).endswith(
        "does not see it: driver 550.54.14 is too old for CUDA 13.0, which needs 580 or newer"
    )
    unseen = says(f"echo '{card}'", seen=False, code=1)
    assert unseen.startswith(f"fail: {card}; but torch ")
    broken = says("echo no device; exit 9", seen=True, code=1)
    assert broken == "fail: the driver does not answer: no device"


def test_an_admin_creates_changes_and_revokes_keys_and_reads_the_audit_log(
    duet: Duet, database: Database, spec: Path
):
    admin = make_key(database, "theirs", "read", "submit", "admin")

    def says(*arguments: object, code: int = 0) -> str:
        return duet(*arguments, code=code, DUET_API_KEY=admin).stdout.strip()

    made = says("keys", "create", "for submitting", "--scope", "read", "--scope", "submit")
    duet("submit", spec, DUET_API_KEY=made)
    found = json.loads(says("keys", "--json"))["data"]
    [listed] = [each for each in found if each["name"] == "for submitting"]
    key_id = listed["id"]
    assert listed["scopes"] == ["read", "submit"]
    assert key_id in says("keys")
    successor = says("keys", "rotate", key_id)
    assert says("keys", "revoke", key_id, "--yes") == f"{key_id} is revoked"
    duet("jobs", code=3, DUET_API_KEY=made)
    assert JOB.search(duet("jobs", DUET_API_KEY=successor).stdout)
    actions = [each["action"] for each in json.loads(says("audit", "--json"))["data"]]
    assert actions == ["key.revoke", "key.rotate", "job.submit", "key.create"]
    assert says("audit", "--action", "job.submit").count("for submitting") == 1
    assert "admin" in duet("keys", code=3, DUET_API_KEY=successor).stderr


def test_a_webhook_gets_another_secret_and_is_sent_a_delivery_once_more(
    duet: Duet, database: Database, spec: Path
):
    admin = make_key(database, "theirs", "read", "submit", "admin")

    def says(*arguments: object) -> str:
        return duet(*arguments, DUET_API_KEY=admin).stdout

    hook = json.loads(says("webhooks", "add", "http://127.0.0.1:1024/", "--json"))
    says("submit", spec)
    [listed] = json.loads(says("webhooks", "list", "--json"))["data"]
    assert (listed["id"], "secret" in listed) == (hook["id"], False)
    [delivery] = json.loads(says("webhooks", "deliveries", hook["id"], "--json"))["data"]
    assert delivery["event"] == "job.created"
    again = says("webhooks", "redeliver", hook["id"], delivery["id"])
    assert again == f"{delivery['id']} is pending\n"
    secret = says("webhooks", "rotate-secret", hook["id"]).strip()
    assert secret.startswith("whsec_")
    assert secret != hook["secret"]
    says("webhooks", "change", hook["id"], "--event", "job.failed", "--description", "ours")
    changed = json.loads(says("webhooks", "change", hook["id"], "--disable", "--json"))
    assert (changed["events"], changed["description"]) == (["job.failed"], "ours")
    assert (changed["url"], changed["enabled"]) == (hook["url"], False)
    assert "nothing to change" in duet("webhooks", "change", hook["id"], code=2).stderr
    removed = json.loads(says("webhooks", "remove", hook["id"], "--yes", "--json"))
    assert removed == {"id": hook["id"], "removed": True}


def test_a_servers_presets_models_data_sets_and_rewards_are_listed(duet: Duet):
    for command, name in (
        ("presets", "2-grpo"),
        ("models", "tiny-arithmetic"),
        ("datasets", "arithmetic-heldout"),
        ("rewards", "number"),
    ):
        listed = duet(command, columns=40).stdout.splitlines()
        assert name in [line.split()[0] for line in listed]
        assert all(len(line) <= 40 for line in listed), listed
        raw = json.loads(duet(command, "--json").stdout)["data"]
        assert name in [each.get("name") or each["type"] for each in raw]


def test_a_service_is_tried_by_the_example_that_the_guide_shows(duet: Duet, tmp_path: Path):
    example = (Path(__file__).parents[4] / "examples/http-reward.yaml").read_text()
    with reward_service(
        lambda asked: scored(asked, lambda item: float(item["row"]["sum"] == item["completion"]))
    ) as service:
        spec = tmp_path / "http-reward.yaml"
        spec.write_text(example.replace("http://127.0.0.1:8100", service.url))
        asked = ("--prompt", "9*2=", "--completion", "18", "--completion", "17")
        unsigned = ("--set", "rewards.0.secret=null")
        told = duet("rewards", "try", spec, *asked, "--item", '{"sum": "18"}', *unsigned).stdout
        refused = duet("rewards", "try", spec, *asked, code=2)
        no_row = duet("rewards", "try", spec, *asked, "--item", "[]", code=None)
    assert [line.split()[0] for line in told.splitlines() if not line.startswith(" ")] == ["1", "0"]
    assert service.asked[0].items[0]["messages"] == [{"role": "user", "content": "9*2="}]
    assert "/rewards/0/secret" in refused.stderr
    assert "duet secrets set REWARD_SECRET" in refused.stderr
    assert "--item must be a JSON object" in no_row.stderr


def test_rewards_are_tried_by_their_type_or_as_a_spec_has_them(duet: Duet, spec: Path):
    texts = ("--completion", "it is 4", "--completion", "it is 5", "--answer", "4")
    told = duet("rewards", "try", "number", *texts, "--set", "rewards.0.weight=2").stdout
    assert [line.split(" in ")[0] for line in told.splitlines()] == [
        "2  it is 4",
        "  number: 1",
        "0  it is 5",
        "  number: 0",
    ]
    of_preset = json.loads(duet("rewards", "try", spec, *texts, "--json").stdout)
    assert [len(each["parts"]) for each in of_preset["completions"]] == [1, 1]
    refused = duet("rewards", "try", "numbr", *texts, code=2)
    assert "/rewards/0" in refused.stderr
    assert "number" in refused.stderr


def test_an_admin_makes_a_project_and_limits_it(duet: Duet, database: Database, spec: Path):
    admin = {"DUET_API_KEY": make_key(database, "theirs", "read", "submit", "server")}
    made = json.loads(
        duet("projects", "create", "new", "--max-queued", 1, "--json", **admin).stdout
    )
    theirs = {"DUET_API_KEY": made["key"]["key"]}
    project = made["project"]["id"]
    duet("submit", spec, **theirs)
    assert (
        "this project already has 1 queued job, its limit"
        in duet("submit", spec, code=2, **theirs).stderr
    )
    told = duet("projects", "quota", project, "--max-running", 3, **admin).stdout
    assert told == f"{project}  new\n  at most 3 running, at most 1 queued\n"
    duet("projects", "quota", project, "--max-queued", "none", **admin)
    told = duet("projects", "quota", project, "--weight", 5, **admin).stdout
    assert told == f"{project}  new\n  at most 3 running, any number queued, weight 5\n"
    duet("projects", "quota", project, "--weight", 1, **admin)
    assert (
        f"{project}  new\n  at most 3 running, any number queued\n"
        in duet("projects", **admin).stdout
    )
    duet("submit", spec, **theirs)
    wrong = duet("projects", "quota", project, "--max-queued", "-1", code=2, **admin)
    assert wrong.stderr == "Error: --max-queued -1: write a number, or `none`\n"
    assert (
        "project proj_x does not exist"
        in duet("projects", "quota", "proj_x", "--max-queued", 1, code=2, **admin).stderr
    )
