"""A command's table in a narrow terminal."""

import pytest

from duet.terminal.output import print_table

JOB = "job_" + "0" * 32
COLUMNS = ["id", "status", "step", "age", "name"]
ROW = [JOB, "succeeded", "16/16", "3m", "a name too long for this terminal"]


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_only_the_last_column_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
):
    monkeypatch.setenv("COLUMNS", str(columns))
    print_table(COLUMNS, [ROW])
    lines = capsys.readouterr().out.splitlines()
    _, first, *more = lines
    assert first.split()[:4] == ROW[:4]
    words = " ".join([*first.split()[4:], *" ".join(more).split()])
    assert words == ROW[4]
    if columns == 80:
        assert max(map(len, lines)) <= columns
