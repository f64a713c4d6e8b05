"""
How much a fill does at a time, so that live records wait for it no longer than need be.

What a step costs depends on how many views are filled and what passes their filters, and on the
broker; so it is measured, and not reckoned.
"""

from typing import Final

from bus.router.fill import STEP_RECORDS

#: The most and the fewest records that are looked at in one step: with fewer, what a transaction
#: costs in itself would be most of it, and a fill would take for ever.
MOST: Final = STEP_RECORDS
FEWEST: Final = 500
#: What a transaction of fills may take. Live records wait for one at most, besides their own.
SECONDS: Final = 0.05


class FillPace:
    """The size of the next step, by how long the last transactions of fills took."""

    def __init__(self) -> None:
        self.records = FEWEST

    def note(self, seconds: float) -> None:
        """Note how long a transaction took in which fills went on by `records` each."""
        if seconds > SECONDS:
            self.records = max(FEWEST, self.records // 2)
        elif seconds < SECONDS / 2:
            self.records = min(MOST, self.records * 2)
