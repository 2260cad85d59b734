"""Slots that projects share."""

from uuid import UUID

from api.limits.project_slots import ProjectSlots

OURS, THEIRS, OTHERS = (UUID(int=number) for number in range(3))


def is_free(slots: ProjectSlots, project_id: UUID) -> bool:
    with slots.take(project_id, wait_seconds=0) as is_taken:
        return is_taken


def test_a_project_holds_one_slot_and_leaves_the_other():
    slots = ProjectSlots(2)
    with slots.take(OURS, wait_seconds=0) as first:
        assert first
        assert not is_free(slots, OURS)
        with slots.take(THEIRS, wait_seconds=0) as second:
            assert second
            assert not is_free(slots, OTHERS)
        assert is_free(slots, OTHERS)
    assert is_free(slots, OURS)


def test_a_refused_project_gives_nothing_back():
    slots = ProjectSlots(1)
    with slots.take(OURS, wait_seconds=0), slots.take(OURS, wait_seconds=0) as again:
        assert not again
    assert is_free(slots, THEIRS)
