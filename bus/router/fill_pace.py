"""
How much a fill does at a time, so that live records wait for it no longer than need be.

What a step costs depends on how many views are filled and what passes their filters; so it is
measured, and not reckoned. What a transaction costs however little is in it is left out: smaller
steps would not make it less, and where it is most of the time a fill would hardly go on.
"""

from typing import Final

from bus.router.fill import STEP_RECORDS

#: The most and the fewest records that are looked at in one step: with fewer, what a transaction
#: costs in itself would be most of it, and a fill would take for ever.
MOST: Final = STEP_RECORDS
FEWEST: Final = 500
#: What the steps of one transaction may take. Live records wait for one at most, besides their own.
SECONDS: Final = 0.05


class FillPace:
    """The size of the next step, by how long the last ones took."""

    def __init__(self) -> None:
        self.records = FEWEST

    def note(self, seconds: float) -> None:
        """Note how long it took that fills went on by `records` each, without the commit."""
        if seconds > SECONDS:
            self.records = max(FEWEST, self.records // 2)
        elif seconds < SECONDS / 2:
            self.records = min(MOST, self.records * 2)
