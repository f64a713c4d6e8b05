"""The calendars of countries, with the amendments that are loaded over them."""

import datetime as dt
from collections.abc import Mapping

from bus.adapters.calendars.chinese_calendar import COUNTRY, ChineseCalendar
from bus.domain.calendar_amendment import AmendedCalendar
from bus.domain.working_days import WorkingCalendar
from bus.errors import ConfigError
from bus.ports.calendars import CalendarAmendments

_PACKAGED: Mapping[str, WorkingCalendar] = {COUNTRY: ChineseCalendar()}


class AmendedCalendars:
    """See `bus.ports.calendars.Calendars`."""

    def __init__(self, amendments: CalendarAmendments) -> None:
        self._amendments = amendments

    def calendar(self, country: str, *, as_of: dt.date | None = None) -> WorkingCalendar:
        packaged = _PACKAGED.get(country)
        if packaged is None:
            known = ", ".join(sorted(_PACKAGED))
            raise ConfigError(f"calendar.country {country!r} has no calendar here; known: {known}")
        return AmendedCalendar(
            packaged,
            self._amendments.amendments(country),
            years=self._amendments.years(country),
            as_of=as_of,
        )
