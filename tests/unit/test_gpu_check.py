"""The check on a GPU: its parts and limits, what it reports, and what docs/gpu.md says of it."""

import json
import re
from pathlib import Path

import pytest

from tests.gpu.__main__ import exit_code, main
from tests.gpu.part import PARTS, Part
from tests.gpu.run import MOST_SECONDS, Result, Runner
from tests.gpu.table import table
from tests.report import Outcome
from tests.waiting import deadline, wait_until

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/gpu.md").read_text()


def results_of(out: Path, *names: str, seconds: float = deadline(30)) -> list[Result]:
    parts = tuple(Part(name, "", seconds, package="tests.unit.gpu_parts") for name in names)
    runner = Runner(out, cpu=False, model=Path("/of/a/model"), scale=1.0)
    return list(runner.run(parts, facts={"card": "none"}))


def test_the_limits_of_all_parts_are_within_the_twelve_minutes():
    assert sum(part.seconds for part in PARTS) <= MOST_SECONDS == 12 * 60


def test_each_part_is_a_module():
    modules = {path.stem for path in (ROOT / "tests/gpu").glob("*.py")}
    assert {part.name for part in PARTS} <= modules


def test_the_page_has_each_part_with_its_figure_or_the_words_not_measured():
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    assert [(name, question) for name, question, _ in rows] == [
        (part.name, part.question) for part in PARTS
    ]
    for _, _, said in rows:
        assert said == "not measured" or re.search(r"\d", said)


def test_a_part_that_fails_keeps_no_other_from_running(tmp_path: Path):
    failed, passed = results_of(tmp_path, "fails", "passes")
    assert (failed.outcome, passed.outcome) == (Outcome.FAILED, Outcome.PASSED)
    assert failed.reason == f"AssertionError: 2 is not 3 (all of it: {tmp_path / 'fails.log'})"
    assert passed.figures == {"cpu": "False", "model": "/of/a/model", "size": 2.5}


def test_what_is_not_installed_is_not_measured_and_a_misspelt_module_fails(tmp_path: Path):
    lacking, declined, misspelt = results_of(tmp_path, "lacks", "declines", "misspelt")
    assert lacking.outcome is declined.outcome is Outcome.NOT_MEASURED
    assert lacking.reason == "package_of_no_machine is not installed"
    assert declined.reason == "no model | here"
    assert misspelt.outcome is Outcome.FAILED
    assert "No module named 'grpo.of_no_such_name'" in misspelt.reason


def test_a_part_ends_at_its_limit_with_all_its_processes(tmp_path: Path):
    (hung,) = results_of(tmp_path, "hangs", seconds=deadline(0.5))
    assert (hung.outcome, hung.reason[:10]) == (Outcome.FAILED, "not within")
    (pid,) = re.findall(r"pid (\d+)", (tmp_path / "hangs.log").read_text())
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in state(pid))


def state(pid: str) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_the_report_has_each_part_as_soon_as_it_ends(tmp_path: Path):
    parts = tuple(
        Part(name, "", deadline(30), package="tests.unit.gpu_parts") for name in ("fails", "passes")
    )
    running = Runner(tmp_path, cpu=True, model=None).run(parts, facts={"card": "none"})
    for number in (1, 2):
        next(running)
        report = json.loads((tmp_path / "report.json").read_text())
        assert (report["card"], report["cpu"]) == ("none", True)
        assert len(report["parts"]) == number
    assert report["parts"][1]["figures"] == {"cpu": "True", "model": "None", "size": 1}


def test_what_the_twelve_minutes_leave_no_time_for_is_not_measured(tmp_path: Path):
    parts = (Part("passes", "", 30, package="tests.unit.gpu_parts"),)
    (late,) = Runner(tmp_path, cpu=False, model=None, scale=0.01).run(parts, facts={})
    assert (late.outcome, late.reason) == (Outcome.NOT_MEASURED, "the 12 minutes were over")


def test_the_table_is_one_row_a_part(tmp_path: Path):
    results = [
        Result("a", Outcome.PASSED, 12.4, figures={"gap": 0.012346, "engine": "vllm", "steps": 20}),
        Result("b", Outcome.NOT_MEASURED, reason="no model | here"),
    ]
    assert table(results).splitlines()[2:] == [
        "| a    | passed       | 12      | gap 0.01235, engine vllm, steps 20 |",
        "| b    | not measured |         | no model / here                    |",
    ]


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([Outcome.PASSED, Outcome.NOT_MEASURED], 0),
        ([Outcome.PASSED, Outcome.FAILED], 1),
        ([Outcome.NOT_MEASURED], 2),
    ],
)
def test_the_exit_code_is_that_of_the_worst(outcomes: list[Outcome], code: int):
    assert exit_code([Result("a", outcome) for outcome in outcomes]) == code


def test_without_a_gpu_it_says_so_in_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert main(["--out", str(tmp_path / "out")]) == 2
    said, _ = capfd.readouterr()
    assert said.count("\n") == 1
    assert "torch can use no NVIDIA GPU here" in said
    assert not (tmp_path / "out").exists()
