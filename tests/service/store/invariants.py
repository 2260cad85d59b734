"""Invariants of every job at any time, checked in the database itself."""

from sqlalchemy import text

from store.database.database import Database

BROKEN = {
    "the log has a gap": """
        select id from jobs where last_seq <> (
            select count(*) from records where job_id = jobs.id and seq between 1 and last_seq)
        or exists (select from records where job_id = jobs.id and seq > last_seq)""",
    "a step counts twice": """
        select job_id from records where kind = 'metric' and not exists (
            select from attempts later where later.job_id = records.job_id
            and later.number > records.attempt
            and coalesce(later.resumed_from_step, -1) < records.step)
        group by job_id, step having count(*) > 1""",
    "an attempt is missing": """
        select id from jobs where attempt <> (
            select count(*) from attempts where job_id = jobs.id and number between 1 and attempt)
        or exists (select from attempts where job_id = jobs.id and number > attempt)""",
    "an attempt is open that does not run, or closed and runs": """
        select id from jobs join attempts on job_id = id
        where (ended_at is null) <> (status = 'running' and number = attempt)""",
    "the log ends with another status": """
        select id from jobs where status is distinct from (
            select payload ->> 'status' from records where job_id = id and kind = 'status'
            order by seq desc limit 1)""",
    "a change of status has no reason": """
        select job_id from records
        where kind = 'status' and coalesce(payload ->> 'reason', '') = ''""",
    "an end was not the end": """
        select job_id from records this where kind = 'status'
        and payload ->> 'status' in ('succeeded', 'failed', 'cancelled') and exists (
            select from records later where later.job_id = this.job_id and later.seq > this.seq
            and later.kind = 'status')""",
    "a wish fell, and not by a resume": """
        select job_id from (
            select job_id, wish as now, lag(wish) over (partition by job_id order by seq) as before
            from records, cast(payload ->> 'wanted' as wanted) wish
            where kind = 'status' and payload ? 'wanted') wishes
        where now < before and (now, before) <> ('run', 'pause')""",
    "there are more failures than may be": """
        select id from jobs where failures > (spec -> 'resources' ->> 'max_failures')::int
        or (failures = (spec -> 'resources' ->> 'max_failures')::int and status <> 'failed')""",
    "a waiting job is in no lane": """
        select id from jobs where status = 'queued' and not deferred
        and greatest(not_before, retry_at) > now()""",
}


def broken(database: Database) -> set[tuple[str, str]]:
    """Yield each violated invariant with its job."""
    parts = (
        f"select '{promise}', cast(id as text) from ({query}) found(id)"
        for promise, query in BROKEN.items()
    )
    with database.session() as session:
        return {tuple(row) for row in session.execute(text(" union all ".join(parts)))}
