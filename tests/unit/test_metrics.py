"""
The metrics, what is written about them, and what is built on them: rules, dashboards, reference.

`python tests/unit/test_metrics.py` writes `docs/reference/metrics.md` anew.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.registry import Collector

from bus import metrics

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "docker" / "prometheus"
GRAFANA = ROOT / "docker" / "grafana"
REFERENCE = ROOT / "docs" / "reference" / "metrics.md"
RUNBOOK = ROOT / "docs" / "how-to" / "operate.md"

#: Which process serves which registry; the name is the scrape job in `prometheus.yml`, too.
PROCESSES = {
    "router": metrics.ROUTER_REGISTRY,
    "control": metrics.CONTROL_REGISTRY,
    "sink": metrics.SINK_REGISTRY,
    "publisher": metrics.PUBLISHER_REGISTRY,
}
#: What Prometheus adds to every series that it scrapes.
TARGET_LABELS = frozenset({"job", "instance"})
#: What Prometheus itself and the client library for processes export.
FOREIGN_METRICS = {
    "up": TARGET_LABELS,
    "ALERTS": TARGET_LABELS | {"alertname", "alertstate", "severity"},
    "process_start_time_seconds": TARGET_LABELS,
    "process_resident_memory_bytes": TARGET_LABELS,
    "process_cpu_seconds_total": TARGET_LABELS,
}
#: Labels whose values are bounded, whatever the traffic.
BOUNDED_LABELS = {"resource", "operation", "outcome", "code", "state", "route", "status", "kind"}
#: Names use base units: seconds and bytes.
DERIVED_UNITS = set("ms milliseconds microseconds minutes hours days kb kib mb mib gb gib".split())
SEVERITIES = {"critical", "warning"}


# --- what there is -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One metric of ours."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str
    exported_by: tuple[str, ...]

    def series(self) -> Mapping[str, frozenset[str]]:
        """Return the labels of the series that it is scraped as, by their names."""
        labels = TARGET_LABELS | set(self.labels)
        if self.kind == "histogram":
            bare = {f"{self.name}_sum": labels, f"{self.name}_count": labels}
            return bare | {f"{self.name}_bucket": labels | {"le"}}
        return {self.name: labels}


def described() -> list[Described]:
    """Return all metrics of `bus.metrics`, in the order in which they stand there."""
    return [
        _described(each)
        for each in vars(metrics).values()
        if isinstance(each, Counter | Gauge | Histogram)
    ]


def _described(collector: Counter | Gauge | Histogram) -> Described:
    (family,) = collector.describe()
    suffix = "_total" if isinstance(collector, Counter) else ""
    return Described(
        name=family.name + suffix,
        kind=family.type,
        labels=tuple(collector._labelnames),
        meaning=family.documentation,
        exported_by=tuple(
            process for process, registry in PROCESSES.items() if _holds(registry, collector)
        ),
    )


def _holds(registry: Any, collector: Collector) -> bool:
    return collector in registry._collector_to_names


SERIES: Mapping[str, frozenset[str]] = {
    name: labels for each in described() for name, labels in each.series().items()
} | FOREIGN_METRICS


# --- what is built on it -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert rule."""

    name: str
    expression: str
    severity: str
    after: str
    annotations: Mapping[str, str]


def alerts() -> list[Alert]:
    """Return the alert rules of all files, in order."""
    return [
        Alert(
            name=rule["alert"],
            expression=rule["expr"],
            severity=rule.get("labels", {}).get("severity", ""),
            after=rule.get("for", "0s"),
            annotations=rule.get("annotations", {}),
        )
        for path in sorted((PROMETHEUS / "rules").glob("*.yml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]


def panels() -> list[dict[str, Any]]:
    """Return the panels of all dashboards."""
    return [
        panel
        for path in sorted((GRAFANA / "dashboards").glob("*.json"))
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]
    ]


def targets() -> Iterator[tuple[str, str, str]]:
    """Yield (panel's title, expression, legend) of everything that is drawn."""
    for panel in panels():
        for target in panel.get("targets", ()):
            # Grafana puts a duration in this place, depending on how much time is shown.
            expression = target["expr"].replace("$__rate_interval", "1m")
            yield panel["title"], expression, target["legendFormat"]


def used_series(expression: str) -> set[str]:
    """Return the names of the series that a PromQL expression selects."""
    names: set[str] = set()

    def note(node: promql.Expr) -> None:
        if isinstance(node, promql.VectorSelector):
            names.add(node.name or "")

    promql.walk(promql.parse(expression), note)
    return names


def labels_of(node: Any) -> frozenset[str]:
    """
    Return the labels that the result of an expression may have.

    Raise `AssertionError` if it selects, groups or matches by a label that is not there.
    """
    match node:
        case promql.VectorSelector():
            labels = SERIES.get(node.name or "")
            assert labels is not None, f"there is no metric {node.name}"
            _present({each.name for each in node.matchers.matchers}, labels, node.name)
            return labels
        case promql.MatrixSelector():
            return labels_of(node.vector_selector)
        case promql.ParenExpr() | promql.SubqueryExpr() | promql.UnaryExpr():
            return labels_of(node.expr)
        case promql.AggregateExpr():
            kept = frozenset(node.modifier.labels if node.modifier else ())
            _present(kept, labels_of(node.expr), node.prettify())
            return kept
        case promql.Call():
            labels = frozenset[str]().union(*(labels_of(each) for each in node.args))
            if node.func.name == "histogram_quantile":
                _present({"le"}, labels, node.prettify())
                return labels - {"le"}
            return labels
        case promql.BinaryExpr():
            return _labels_of_both(node)
    return frozenset()


def _labels_of_both(node: promql.BinaryExpr) -> frozenset[str]:
    left, right = labels_of(node.lhs), labels_of(node.rhs)
    if node.modifier is None or node.modifier.matching is None:
        return left | right
    matched = frozenset(node.modifier.matching.labels)
    _present(matched, left, node.prettify())
    _present(matched, right, node.prettify())
    if node.modifier.card == promql.VectorMatchCardinality.OneToOne:
        return matched
    return left


def _present(wanted: set[str] | frozenset[str], there: frozenset[str], where: str | None) -> None:
    assert wanted <= there, f"no label {', '.join(sorted(wanted - there))} in {where}"


@pytest.mark.parametrize(
    "expression",
    [
        "onesource_router_lag",
        'onesource_router_lag_records{topic="a"}',
        "sum by (topic) (onesource_router_lag_records)",
        "histogram_quantile(0.9, sum by (resource) (rate(onesource_router_lag_records[1m])))",
        "onesource_router_fills > on (resource) onesource_router_lag_records",
        "sum by (resource) (sum by (instance) (onesource_router_lag_records))",
    ],
)
def test_an_expression_about_what_does_not_exist_is_found(expression: str) -> None:
    with pytest.raises(AssertionError, match=r"there is no metric|no label"):
        labels_of(promql.parse(expression))


# --- bus.metrics ---------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", described(), ids=lambda each: each.name)
def test_a_metric_keeps_to_the_naming_conventions(metric: Described) -> None:
    assert re.fullmatch(r"onesource(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    # Base units only; a count of things ends in the things.
    assert not re.search(
        r"_(ms|millis\w*|micros\w*|minutes?|hours?|days?|[kmg]i?b)(_|$)", metric.name
    )
    if metric.kind == "histogram":
        assert metric.name.endswith(("_seconds", "_bytes", "_records"))
    assert set(metric.labels) <= BOUNDED_LABELS
    assert metric.meaning[0].isupper() or metric.meaning[0].isdigit()
    assert metric.meaning.endswith(".")


def test_a_counter_is_declared_by_the_name_that_it_is_scraped_by() -> None:
    source = Path(metrics.__file__).read_text(encoding="utf-8")

    missing = [each.name for each in described() if f'"{each.name}"' not in source]

    assert not missing


def test_every_metric_is_exported_by_a_process_and_never_by_default() -> None:
    assert [each.name for each in described() if not each.exported_by] == []
    assert [each for each in REGISTRY._names_to_collectors if each.startswith("onesource")] == []


# --- alert rules ---------------------------------------------------------------------------------


@pytest.mark.parametrize("alert", alerts(), ids=lambda each: each.name)
def test_an_alert_uses_metrics_and_labels_that_exist(alert: Alert) -> None:
    labels = labels_of(promql.parse(alert.expression))

    quoted = set(re.findall(r"\$labels\.(\w+)", alert.annotations["summary"]))
    assert quoted <= labels


@pytest.mark.parametrize("alert", alerts(), ids=lambda each: each.name)
def test_an_alert_says_how_bad_it_is_what_it_is_and_what_to_do(alert: Alert) -> None:
    assert alert.severity in SEVERITIES
    assert set(alert.annotations) == {"summary", "runbook"}
    assert alert.annotations["summary"].endswith(".")
    page, _, heading = alert.annotations["runbook"].partition("#")
    assert page == RUNBOOK.relative_to(ROOT).as_posix()
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", heading)


@pytest.mark.skipif(not RUNBOOK.exists(), reason="docs/how-to/operate.md is not written yet")
def test_every_runbook_is_a_heading_of_the_how_to() -> None:
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("#").strip().lower()).replace(" ", "-")
        for line in RUNBOOK.read_text(encoding="utf-8").splitlines()
        if line.startswith("#")
    }

    missing = {each.annotations["runbook"].partition("#")[2] for each in alerts()} - headings

    assert not missing


def test_alerts_have_names_of_their_own() -> None:
    names = [each.name for each in alerts()]

    assert sorted(set(names)) == sorted(names)


def test_every_scrape_job_of_ours_is_a_process_of_the_bus() -> None:
    content = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))

    jobs = {each["job_name"] for each in content["scrape_configs"]}

    assert jobs == {*PROCESSES, "prometheus"}


def promtool(*arguments: str) -> str:
    """Run promtool where it is installed, and return what it says; fail if it finds a fault."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed")
    result = subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def test_prometheus_accepts_its_configuration_and_the_rules() -> None:
    said = promtool("check", "config", str(PROMETHEUS / "prometheus.yml"))

    assert f"{len(list((PROMETHEUS / 'rules').glob('*.yml')))} rule files found" in said


def test_alerts_fire_when_they_should_and_not_otherwise() -> None:
    promtool("test", "rules", str(PROMETHEUS / "tests" / "alerts.yml"))


def test_every_alert_is_seen_to_fire() -> None:
    played = (PROMETHEUS / "tests" / "alerts.yml").read_text(encoding="utf-8")

    unseen = [each.name for each in alerts() if f'alertname="{each.name}"' not in played]

    assert not unseen


# --- dashboards ----------------------------------------------------------------------------------


def test_the_dashboards_draw_every_metric() -> None:
    drawn = {name for _, expression, _ in targets() for name in used_series(expression)}

    missing = [each.name for each in described() if drawn.isdisjoint(each.series())]

    assert not missing


@pytest.mark.parametrize(
    ("title", "expression", "legend"), list(targets()), ids=lambda each: each[:60]
)
def test_a_panel_uses_metrics_and_labels_that_exist(
    title: str, expression: str, legend: str
) -> None:
    labels = labels_of(promql.parse(expression))

    assert set(re.findall(r"{{(\w+)}}", legend)) <= labels, title


@pytest.mark.parametrize(
    "path", sorted((GRAFANA / "dashboards").glob("*.json")), ids=lambda path: path.name
)
def test_a_dashboard_is_made_for_the_provisioned_data_source(path: Path) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))
    (source,) = yaml.safe_load(
        (GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text(encoding="utf-8")
    )["datasources"]

    used = re.findall(r'"datasource": ({[^}]*})', path.read_text(encoding="utf-8"))

    assert {json.loads(each)["uid"] for each in used} == {source["uid"]}
    assert not source["editable"]
    assert not board["editable"]
    for variable in board["templating"]["list"]:
        ((name, label),) = re.findall(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
        assert label in SERIES[name]


def test_panels_have_a_title_in_both_languages_a_description_and_a_place_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        assert re.fullmatch(r"[A-Z][\w ]+ \([\u4e00-\u9fff]+\)", panel["title"])
        assert panel["type"] == "row" or panel["description"].endswith(".")
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert taken.isdisjoint(cells), panel["title"]
        taken |= cells
    numbers = [panel["id"] for panel in panels()]
    assert len(set(numbers)) == len(numbers)


def test_dashboards_are_changed_by_commits_alone() -> None:
    path = GRAFANA / "provisioning" / "dashboards" / "onesource.yml"

    (provider,) = yaml.safe_load(path.read_text(encoding="utf-8"))["providers"]

    assert provider["allowUiUpdates"] is False
    assert provider["disableDeletion"] is True


# --- docs/reference/metrics.md -------------------------------------------------------------------


def test_the_reference_is_what_the_code_says() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == reference(), (
        "run `python tests/unit/test_metrics.py` and commit what it writes"
    )


def reference() -> str:
    """Return the reference page."""
    users: dict[str, list[str]] = {}
    for alert in alerts():
        for name in used_series(alert.expression):
            users.setdefault(name, []).append(alert.name)
    return _PAGE.format(
        metrics="\n".join(_metric_row(each, users) for each in described()),
        alerts="\n".join(_alert_row(each) for each in alerts()),
    )


def _metric_row(metric: Described, users: Mapping[str, list[str]]) -> str:
    using = [alert for name in metric.series() for alert in users.get(name, ())]
    cells = (
        f"`{metric.name}`",
        metric.kind,
        _listed(metric.labels),
        metric.meaning,
        _listed(metric.exported_by),
        _listed(using),
    )
    return f"| {' | '.join(cells)} |"


def _alert_row(alert: Alert) -> str:
    heading = alert.annotations["runbook"].partition("#")[2]
    link = f"[{heading.replace('-', ' ').capitalize()}](../how-to/{RUNBOOK.name}#{heading})"
    return f"| `{alert.name}` | {alert.severity} | {alert.after} | {link} |"


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "-"


_PAGE = """\
# Metrics

Every process serves its own metrics at `/metrics`, in the text format of Prometheus: control and
router beside their health pages, a sink on the port that `ONESOURCE_HTTP__PORT` names. A publisher
is a library: the program that uses it may serve `bus.metrics.PUBLISHER_REGISTRY`; the command
`onesource publish` ends with its work and serves nothing. Each process also exports the
`process_*` and `python_info` of the Prometheus client library.

Labels are bounded: never a key, a user, an offset or an address. A histogram is scraped as
`…_bucket`, `…_sum` and `…_count`.

This page is generated from `bus/metrics.py` and `docker/prometheus/rules` by
`python tests/unit/test_metrics.py`; a test compares them.

## All metrics

| Name | Type | Labels | Meaning | Exported by | Alerts |
| --- | --- | --- | --- | --- | --- |
{metrics}

## All alerts

| Alert | Severity | After | What to do |
| --- | --- | --- | --- |
{alerts}
"""

if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
