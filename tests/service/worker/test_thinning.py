"""Workers thin the samples of old logs."""

from sqlalchemy import select, text

from store.tables import Job, Record
from tests.service.worker.conftest import Desk
from worker.maintenance.sample_retention import thin_samples

SAMPLES = text("""
    insert into records (job_id, seq, attempt, kind, step, payload, at)
    select id, last_seq + n, 1, 'sample', n, '{}', now() from jobs, generate_series(1, 1000) n
""")


def test_the_samples_of_old_logs_are_thinned_job_by_job(desk: Desk):
    for _ in range(2):
        desk.submit("step complete")
        desk.run()
    with desk.context.database.session() as session:
        session.execute(SAMPLES)
    assert thin_samples(desk.context) == 0
    with desk.context.database.session() as session:
        session.execute(text("update jobs set finished_at = now() - interval '31 days'"))
    # By default 200 steps stay, 1, 6, 11, ..., 996, and the last one.
    assert thin_samples(desk.context) == 2 * (1000 - 201)
    assert thin_samples(desk.context) == 0
    with desk.context.database.session() as session:
        steps = select(Record.step).where(Record.kind == "sample").order_by(Record.step)
        left = session.scalars(steps.distinct()).all()
        assert left == [*range(1, 1001, 5), 1000]
        assert session.scalars(select(Job.id).where(Job.thinned_at.is_(None))).all() == []
