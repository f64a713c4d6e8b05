"""Unit tests of `bus.domain.contacts`."""

import datetime as dt
from dataclasses import replace

import pytest

from bus.domain.contacts import Contact, ContactKind, Contacts, appoint, require_contacts
from bus.errors import Refused

FIRST = dt.date(2019, 1, 1)
NEXT = dt.date(2019, 7, 1)
HEAD = Contact(kind=ContactKind.HEAD, name="first head", since=FIRST)
UNIT = Contact(kind=ContactKind.LEAD_UNIT, name="information office", since=FIRST)
REQUIRED = [ContactKind.HEAD, ContactKind.LEAD_UNIT]
NOBODY = Contacts(organisation="housing")


def test_an_organisation_is_not_activated_without_those_who_answer_for_it() -> None:
    """R-003: head and lead unit, and whom the profile asks for besides."""
    with pytest.raises(Refused, match="housing has no lead_unit") as refused:
        require_contacts(appoint(NOBODY, HEAD), REQUIRED, FIRST)
    assert refused.value.code == "CONTACT_REQUIRED"

    complete = appoint(appoint(NOBODY, HEAD), UNIT)

    require_contacts(complete, REQUIRED, FIRST)
    assert complete.missing([*REQUIRED, ContactKind.LIAISON], FIRST) == (ContactKind.LIAISON,)
    assert complete.missing(REQUIRED, FIRST - dt.timedelta(days=1)) == tuple(REQUIRED)


def test_each_change_of_person_is_kept_with_dates() -> None:
    """R-003: who answered on which day can be told for ever."""
    successor = replace(HEAD, name="second head", since=NEXT)
    contacts = appoint(appoint(appoint(NOBODY, HEAD), UNIT), successor)

    assert [(each.name, each.since, each.until) for each in contacts.terms] == [
        ("first head", FIRST, NEXT),
        ("information office", FIRST, None),
        ("second head", NEXT, None),
    ]
    answers = {
        day: contacts.of(ContactKind.HEAD, day) for day in (NEXT - dt.timedelta(days=1), NEXT)
    }
    assert [each.name for each in answers.values() if each] == ["first head", "second head"]


@pytest.mark.parametrize(
    ("contact", "code"),
    [
        (replace(HEAD, name=" ", since=NEXT), "CONTACT_REQUIRED"),
        (replace(HEAD, since=FIRST), "CONTACT_INVALID"),
        (replace(HEAD, since=NEXT, until=NEXT), "CONTACT_INVALID"),
    ],
)
def test_history_is_not_rewritten(contact: Contact, code: str) -> None:
    """R-003."""
    with pytest.raises(Refused) as refused:
        appoint(appoint(NOBODY, HEAD), contact)
    assert refused.value.code == code
