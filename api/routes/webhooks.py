"""Webhooks and their deliveries."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import TypeAdapter

from api.dependencies.auth import Admin
from api.dependencies.body import as_kind, request_of
from api.dependencies.path_ids import DeliveryId, WebhookId, decoded
from api.dependencies.services import FromServices, Services
from api.dependencies.transaction import RequestSession
from api.errors.problems import FieldProblem, Problem
from api.errors.responses import problems
from api.schemas.base import Page
from api.schemas.paging import Limit, page
from api.schemas.webhooks import (
    DeliveryView,
    NewWebhook,
    WebhookChange,
    WebhookView,
    WebhookWithSecret,
)
from grpo.net.public_address import AddressRefused, check_text
from store import ids
from store.access import audit
from store.webhooks import deliveries, webhooks
from store.webhooks.sender import private

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

NewBody = Annotated[NewWebhook, Depends(as_kind(TypeAdapter(NewWebhook)))]
ChangeBody = Annotated[WebhookChange, Depends(as_kind(TypeAdapter(WebhookChange)))]


@router.post(
    "",
    status_code=201,
    responses=problems(400, 409, 413),
    openapi_extra=request_of(NewWebhook.__name__),
)
def create_webhook(
    caller: Admin,
    new: NewBody,
    session: RequestSession,
    services: FromServices,
    response: Response,
) -> WebhookWithSecret:
    """Create a webhook. Its secret is shown only once."""
    _check_url(new.url, services)
    webhooks.hold_place(session, caller.project_id, most=services.settings.max_webhooks)
    webhook = webhooks.create(
        session,
        project_id=caller.project_id,
        key_id=caller.key_id,
        url=new.url,
        description=new.description,
        events=new.events,
    )
    view = WebhookWithSecret.of(webhook)
    audit.note(session, caller.actor, "webhook.create", view.id)
    response.headers["Location"] = f"/v1/webhooks/{view.id}"
    return view


@router.get("", responses=problems(404))
def list_webhooks(
    *,
    caller: Admin,
    session: RequestSession,
    request: Request,
    response: Response,
    after: Annotated[str | None, Query(description="`next` of the previous page.")] = None,
    limit: Limit = 20,
) -> Page[WebhookView]:
    """List webhooks, newest first."""
    start = decoded("hook", "page", after) if after else None
    found = webhooks.list_webhooks(session, caller.project_id, after=start, limit=limit + 1)
    return page(
        request,
        response,
        found,
        limit,
        view=WebhookView.of,
        cursor=lambda row: ids.encode("hook", row.id),
    )


@router.get("/{webhook}", responses=problems(404))
def read_webhook(webhook_id: WebhookId, caller: Admin, session: RequestSession) -> WebhookView:
    """Return one webhook."""
    return WebhookView.of(webhooks.get(session, caller.project_id, webhook_id))


@router.patch(
    "/{webhook}",
    responses=problems(400, 404, 413),
    openapi_extra=request_of(WebhookChange.__name__),
)
def change_webhook(
    webhook_id: WebhookId,
    caller: Admin,
    change: ChangeBody,
    session: RequestSession,
    services: FromServices,
) -> WebhookView:
    """Change, disable or re-enable a webhook.

    Deliveries pending when it is disabled are dropped; redeliver those that you need.
    """
    if "url" in change:
        _check_url(change["url"], services)
    wanted = webhooks.Change(**change)
    changed = webhooks.change(session, caller.project_id, webhook_id, wanted, by=caller.key_name)
    audit.note(session, caller.actor, "webhook.change", ids.encode("hook", webhook_id))
    return WebhookView.of(changed)


@router.delete("/{webhook}", status_code=204, responses=problems(404))
def delete_webhook(webhook_id: WebhookId, caller: Admin, session: RequestSession) -> None:
    """Delete a webhook with its deliveries."""
    webhooks.delete(session, caller.project_id, webhook_id)
    audit.note(session, caller.actor, "webhook.delete", ids.encode("hook", webhook_id))


@router.post("/{webhook}/rotate-secret", responses=problems(404))
def rotate_webhook_secret(
    webhook_id: WebhookId, caller: Admin, session: RequestSession
) -> WebhookWithSecret:
    """Rotate a webhook's secret; the new one is shown only once. For a day the old one signs as
    well."""
    webhook = webhooks.rotate_secret(session, caller.project_id, webhook_id)
    audit.note(session, caller.actor, "webhook.rotate_secret", ids.encode("hook", webhook_id))
    return WebhookWithSecret.of(webhook)


@router.post("/{webhook}/test", status_code=202, responses=problems(404))
def send_test_event(
    webhook_id: WebhookId, caller: Admin, session: RequestSession, response: Response
) -> DeliveryView:
    """Send an event `webhook.test` once, whether enabled or not; read the delivery again for its
    result. While a test is pending, that delivery is returned."""
    view = DeliveryView.of(deliveries.test(session, caller.project_id, webhook_id))
    hook = ids.encode("hook", webhook_id)
    audit.note(session, caller.actor, "webhook.test", hook)
    response.headers["Location"] = f"/v1/webhooks/{hook}/deliveries/{view.id}"
    return view


@router.get("/{webhook}/deliveries", responses=problems(404))
def list_deliveries(
    *,
    webhook_id: WebhookId,
    caller: Admin,
    session: RequestSession,
    request: Request,
    response: Response,
    after: Annotated[str | None, Query(description="`next` of the previous page.")] = None,
    limit: Limit = 20,
) -> Page[DeliveryView]:
    """List a webhook's deliveries, newest first; kept for 30 days."""
    webhook = webhooks.get(session, caller.project_id, webhook_id)
    start = decoded("msg", "page", after) if after else None
    found = deliveries.list_deliveries(session, webhook.id, after=start, limit=limit + 1)
    return page(
        request,
        response,
        found,
        limit,
        view=DeliveryView.of,
        cursor=lambda row: ids.encode("msg", row.id),
    )


@router.get("/{webhook}/deliveries/{delivery}", responses=problems(404))
def read_delivery(
    webhook_id: WebhookId, delivery_id: DeliveryId, caller: Admin, session: RequestSession
) -> DeliveryView:
    """Return one delivery with the result of its attempts."""
    return DeliveryView.of(deliveries.get(session, caller.project_id, webhook_id, delivery_id))


@router.post("/{webhook}/deliveries/{delivery}/redeliver", responses=problems(404, 409))
def redeliver(
    webhook_id: WebhookId, delivery_id: DeliveryId, caller: Admin, session: RequestSession
) -> DeliveryView:
    """Redeliver an event under the same id, with a new set of retries."""
    again = deliveries.redeliver(session, caller.project_id, webhook_id, delivery_id)
    audit.note(session, caller.actor, "delivery.redeliver", ids.encode("msg", delivery_id))
    return DeliveryView.of(again)


def _check_url(url: str, services: Services) -> None:
    """Check a webhook's URL by its text; its host is resolved at each delivery.

    Raises:
        Problem: 422, names the field.
    """
    try:
        check_text(url, private=private(services.settings.webhooks_allow_private))
    except AddressRefused as refused:
        error = FieldProblem(detail=refused.detail, pointer="/url")
        raise Problem(422, "invalid_request", refused.detail, errors=[error]) from None
