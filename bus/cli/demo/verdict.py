"""The verdict on one department after one edition."""

from dataclasses import dataclass

from bus.cli.demo.expectation import Counts, Edition, EditionChange, Share, digest, expected_counts
from bus.cli.demo.observation import Held, Received


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a department holds and received, and whether that is right."""

    rows: int
    received: Counts
    faults: tuple[str, ...]
    note: str = ""

    @property
    def well(self) -> bool:
        """Whether everything is as the files say."""
        return not self.faults


def judge(
    share: Share,
    *,
    old: Edition,
    new: Edition,
    before: Held,
    held: Held,
    existed: frozenset[str],
    refilled: bool,
) -> Verdict:
    """
    Compare what a department holds with the files, and what it received with their difference.

    `existed` are the keys that the all-rows subscriber held before: a new row that was there
    already has entered the view, it was not inserted. `refilled`: the grant was changed, so the
    whole view came anew and only its content can be judged.
    """
    must = share.of(new)
    faults = []
    if held.keys != must.keys():
        faults.append(f"{len(held.keys)} rows, but the file says {len(must)}")
    elif held.digest != digest((key, must[key]) for key in sorted(must)):
        faults.append("the rows differ from the file's")
    received = Counts(
        upserts=held.received.upserts - before.received.upserts,
        deletes=held.received.deletes - before.received.deletes,
        entered=len((held.keys - before.keys) & existed),
        left=held.received.left - before.received.left,
    )
    if refilled:
        if received.upserts < len(must):
            faults.append(f"{received.upserts} upserts cannot fill {len(must)} rows")
        return Verdict(len(held.keys), received, tuple(faults), "filled anew")
    wanted = expected_counts(share, EditionChange.between(old, new), old, new)
    faults += [
        f"{getattr(received, name)} {name}, but the files' difference says {getattr(wanted, name)}"
        for name in ("upserts", "deletes", "entered", "left")
        if getattr(received, name) != getattr(wanted, name)
    ]
    return Verdict(len(held.keys), received, tuple(faults))


def judge_revoked(
    share: Share, *, old: Edition, new: Edition, rows: Edition, before: Held, held: Held
) -> Verdict:
    """
    Judge a department whose grant was revoked while the edition was being published.

    Each of its rows must be the one before or the one after the edition, and nothing else.
    """
    was, becomes = share.of(old), share.of(new)
    faults = [
        f"row {key} is neither the old nor the new one"
        for key in sorted(rows.keys() | was.keys() & becomes.keys())
        if rows.get(key) not in (was.get(key), becomes.get(key))
    ]
    return Verdict(len(rows), _since(before, held), tuple(faults[:3]), "revoked")


def judge_frozen(*, before: Held, held: Held) -> Verdict:
    """Judge a department whose grant was revoked earlier: nothing may have come."""
    faults = () if held == before else ("something has come after the revocation",)
    return Verdict(len(held.keys), _since(before, held), faults, "revoked")


def nothing_held() -> Held:
    """Return what a department holds before it has received anything."""
    return Held(frozenset(), digest(()), Received())


def _since(before: Held, held: Held) -> Counts:
    return Counts(
        upserts=held.received.upserts - before.received.upserts,
        deletes=held.received.deletes - before.received.deletes,
        entered=0,
        left=held.received.left - before.received.left,
    )
