"""
Tell whether a log is as it was written, from its rows, its checkpoints and a public key alone.

Rows and checkpoints are read once, in order, and none is kept: a log may be larger than memory.
Found are edits, deletions, insertions and reordering by the chain; a cut tail and a chain that was
computed anew, by checkpoints. What was cut behind the newest checkpoint cannot be found here.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from bus.audit.chain import document_hash, genesis
from bus.audit.checkpoint import PublicKeys, is_signed
from bus.domain.audit_log import AuditHead, Checkpoint

#: Replicas may publish a few checkpoints in another order than that of their rows.
_WINDOW = 1_000
_PROGRESS_EVERY = 1_000


class Fault(StrEnum):
    """How a log is broken."""

    ROW_MISSING = "ROW_MISSING"
    """A number is left out."""
    ROW_MISPLACED = "ROW_MISPLACED"
    """Another row stands where this one belongs."""
    ROW_ALTERED = "ROW_ALTERED"
    """The row is not what its hash was made of."""
    LINK_BROKEN = "LINK_BROKEN"
    """The row does not follow the one before: one of the two was altered, hash and all."""
    TAIL_MISSING = "TAIL_MISSING"
    """The log ends before a row that was signed."""
    CHAIN_REWRITTEN = "CHAIN_REWRITTEN"
    """The row is another than the one that was signed: it, or rows before it, were altered."""
    CHECKPOINT_FORGED = "CHECKPOINT_FORGED"
    """A checkpoint's signature is wrong, or nobody knows its key."""
    LOG_REPLACED = "LOG_REPLACED"
    """A checkpoint was signed for another log: this one stands in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The first thing that is wrong."""

    sequence: int
    fault: Fault
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found."""

    log: str
    rows: int
    """How many rows, from the first on, form an unbroken chain."""
    checkpoints: int
    """How many checkpoints agree with it."""
    signed_through: int
    """The newest of these rows that a checkpoint vouches for, 0 if there is none."""
    signed_at: str
    """When that checkpoint was made; empty if there is none."""
    broken: Broken | None

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return self.broken is None


def verify(
    rows: Iterable[Mapping[str, object]],
    checkpoints: Iterable[Checkpoint],
    keys: PublicKeys,
    *,
    log: str,
    head: AuditHead | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Verdict:
    """
    Verify the log with the id `log`, and return the first thing that is wrong.

    `rows` are documents (`chain.to_document`), as they are: they may hold anything. `checkpoints`
    are in the order of their rows, as `merged` makes them, and all were made before reading `rows`
    began. `head` is what the database notes as its newest row: unsigned, but it finds more.
    """
    check = _Check(log, keys, _signed_and_noted(checkpoints, head))
    broken = None
    try:
        for row in rows:
            check.row(row)
            if check.sequence % _PROGRESS_EVERY == 0:
                on_progress(check.sequence)
        check.end()
    except _Found as found:
        broken = found.broken
    on_progress(check.sequence)
    return Verdict(
        log=log,
        rows=check.sequence,
        checkpoints=check.agreed,
        signed_through=check.signed.sequence if check.signed else 0,
        signed_at=check.signed.at.isoformat() if check.signed else "",
        broken=broken,
    )


def merged(*sources: Iterable[Checkpoint]) -> Iterator[Checkpoint]:
    """Yield the checkpoints of all sources in the order of their rows, each only once."""
    last = None
    for each in heapq.merge(*(_sorted(source) for source in sources), key=_sequence):
        if each != last:
            yield each
        last = each


def _sorted(source: Iterable[Checkpoint]) -> Iterator[Checkpoint]:
    """Put in order what is at most `_WINDOW` places away from where it belongs."""
    waiting: list[tuple[int, int, Checkpoint]] = []
    for number, each in enumerate(source):
        heapq.heappush(waiting, (each.sequence, number, each))
        if len(waiting) > _WINDOW:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


def _sequence(each: Checkpoint | AuditHead) -> int:
    return each.sequence


def _signed_and_noted(
    checkpoints: Iterable[Checkpoint], head: AuditHead | None
) -> Iterator[Checkpoint | AuditHead]:
    noted = [head] if head is not None and head.sequence > 0 else []
    return heapq.merge(checkpoints, noted, key=_sequence)


class _Found(Exception):
    def __init__(self, sequence: int, fault: Fault, reason: str) -> None:
        super().__init__(reason)
        self.broken = Broken(sequence=sequence, fault=fault, reason=reason)


class _Check:
    """Where in the log we are."""

    def __init__(
        self, log: str, keys: PublicKeys, checkpoints: Iterator[Checkpoint | AuditHead]
    ) -> None:
        self.sequence = 0
        self.agreed = 0
        self.signed: Checkpoint | None = None
        self._hash = genesis(log)
        self._log = log
        self._keys = keys
        self._checkpoints = checkpoints
        self._next = next(checkpoints, None)

    def row(self, document: Mapping[str, object]) -> None:
        """Take the next row; raise `_Found` if it is not the one."""
        belongs = self.sequence + 1
        found = document.get("sequence")
        # True is 1 in Python, but not in JSON.
        if type(found) is not int or found < belongs:
            raise _Found(
                belongs,
                Fault.ROW_MISPLACED,
                f"where row {belongs} belongs stands one with the number {found!r:.40}",
            )
        if found > belongs:
            raise _Found(
                belongs,
                Fault.ROW_MISSING,
                f"row {belongs} is missing: after row {self.sequence} comes row {found}",
            )
        computed = document_hash(document)
        if document.get("hash") != computed.hex():
            raise _Found(
                belongs, Fault.ROW_ALTERED, f"row {belongs} is not what its hash was made of"
            )
        if document.get("previous") != self._hash.hex():
            before = f"row {self.sequence}" if self.sequence else f"the beginning of {self._log}"
            raise _Found(
                belongs,
                Fault.LINK_BROKEN,
                f"row {belongs} does not follow {before}: one of the two was altered",
            )
        self._agree(belongs, computed)
        self.sequence, self._hash = belongs, computed

    def _agree(self, sequence: int, computed: bytes) -> None:
        """Compare the row with what was signed of it."""
        while self._next is not None and self._next.sequence <= sequence:
            self._judge(self._next)
            if self._next.hash != computed:
                since = self.signed.sequence if self.signed else 0
                raise _Found(
                    sequence,
                    Fault.CHAIN_REWRITTEN,
                    f"row {sequence} is not the one that {_witness(self._next)}: it, or others "
                    f"behind row {since}, were altered and the chain computed anew",
                )
            self._take(self._next)

    def end(self) -> None:
        """Take note that there are no more rows; raise `_Found` if there were more."""
        while self._next is not None:
            self._judge(self._next)
            raise _Found(
                self.sequence + 1,
                Fault.TAIL_MISSING,
                f"row {self.sequence + 1} is missing: the log ends before row "
                f"{self._next.sequence}, which {_witness(self._next)}",
            )

    def _judge(self, checkpoint: Checkpoint | AuditHead) -> None:
        """Raise `_Found` if a checkpoint cannot be believed."""
        if isinstance(checkpoint, AuditHead):
            return
        key = self._keys.get(checkpoint.key_id)
        if checkpoint.sequence < 1 or key is None or not is_signed(checkpoint, key):
            why = "its key is not among those given" if key is None else "its signature is wrong"
            raise _Found(
                max(checkpoint.sequence, 1),
                Fault.CHECKPOINT_FORGED,
                f"the checkpoint of row {checkpoint.sequence} with the key "
                f"{checkpoint.key_id!r:.40} cannot be believed: {why}",
            )
        if checkpoint.log != self._log:
            raise _Found(
                1,
                Fault.LOG_REPLACED,
                f"a checkpoint of row {checkpoint.sequence} was signed for the log "
                f"{checkpoint.log}, but this one is {self._log}",
            )

    def _take(self, checkpoint: Checkpoint | AuditHead) -> None:
        if isinstance(checkpoint, Checkpoint):
            self.agreed += 1
            self.signed = checkpoint
        self._next = next(self._checkpoints, None)


def _witness(checkpoint: Checkpoint | AuditHead) -> str:
    if isinstance(checkpoint, AuditHead):
        return "the database notes as its newest"
    return f"was signed at {checkpoint.at.isoformat(timespec='seconds')}"
