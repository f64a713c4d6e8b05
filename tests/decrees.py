"""
Two decrees of the State Council that were amended, each as the rows of the calendar table.

The calendar package holds the final state only; what had been decreed before is loaded over it.
"""

import datetime as dt

from bus.domain.calendar_amendment import Amendment


def decree(ordinance: str, decreed_on: str, days: dict[str, bool]) -> list[Amendment]:
    """Return a decree's days: True a working day, False a day off."""
    return [
        Amendment(
            country="CN",
            day=dt.date.fromisoformat(day),
            working=working,
            decreed_on=dt.date.fromisoformat(decreed_on),
            ordinance=ordinance,
        )
        for day, working in days.items()
    ]


#: The first decree for 2019 gave the first of May alone.
LABOUR_DAY_2019 = decree(
    "国办发明电〔2018〕15号",
    "2018-12-01",
    {
        "2019-04-28": False,
        "2019-05-01": False,
        "2019-05-02": True,
        "2019-05-03": True,
        "2019-05-04": False,
        "2019-05-05": False,
    },
)
LABOUR_DAY_2019_AMENDED = decree(
    "国办发明电〔2019〕3号",
    "2019-03-22",
    {
        "2019-04-28": True,
        "2019-05-01": False,
        "2019-05-02": False,
        "2019-05-03": False,
        "2019-05-04": False,
        "2019-05-05": True,
    },
)
#: The first decree for 2020: off until 30 January, the first of February a make-up workday.
SPRING_FESTIVAL_2020 = decree(
    "国办发明电〔2019〕16号",
    "2019-11-21",
    {"2020-01-30": False, "2020-01-31": True, "2020-02-01": True, "2020-02-02": False},
)
SPRING_FESTIVAL_2020_EXTENDED = decree(
    "国办发明电〔2020〕1号",
    "2020-01-26",
    {"2020-01-30": False, "2020-01-31": False, "2020-02-01": False, "2020-02-02": False},
)
