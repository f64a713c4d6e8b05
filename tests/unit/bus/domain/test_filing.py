"""Unit tests of `bus.domain.filing`."""

import pytest

from bus.domain import filing
from bus.domain.filing import FilingState
from bus.errors import Forbidden
from tests.life_cycle_cases import AT, AUTHORITY, FILING, OWNER


def test_a_change_stays_unfiled_until_the_authority_acknowledges_it() -> None:
    """R-027, S-11.5."""
    assert FILING.state is FilingState.FILING_PENDING
    with pytest.raises(Forbidden):
        filing.acknowledge(FILING, by=OWNER, at=AT)

    filed = filing.acknowledge(FILING, number="2019-12", by=AUTHORITY, at=AT)

    assert (filed.state, filed.number, filed.acknowledged_by, filed.acknowledged_at) == (
        FilingState.FILED,
        "2019-12",
        "bigdata",
        AT,
    )
