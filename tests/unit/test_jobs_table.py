"""`duet jobs` in a narrow terminal."""

import io

from rich.console import Console

from duet.commands.jobs import jobs_table


def test_at_80_columns_only_a_jobs_name_is_broken():
    job = "job_" + "0" * 32
    shown = io.StringIO()
    table = jobs_table([(job, "succeeded", "16/16", "3m", "a name too long for this terminal")])
    Console(file=shown, width=80, highlight=False).print(table)
    _, first, *more = shown.getvalue().splitlines()
    assert first.split()[:4] == [job, "succeeded", "16/16", "3m"]
    words = " ".join([*first.split()[4:], *" ".join(more).split()])
    assert words == "a name too long for this terminal"
