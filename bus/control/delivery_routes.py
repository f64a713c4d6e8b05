"""The descriptors that publishers and subscribers follow (design.md §9)."""

import hashlib
import json
from typing import Any

from fastapi import APIRouter, Request, Response

from bus.control.authentication import Caller, sees_everything
from bus.control.rate_limits import limit_principal
from bus.domain.items import DataItem
from bus.domain.names import provider_principal, value_subject
from bus.domain.principal import Principal
from bus.domain.share import ShareClass
from bus.domain.topics import REPLAY_WINDOW_DAYS
from bus.errors import NotFound
from bus.ports import CatalogReader, Delivery, Publication

router = APIRouter(
    prefix="/v1",
    tags=["delivery"],
    dependencies=[limit_principal],
    responses={304: {"description": "The caller has it already."}},
)


@router.get("/subscriptions/{subscription}")
def subscription_descriptor(subscription: str, request: Request, caller: Caller) -> Response:
    """Return where and how a subscription is delivered, and under which grant."""
    reader: CatalogReader = request.app.state.reader
    delivery = reader.delivery(subscription)
    if delivery is None or not _may_see(caller, delivery.subscription.principal):
        raise NotFound(f"there is no subscription {subscription!r}, or it is not yours")
    return _tagged(request, _descriptor(delivery))


@router.get("/publications/{resource}")
def publication_descriptor(resource: str, request: Request, caller: Caller) -> Response:
    """Return where and how the provider of a resource publishes."""
    reader: CatalogReader = request.app.state.reader
    publication = reader.publication(resource)
    if publication is None or not _may_see(caller, provider_principal(publication.entry.provider)):
        raise NotFound(f"there is no resource {resource!r}, or it is not yours to publish")
    return _tagged(request, _publication(publication))


def _may_see(caller: Principal, owner: str) -> bool:
    return sees_everything(caller) or caller.name == owner


def _descriptor(delivery: Delivery) -> dict[str, Any]:
    subscription, grant, entry = delivery.subscription, delivery.grant, delivery.entry
    incarnation = delivery.incarnation
    open_state = "LIVE" if incarnation.live else "SNAPSHOTTING"
    if subscription.blocked:
        open_state = "BLOCKED"
    return {
        "id": subscription.id,
        "state": "ENDED" if subscription.ended else open_state,
        "grant": {
            "id": grant.id,
            "version": delivery.grant_version,
            "state": delivery.state,
            "valid_from": grant.valid_from.isoformat(),
            "valid_until": grant.valid_until.isoformat(),
        },
        "purpose": grant.purpose,
        "class": _strictest_class(delivery),
        "consumer": grant.consumer,
        "mode": grant.mode,
        "resource": {
            "code": entry.resource,
            "jurisdiction": entry.jurisdiction,
            "provider": entry.provider,
            "entry_version": delivery.entry_version,
            "titles": {"zh": entry.title_zh, "en": entry.title_en},
        },
        "items": [
            {
                "name": item.name,
                "titles": {"zh": item.title_zh, "en": item.title_en},
                "key": item.key,
                "treatment": incarnation.view.treatments[item.name],
            }
            for item in _kept(delivery)
        ],
        "view": incarnation.view.id,
        "incarnation": incarnation.number,
        "topic": incarnation.topic,
        "partitions": incarnation.partitions,
        "subject": value_subject(incarnation.topic),
        "principal": subscription.principal,
        "group_prefix": subscription.group_prefix,
        "fill_end": {str(number): end for number, end in incarnation.fill_end.items()}
        if incarnation.live
        else None,
        "replay_window_days": REPLAY_WINDOW_DAYS,
    }


def _kept(delivery: Delivery) -> list[DataItem]:
    kept = delivery.incarnation.view.kept()
    return [item for item in delivery.entry.items if item.name in kept]


def _strictest_class(delivery: Delivery) -> ShareClass | None:
    order = [ShareClass.NOT_SHARED, ShareClass.CONDITIONAL, ShareClass.UNCONDITIONAL]
    classes = {
        rule.share_class
        for item in _kept(delivery)
        if (rule := delivery.entry.rule(item, delivery.grant.scope)) is not None
    }
    return next((each for each in order if each in classes), None)


def _publication(publication: Publication) -> dict[str, Any]:
    entry = publication.entry
    return {
        "resource": entry.resource,
        "jurisdiction": entry.jurisdiction,
        "provider": entry.provider,
        "principal": provider_principal(entry.provider),
        "entry_version": publication.version,
        "generation": entry.generation,
        "topic": entry.source_topic,
        "partitions": entry.partitions,
        "dead_letter_topic": entry.dead_letter_topic,
        "key_items": [item.name for item in entry.key_items],
        "schema_id": publication.schema.id,
        "schema": publication.schema.text,
        "subject": value_subject(entry.source_topic),
    }


def _tagged(request: Request, content: dict[str, Any]) -> Response:
    """Answer with an entity tag, and with nothing but that if the caller has it already."""
    body = json.dumps(content, ensure_ascii=False).encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(body, media_type="application/json", headers={"ETag": tag})
