"""The play, act by act: publish an edition, let it flow, judge every department."""

import time
from pathlib import Path

from bus.cli.console import error_console
from bus.cli.demo import report
from bus.cli.demo.expectation import Edition, EditionChange, read_file
from bus.cli.demo.observation import Held, Latencies, Scrape, read_held, read_rows
from bus.cli.demo.scenario import REVOKED, YEAR_OF_CHANGES, YEARS, Dataset, Department
from bus.cli.demo.stage import Published, Stage
from bus.cli.demo.verdict import Verdict, judge, judge_frozen, judge_revoked, nothing_held

#: How long an edition may take to arrive everywhere: at least, and per thousand changed records.
_QUIET_SECONDS = 60.0
_QUIET_SECONDS_PER_THOUSAND = 1.0
#: While grants change, an edition is published slowly enough to last about this long.
_CHANGE_SECONDS = 5.0


class Play:
    """One performance on a stage that has been started."""

    def __init__(self, stage: Stage, dataset: Dataset, data: Path | None) -> None:
        self._stage = stage
        self._dataset = dataset
        self._data = data
        self._departments = {each.code: each for each in dataset.departments()}
        self._shares = {code: each.share for code, each in self._departments.items()}
        self._held: dict[str, Held] = dict.fromkeys(self._departments, nothing_held())
        self._revoked: set[str] = set()
        self._started = time.monotonic()

    def run(self) -> bool:
        """Play all acts; return whether every verdict was good."""
        self._stage.start_sink(*self._departments.values())
        self._show_refusal()
        latencies = Latencies(self._stage.port("sink-academy"))
        well = True
        old: Edition = {}
        first: Published | None = None
        for year in YEARS:
            new = read_file(self._dataset.edition_file(self._data, year))
            change = EditionChange.between(old, new)
            latencies.start()
            published = self._publish(year, change)
            first = first or published
            self._await_quiet(change)
            verdicts = self._judge(year, old, new)
            well = self._check_source(published, change) and well
            well = all(each.well for each in verdicts.values()) and well
            report.edition(
                year,
                published,
                [(self._departments[code], verdict) for code, verdict in verdicts.items()],
                latencies.quantile(0.5),
                latencies.quantile(0.99),
            )
            old = new
        self._close(first, well=well)
        return well

    def _show_refusal(self) -> None:
        tourism = self._dataset.tourism()
        topic = self._stage.topic_of(self._departments["academy"])
        report.refusal(tourism, *self._stage.refusals(tourism, topic))

    def _publish(self, year: int, change: EditionChange) -> Published:
        edition = self._dataset.edition_file(self._data, year)
        if year != YEAR_OF_CHANGES:
            return self._stage.await_published(self._stage.publish(edition))
        changed = len(change.inserted) + len(change.updated) + len(change.deleted)
        process = self._stage.publish(edition, rate=max(1.0, changed / _CHANGE_SECONDS))
        self._stage.await_flow(process)
        started = time.monotonic()
        flowing = process.poll() is None
        revocation = self._stage.change_grants()
        report.grants_changed(time.monotonic() - started, revocation, flowing=flowing)
        tourism = self._dataset.tourism()
        self._departments["tourism"] = tourism
        self._shares["tourism"] = tourism.share
        self._shares["changzhou"] = self._dataset.wider_changzhou()
        self._held["tourism"] = nothing_held()
        self._revoked.add(REVOKED)
        self._stage.start_sink(tourism)
        return self._stage.await_published(process)

    def _await_quiet(self, change: EditionChange) -> None:
        changed = len(change.inserted) + len(change.updated) + len(change.deleted)
        self._stage.await_quiet(
            [each for code, each in self._departments.items() if code not in self._revoked],
            _QUIET_SECONDS + changed / 1000 * _QUIET_SECONDS_PER_THOUSAND,
        )

    def _judge(self, year: int, old: Edition, new: Edition) -> dict[str, Verdict]:
        existed = self._held["academy"].keys
        verdicts: dict[str, Verdict] = {}
        now: dict[str, Held] = {}
        for code, department in self._departments.items():
            now[code] = self._read(department)
            if code in self._revoked:
                verdicts[code] = self._judge_revoked(department, year, old, new, now[code])
                continue
            verdicts[code] = judge(
                self._shares[code],
                old=old,
                new=new,
                before=self._held[code],
                held=now[code],
                existed=existed,
                refilled=year == YEAR_OF_CHANGES and code in ("changzhou", "tourism"),
            )
        self._held = now
        return verdicts

    def _judge_revoked(
        self, department: Department, year: int, old: Edition, new: Edition, held: Held
    ) -> Verdict:
        before = self._held[department.code]
        if year != YEAR_OF_CHANGES:
            return judge_frozen(before=before, held=held)
        rows = read_rows(self._stage.dsn(department), self._dataset.table, department.share.items)
        return judge_revoked(
            department.share, old=old, new=new, rows=rows, before=before, held=held
        )

    def _read(self, department: Department) -> Held:
        return read_held(
            self._stage.dsn(department),
            self._dataset.table,
            department.share.items,
            self._stage.subscription(department.code),
        )

    @staticmethod
    def _check_source(published: Published, change: EditionChange) -> bool:
        said = (published.inserts, published.updates, published.deletes)
        wanted = (len(change.inserted), len(change.updated), len(change.deleted))
        if said != wanted:
            error_console.print(f"[red]the provider sent {said}, the files differ by {wanted}[/]")
        return said == wanted

    def _close(self, first: Published | None, *, well: bool) -> None:
        router = Scrape(self._stage.port("router"))
        sink = Scrape(self._stage.port("sink-academy"))
        rates = {
            "router": router.total("onesource_router_records_read_total")
            / max(router.total("onesource_router_transaction_seconds_sum"), 1e-9),
            "sink (all rows)": sink.total("onesource_sink_changes_total")
            / max(sink.total("onesource_sink_flush_seconds_sum"), 1e-9),
        }
        if first is not None and first.sending_seconds:
            rates["publisher"] = first.sent / first.sending_seconds
        report.closing(rates, self._stage.peaks(), time.monotonic() - self._started, well=well)
