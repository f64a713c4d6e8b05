"""`onesource calendar show | amend`: which days are working days, and by which decree."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bus.cli.console import console, error_console

if TYPE_CHECKING:
    from bus.domain.calendar_amendment import Amendment
    from bus.domain.working_days import WorkingCalendar

_COUNTRY = "CN"
_SATURDAY = 5

group = typer.Typer(
    help="Working days (工作日): what decrees say beyond the calendar package.",
    no_args_is_help=True,
)


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(group, name="calendar")


@group.command()
def show(
    year: Annotated[int, typer.Argument(min=1949, max=9998, help="The year.", show_default=False)],
    country: Annotated[
        str, typer.Option("--country", help="Whose calendar: two capitals.")
    ] = _COUNTRY,
    as_of: Annotated[
        dt.datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="With the decrees of that day alone."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print the days off from Monday to Friday, and the make-up workdays (调休) of a year."""
    from bus.adapters.calendars.amended_calendars import AmendedCalendars
    from bus.bootstrap.calendar import calendar_store
    from bus.settings import load_settings

    with calendar_store(load_settings()) as store, store.snapshot() as loaded:
        known_on = as_of.date() if as_of else None
        calendar = AmendedCalendars(loaded).calendar(country, as_of=known_on)
        amendments = [
            each
            for each in loaded.amendments(country)
            if each.day.year == year and (known_on is None or each.decreed_on <= known_on)
        ]
    rows = _exceptions(year, calendar, amendments)
    # The year is known if any of its days that no amendment names is.
    named = {each.day for each in amendments}
    decreed = any(
        calendar.is_working_day(day) is not None for day in _days(year) if day not in named
    )
    if as_json:
        console.print_json(data={"year": year, "decreed": decreed, "days": rows})
        return
    _print(rows)
    if not decreed:
        error_console.print(
            f"The decree for {year} is not loaded: due dates in it are provisional.",
            highlight=False,
            soft_wrap=True,
        )


@group.command()
def amend(
    file: Annotated[Path, typer.Argument(help="The decree.", show_default=False)],
) -> None:
    """
    Load a decree: an amendment, or a year that the calendar package does not hold yet.

    Open due dates are counted again. Loading the same again changes nothing.
    """
    from bus.adapters.calendars.amended_calendars import AmendedCalendars
    from bus.adapters.definitions.decrees import load_decree
    from bus.adapters.system_clock import SystemClock
    from bus.bootstrap.calendar import calendar_store
    from bus.domain.access import OPERATOR
    from bus.services.calendar_decrees import CalendarDecrees
    from bus.settings import load_settings

    decree = load_decree(file)
    with calendar_store(load_settings()) as store:
        with store.snapshot() as known:
            # A country without calendar is refused before anything is loaded for it.
            AmendedCalendars(known).calendar(decree.country)
        loaded = CalendarDecrees(store=store, clock=SystemClock()).load(decree, account=OPERATOR)
    said = [f"{loaded.days} days loaded"] if loaded.days else []
    said += [f"{decree.whole_year} is decreed now"] if loaded.year else []
    console.print(", ".join(said) or "nothing to change", highlight=False)


def _exceptions(
    year: int, calendar: "WorkingCalendar", amendments: "list[Amendment]"
) -> list[dict[str, str]]:
    """Return the days that are not as Monday to Friday say, with the decree that was loaded."""
    by_decree = {each.day: each for each in sorted(amendments, key=lambda each: each.decreed_on)}
    rows = []
    for day in _days(year):
        working = calendar.is_working_day(day)
        if working is None or working is (day.weekday() < _SATURDAY):
            continue
        decree = by_decree.get(day)
        rows.append(
            {
                "day": day.isoformat(),
                "weekday": f"{day:%a}",
                "is": "working" if working else "off",
                "by": f"{decree.ordinance} ({decree.decreed_on})" if decree else "package",
            }
        )
    return rows


def _days(year: int) -> list[dt.date]:
    first, after = dt.date(year, 1, 1), dt.date(year + 1, 1, 1)
    return [first + dt.timedelta(days=n) for n in range((after - first).days)]


def _print(rows: list[dict[str, str]]) -> None:
    table = Table("day", "", "is", "by")
    for row in rows:
        colour = "green" if row["is"] == "working" else "cyan"
        table.add_row(row["day"], row["weekday"], f"[{colour}]{row['is']}[/]", escape(row["by"]))
    console.print(table)
