"""A project's webhooks, and a process that delivers."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, text, update

from store.tables import Delivery, Webhook
from store.webhooks import deliveries, events, webhooks
from store.webhooks.deliveries import PATIENCE, Claim, Patience
from store.webhooks.events import EVENT_TYPES, EventType
from store.webhooks.sender import Answer
from tests.service.store.desk import Desk

LOST_AFTER_SECONDS = 30
OK = Answer(200, None, 0.1)
REFUSED = Answer(500, "it answered 500", 0.1)


class Office:
    """A project's webhooks, and a process that delivers: each call is one transaction."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.database = desk.database

    def hook(self, events: Sequence[EventType] = EVENT_TYPES) -> UUID:
        with self.database.session() as session:
            return webhooks.create(
                session,
                project_id=self.desk.project_id,
                key_id=self.desk.key_id,
                url="https://example.com/hook",
                description="",
                events=events,
            ).id

    def of(self, webhook_id: UUID) -> Webhook:
        with self.database.session() as session:
            return webhooks.get(session, self.desk.project_id, webhook_id)

    def change(self, webhook_id: UUID, **wanted: bool) -> Webhook:
        with self.database.session() as session:
            change = webhooks.Change(**wanted)  # pyright: ignore[reportArgumentType]
            return webhooks.change(session, self.desk.project_id, webhook_id, change, by="a test")

    def written(self, webhook_id: UUID) -> list[Delivery]:
        """The oldest first."""
        self.spread()
        with self.database.session() as session:
            return deliveries.list_deliveries(session, webhook_id, limit=1000)[::-1]

    def spread(self) -> int:
        with self.database.session() as session:
            return events.spread(session, limit=100)

    def test(self, webhook_id: UUID) -> Delivery:
        with self.database.session() as session:
            return deliveries.test(session, self.desk.project_id, webhook_id)

    def events(self, webhook_id: UUID) -> list[str]:
        return [delivery.event for delivery in self.written(webhook_id)]

    def claim(self, *, limit: int = 10, without: Sequence[UUID] = ()) -> list[Claim]:
        with self.database.session() as session:
            return deliveries.claim_due(
                session, limit=limit, without=without, lost_after_seconds=LOST_AFTER_SECONDS
            )

    def settle(self, claim: Claim, answer: Answer, patience: Patience = PATIENCE) -> bool:
        with self.database.session() as session:
            return deliveries.settle(session, claim, answer, patience)

    def redeliver(self, webhook_id: UUID, delivery_id: UUID) -> Delivery:
        with self.database.session() as session:
            return deliveries.redeliver(session, self.desk.project_id, webhook_id, delivery_id)

    def make_due(self) -> None:
        """Make all pending deliveries due."""
        with self.database.session() as session:
            session.execute(
                update(Delivery)
                .where(Delivery.next_try_at.is_not(None))
                .values(next_try_at=func.now())
            )

    def num_waiting_for_locks(self) -> int:
        with self.database.session() as session:
            waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
            return session.execute(text(waiting)).scalar_one()

    def wait_seconds(self, delivery_id: UUID) -> float | None:
        """Return the time from the last try to the next."""
        with self.database.session() as session:
            row = session.get_one(Delivery, delivery_id)
            if row.next_try_at is None or row.tried_at is None:
                return None
            return round((row.next_try_at - row.tried_at).total_seconds())
