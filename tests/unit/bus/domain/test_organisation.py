"""Unit tests of `bus.domain.organisation`."""

from bus.domain.organisation import Level, Organisation, Zone


def test_the_levels_are_those_of_the_registry() -> None:
    """R-001: national, provincial, city, county, township, affiliated unit."""
    levels = {str(each) for each in Level}

    assert levels == {"national", "provincial", "city", "county", "township", "affiliated"}


def test_an_organisation_is_active_unless_it_is_said_not_to_be() -> None:
    organisation = Organisation(
        code="statistics",
        jurisdiction="cn",
        title_zh="统计局",
        title_en="Bureau of Statistics",
        level=Level.CITY,
        zone=Zone.INTERNAL,
    )

    assert organisation.active
