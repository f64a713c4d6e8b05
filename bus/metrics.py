"""
Every Prometheus metric that the bus exports, in one place.

Names have the prefix `onesource_`, a base unit, and `_total` on counters. Labels are bounded: a
resource, an outcome, a reason code; never a key, a user, an offset, a URL or an error message.
`docs/reference/metrics.md` and the dashboard in `docker/grafana` are held to this file by tests.
"""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

# The time at which a counter was made says nothing that the process start time does not.
disable_created_metrics()  # type: ignore[no-untyped-call]

#: From a millisecond to a minute, fine enough for percentiles by interpolation.
_LATENCY_BUCKETS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3),
    *(0.4, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 60),
)

# --- publisher ------------------------------------------------------------------------------------

PUBLISHED = Counter(
    "onesource_published_records_total",
    "Records that the broker has accepted from this publisher, by resource and operation.",
    ("resource", "operation"),
    registry=None,
)
PUBLISH_FAILURES = Counter(
    "onesource_publish_failures_total",
    "Records that the broker has not accepted from this publisher.",
    ("resource",),
    registry=None,
)

# --- router ---------------------------------------------------------------------------------------

ROUTER_RECORDS_READ = Counter(
    "onesource_router_records_read_total",
    "Source records processed in committed transactions.",
    ("resource",),
    registry=None,
)
ROUTER_RECORDS_WRITTEN = Counter(
    "onesource_router_records_written_total",
    "Records written to view topics in committed transactions, by outcome.",
    ("resource", "outcome"),
    registry=None,
)
DEAD_LETTERS = Counter(
    "onesource_dead_letters_total",
    "Records that no view may have, by reason code.",
    ("resource", "code"),
    registry=None,
)
FILTER_ERRORS = Counter(
    "onesource_filter_errors_total",
    "Row filter evaluations that failed (a null where a value is needed) and so did not match.",
    ("resource",),
    registry=None,
)
TRANSACTION_SECONDS = Histogram(
    "onesource_router_transaction_seconds",
    "Length of committed transactions.",
    buckets=_LATENCY_BUCKETS,
    registry=None,
)
TRANSACTION_RECORDS = Histogram(
    "onesource_router_transaction_records",
    "Source records in committed transactions.",
    buckets=(0, 1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 200_000),
    registry=None,
)
TRANSACTIONS_ABORTED = Counter(
    "onesource_router_transactions_aborted_total",
    "Transactions that were aborted and will be repeated.",
    registry=None,
)
ACCEPTED_TO_VIEW_SECONDS = Histogram(
    "onesource_accepted_to_view_seconds",
    "From acceptance by the broker to the commit on the view topics; the first and last record "
    "that each transaction takes from a partition.",
    ("resource",),
    buckets=_LATENCY_BUCKETS,
    registry=None,
)
ROUTER_LAG = Gauge(
    "onesource_router_lag_records",
    "Source records that are not routed yet.",
    ("resource",),
    registry=None,
)
ROUTER_PARTITIONS = Gauge(
    "onesource_router_partitions",
    "Source partitions of this router, by state: running, loading, waiting, stopped.",
    ("state",),
    registry=None,
)
ROUTER_ROUND_SECONDS = Gauge(
    "onesource_router_round_seconds",
    "How long the present round of the router's loop has taken.",
    registry=None,
)
FILLS = Gauge(
    "onesource_router_fills",
    "Views of this router that are being given the present of their source.",
    registry=None,
)
FILL_REMAINING = Gauge(
    "onesource_router_fill_remaining_records",
    "Source positions that the running fills have still to look at.",
    registry=None,
)
MEMBERSHIP_KEYS = Gauge(
    "onesource_router_membership_keys",
    "Keys whose views the router keeps in mind.",
    registry=None,
)
POLICY_VERSION = Gauge(
    "onesource_policy_version",
    "The newest policy version that this process has applied or published.",
    registry=None,
)

# --- control --------------------------------------------------------------------------------------

RELAY_RECORDS = Counter(
    "onesource_relay_records_total",
    "Outbox rows that the relay has published.",
    registry=None,
)
RELAY_PENDING = Gauge(
    "onesource_relay_pending_versions",
    "Policy versions that wait in the outbox.",
    registry=None,
)
RELAY_LEADER = Gauge(
    "onesource_relay_leader",
    "1 while this replica is the one that relays.",
    registry=None,
)
HANGING_TRANSACTIONS = Gauge(
    "onesource_hanging_transactions",
    "Partitions that cannot be read past a transaction which nobody ends.",
    registry=None,
)
AUDIT_ROWS = Gauge(
    "onesource_audit_rows",
    "Rows of the audit log.",
    registry=None,
)
AUDIT_UNSIGNED_ROWS = Gauge(
    "onesource_audit_unsigned_rows",
    "Rows of the audit log behind its newest checkpoint; below zero, signed rows are gone.",
    registry=None,
)
AUDIT_UNSIGNED_SECONDS = Gauge(
    "onesource_audit_unsigned_seconds",
    "How long this process has seen the oldest of these rows wait for a checkpoint.",
    registry=None,
)
THREAD_FAULTS = Counter(
    "onesource_control_thread_faults_total",
    "Times that a thread beside HTTP ended by a fault and was started again, by which it is.",
    ("kind",),
    registry=None,
)
HTTP_REQUESTS = Counter(
    "onesource_http_requests_total",
    "Requests answered, by route and status.",
    ("route", "status"),
    registry=None,
)
DEADLINES_FIRED = Counter(
    "onesource_deadlines_fired_total",
    "Deadlines that were dealt with when they were due, by what they are of.",
    ("kind",),
    registry=None,
)
DEADLINES_FAILING = Gauge(
    "onesource_deadlines_failing",
    "Deadlines that are due and whose handling has failed, in the whole control plane.",
    registry=None,
)
RATE_LIMITED = Counter(
    "onesource_rate_limited_requests_total",
    "Requests refused because too many came, by whose they are: account, address.",
    ("kind",),
    registry=None,
)

# --- subscriber -----------------------------------------------------------------------------------

SINK_CHANGES = Counter(
    "onesource_sink_changes_total",
    "Changes stored by the sink, by kind.",
    ("kind",),
    registry=None,
)
SINK_FLUSH_SECONDS = Histogram(
    "onesource_sink_flush_seconds",
    "Length of the sink's database transactions.",
    buckets=_LATENCY_BUCKETS,
    registry=None,
)
ACCEPTED_TO_SUBSCRIBER_SECONDS = Histogram(
    "onesource_accepted_to_subscriber_seconds",
    "From acceptance by the broker to the commit in the subscriber's database, of every change.",
    buckets=_LATENCY_BUCKETS,
    registry=None,
)


def _registry(*collectors: Counter | Gauge | Histogram) -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    for collector in collectors:
        registry.register(collector)
    return registry


#: What each kind of process exports: its own metrics, so that a zero means something.
ROUTER_REGISTRY = _registry(
    ROUTER_RECORDS_READ,
    ROUTER_RECORDS_WRITTEN,
    DEAD_LETTERS,
    FILTER_ERRORS,
    TRANSACTION_SECONDS,
    TRANSACTION_RECORDS,
    TRANSACTIONS_ABORTED,
    ACCEPTED_TO_VIEW_SECONDS,
    ROUTER_LAG,
    ROUTER_PARTITIONS,
    ROUTER_ROUND_SECONDS,
    FILLS,
    FILL_REMAINING,
    MEMBERSHIP_KEYS,
    POLICY_VERSION,
)
CONTROL_REGISTRY = _registry(
    RELAY_RECORDS,
    RELAY_PENDING,
    RELAY_LEADER,
    THREAD_FAULTS,
    HANGING_TRANSACTIONS,
    AUDIT_ROWS,
    AUDIT_UNSIGNED_ROWS,
    AUDIT_UNSIGNED_SECONDS,
    HTTP_REQUESTS,
    RATE_LIMITED,
    POLICY_VERSION,
    DEADLINES_FIRED,
    DEADLINES_FAILING,
)
SINK_REGISTRY = _registry(SINK_CHANGES, SINK_FLUSH_SECONDS, ACCEPTED_TO_SUBSCRIBER_SECONDS)
PUBLISHER_REGISTRY = _registry(PUBLISHED, PUBLISH_FAILURES)
