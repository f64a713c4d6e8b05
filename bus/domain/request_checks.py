"""What a request, a decision and a refusal must have (R-080, R-085, R-087, R-090); old cases."""

import re
from collections.abc import Collection, Iterable
from dataclasses import replace

from bus.domain.profile_terms import RefusalReason
from bus.domain.request import Ask, Decision, Refusal, RequestState, ShareRequest
from bus.domain.request_rules import RequestRules
from bus.domain.view import Treatment
from bus.errors import Refused

#: What every request says by itself: the items are the need.
_ALWAYS_THERE = frozenset({"need", "purpose"})
#: What a request came to whose content may be asked for again, as another case (§2.4).
REFUSED_FOR_GOOD = frozenset(
    {RequestState.REFUSED, RequestState.DENIED_FINAL, RequestState.REJECTED_PRE_REVIEW}
)


def missing_parts(ask: Ask, fields: Collection[str]) -> set[str]:
    """Return the parts that the profile asks for and the request does not have (R-080)."""
    missing = {
        part for part in fields if part not in _ALWAYS_THERE and not ask.form.get(part, "").strip()
    }
    if not ask.duty.strip():
        missing.add("duty")
    if not ask.items:
        missing.add("need")
    return missing


def check_decision(ask: Ask, decision: Decision) -> None:
    """Refuse what is more than was asked for, or nothing of it (R-090)."""
    kept = {name for name, how in decision.treatments.items() if how is not Treatment.OMIT}
    beyond = sorted(kept - {*ask.items, *ask.keys})
    if beyond:
        raise _beyond(f"{', '.join(beyond)} was not asked for")
    if kept.isdisjoint(ask.items):
        raise Refused(
            "nothing that was asked for is granted: that is a refusal", code="DECISION_EMPTY"
        )
    if ask.row_filter is not None and decision.row_filter is None:
        raise _beyond("rows that the request leaves out were not asked for")
    if ask.valid_until is not None and decision.valid_until > ask.valid_until:
        raise _beyond(f"the time after {ask.valid_until} was not asked for")
    if decision.valid_until < decision.valid_from:
        raise Refused("the grant would end before it begins", code="PERIOD_INVALID")


def _beyond(what: str) -> Refused:
    return Refused(f"{what}: a decision narrows a request, never widens it", code="BEYOND_REQUEST")


def check_refusal(refusal: Refusal, rules: RequestRules, names: Collection[str]) -> None:
    """
    Refuse a refusal without what the profile demands (R-085, R-087).

    `names`: items and conditions, of which a specific reason names at least one.
    """
    level = rules.reason_level
    if level in {RefusalReason.STATED, RefusalReason.SPECIFIC} and not refusal.text.strip():
        raise Refused("a refusal needs a reason", code="REASON_REQUIRED")
    if level is RefusalReason.SPECIFIC and not (
        refusal.ground.strip() and any(_names(refusal.text, name) for name in names)
    ):
        raise Refused(
            "a refusal needs a coded ground and a text that names the item or condition concerned",
            code="REASON_NOT_SPECIFIC",
        )
    written = level in {RefusalReason.WRITTEN, RefusalReason.WRITTEN_OPINION}
    if written and not refusal.document.strip():
        raise Refused("a refusal needs a signed document", code="WRITTEN_REASON_REQUIRED")
    if level is RefusalReason.WRITTEN_OPINION and rules.opinion_to not in {
        None,
        refusal.addressed_to,
    }:
        raise Refused(
            f"the written opinion has to be addressed to `{rules.opinion_to}`",
            code="OPINION_MISADDRESSED",
        )
    if rules.statutory_only and not refusal.citation.strip():
        raise Refused(
            "only statutory causes count: cite instrument and article",
            code="STATUTORY_GROUND_REQUIRED",
        )


def _names(text: str, name: str) -> bool:
    """Tell whether `text` names it as a word: `id` is not named in `considered`."""
    word = re.escape(name.strip())
    return bool(word) and re.search(rf"(?<![0-9A-Za-z_]){word}(?![0-9A-Za-z_])", text) is not None


def link_to_refused(request: ShareRequest, earlier: Iterable[ShareRequest]) -> ShareRequest:
    """
    Link a request to the newest of `earlier` that asked for the same and was refused (§2.4).

    Only how long the data is wanted may differ. It is no obstacle: the old case is at hand.
    """
    same = [
        each
        for each in earlier
        if each.id != request.id
        and each.consumer == request.consumer
        and each.state in REFUSED_FOR_GOOD
        and _content(each.ask) == _content(request.ask)
    ]
    newest = max(same, key=lambda each: each.created_at, default=None)
    return replace(request, linked_to=None if newest is None else newest.id)


def _content(ask: Ask) -> object:
    items = frozenset(ask.items)
    return ask.resource, items, ask.row_filter, ask.purpose, ask.duty, ask.mode, dict(ask.form)
