"""The bus's own events between domain values and Avro records."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bus.adapters.avro.bus_events import decode_event, encode_event
from bus.domain.dead_letter import DeadLetter
from bus.domain.policy import (
    PolicyHeartbeat,
    PolicyVersion,
    ResourcePolicy,
    ViewPolicy,
    WriterSchema,
)
from bus.domain.pseudonyms import PseudonymKey
from bus.domain.router_state import Phase, RouterState
from bus.domain.view import Treatment, View
from bus.errors import ContractError
from bus.ports import BusEvent

_NAMES = {
    ResourcePolicy: "policy_resource",
    PolicyVersion: "policy_version",
    PolicyHeartbeat: "policy_heartbeat",
    DeadLetter: "dead_letter",
}


class AvroEventCodec:
    """See `bus.ports.EventCodec`."""

    def encode(self, event: BusEvent) -> bytes:
        if isinstance(event, ViewPolicy):
            return encode_event("policy_view", _view_record(event))
        if isinstance(event, RouterState):
            # A router that starts writes thousands: `asdict` would copy each, and what is in it.
            return encode_event("router_state", _state_record(event))
        return encode_event(_NAMES[type(event)], asdict(event))

    def decode(self, data: bytes) -> BusEvent:
        name, record = decode_event(data)
        match name:
            case "policy_resource":
                record["key_items"] = tuple(record["key_items"])
                record["schemas"] = tuple(WriterSchema(**each) for each in record["schemas"])
                return ResourcePolicy(**record)
            case "policy_view":
                return _view_policy(record)
            case "policy_version":
                return PolicyVersion(**record)
            case "policy_heartbeat":
                return PolicyHeartbeat(**record)
            case "router_state":
                return RouterState(**{**record, "phase": Phase(record["phase"])})
            case _:
                return DeadLetter(**record)


def _view_record(policy: ViewPolicy) -> Mapping[str, Any]:
    view = policy.view
    return {
        "jurisdiction": view.jurisdiction,
        "resource": view.resource,
        "generation": view.generation,
        "row_filter": view.row_filter,
        # In a fixed order, whatever the view was read from: equal policies are equal bytes.
        "treatments": {
            item: _treatment_text(how, view) for item, how in sorted(view.treatments.items())
        },
        "incarnation": policy.incarnation,
        "topic": policy.topic,
        "partitions": policy.partitions,
        "projections": [
            {"writer_schema_id": writer, "view_schema_id": projected}
            for writer, projected in sorted(policy.projections.items())
        ],
    }


def _state_record(state: RouterState) -> Mapping[str, Any]:
    return {
        "phase": state.phase.value,
        "policy_version": state.policy_version,
        "start": state.start,
        "next": state.next,
    }


def _treatment_text(how: Treatment, view: View) -> str:
    """
    Return a treatment as it is on the policy topic: of pseudonyms `hmac:organisation#version`.

    A field of its own would be a new schema, and what stands on the topic could not be read by it.
    """
    return f"{how}:{view.pseudonyms_for}" if how is Treatment.HMAC else str(how)


def _view_policy(record: Mapping[str, Any]) -> ViewPolicy:
    treatments, pseudonyms_for = _treatments(record["treatments"])
    return ViewPolicy(
        view=View(
            jurisdiction=record["jurisdiction"],
            resource=record["resource"],
            generation=record["generation"],
            row_filter=record["row_filter"],
            treatments=treatments,
            pseudonyms_for=pseudonyms_for,
        ),
        incarnation=record["incarnation"],
        topic=record["topic"],
        partitions=record["partitions"],
        projections={
            each["writer_schema_id"]: each["view_schema_id"] for each in record["projections"]
        },
    )


def _treatments(
    texts: Mapping[str, str],
) -> tuple[dict[str, Treatment], PseudonymKey | None]:
    """Return what `_treatment_text` wrote; raise `ContractError` if it did not."""
    treatments: dict[str, Treatment] = {}
    keys: set[PseudonymKey] = set()
    for item, text in sorted(texts.items()):
        how, colon, key = text.partition(":")
        treatments[item] = _treatment(how)
        if (treatments[item] is Treatment.HMAC) is not bool(colon):
            raise ContractError(f"no treatment is written {text!r}")
        if colon:
            keys.add(_pseudonym_key(key))
    if len(keys) > 1:
        raise ContractError("the pseudonyms of a view are all of one key")
    return treatments, next(iter(keys), None)


def _pseudonym_key(text: str) -> PseudonymKey:
    try:
        return PseudonymKey.parse(text)
    except ValueError as error:
        raise ContractError(str(error)) from error


def _treatment(text: str) -> Treatment:
    try:
        return Treatment(text)
    except ValueError as error:
        raise ContractError(f"{error}: written by a newer release") from error
