"""A page of sweeps costs the same for any number of other jobs and sweeps."""

import pytest

from store.jobs.sweeps import list_sweeps
from tests.service.store.blocks import blocks
from tests.service.store.desk import Desk
from tests.service.store.test_claims_at_scale import fill, run

IN_SWEEPS_OF_TEN = "jsonb_build_object('sweep', 'swp_' || lpad(to_hex(n / 10), 32, '0'))"
OTHERS = {
    "jobs without a sweep": {"labels": "'{}'"},
    "jobs with another label of that name": {"labels": """'{"sweep": "spring"}'"""},
    "older sweeps": {"labels": IN_SWEEPS_OF_TEN},
}


def cost(desk: Desk) -> int:
    run(desk.database, "vacuum analyze jobs")
    return blocks(desk, lambda session: list_sweeps(session, desk.project_id, limit=3))


@pytest.mark.parametrize("others", OTHERS)
def test_a_page_of_sweeps_costs_the_same_for_any_number_of_others(desk: Desk, others: str):
    desk.submit()
    newest = IN_SWEEPS_OF_TEN.replace("n / 10", "100000 + n / 10")
    fill(desk, 100, labels=newest)
    few = cost(desk)
    fill(desk, 3000, **OTHERS[others])
    assert cost(desk) <= 2 * few
