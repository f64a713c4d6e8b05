"""Amendments of the working-day calendar in memory."""

from collections.abc import Iterable, Sequence

from bus.domain.calendar_amendment import Amendment, DecreedYear, is_news


class MemoryCalendarAmendments:
    """See `bus.ports.calendars.CalendarAmendments`."""

    def __init__(self, amendments: Iterable[Amendment] = ()) -> None:
        self._amendments = list(amendments)
        self._years: dict[tuple[str, int], DecreedYear] = {}

    def amendments(self, country: str) -> Sequence[Amendment]:
        found = [each for each in self._amendments if each.country == country]
        return sorted(found, key=lambda each: (each.day, each.decreed_on))

    def add(self, amendment: Amendment) -> bool:
        known = [each for each in self.amendments(amendment.country) if each.day == amendment.day]
        if not is_news(amendment, known):
            return False
        self._amendments.append(amendment)
        return True

    def years(self, country: str) -> Sequence[DecreedYear]:
        found = [each for each in self._years.values() if each.country == country]
        return sorted(found, key=lambda each: each.year)

    def add_year(self, year: DecreedYear) -> bool:
        key = year.country, year.year
        if key in self._years:
            return False
        self._years[key] = year
        return True
