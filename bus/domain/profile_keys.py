"""
Every key of a jurisdiction profile: its form, its words, what it decides (requirements §2).

One list for the loader, for `Profile.get` and for the reference: what is not here cannot be written
in a profile and cannot be asked of one.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import MappingProxyType

from bus.domain.profile_terms import (
    ClockStart,
    DeadlineCovers,
    Hop,
    InboundAccess,
    NotSharedRequest,
    OnboardingMode,
    Period,
    Redistribution,
    RefusalGrounds,
    RefusalReason,
    Registrar,
    UnconditionalAccess,
    UpdateTrigger,
    VerificationRoute,
)
from bus.domain.share import Purpose, Scope, ShareClass

#: In a map keyed by scope: each scope that the profile has.
ALL = "all"
#: A form for the other direction: our department asks an outside one.
INBOUND = "inbound"


class Form(Enum):
    """What a value looks like; the value of a member is what a fault says is wanted."""

    TEXT = "a text"
    TEXTS = "a list of texts"
    TEXT_OR_TEXTS = "a text or a list of texts"
    FLAG = "true or false"
    COUNT = "a whole number, 0 or more"
    PERIOD = "a period like 30d, 5s, 1y"
    DAY = 'a month and a day like "01-31"'
    SINCE = 'a date like "2019-08-01", or on_issue'
    WINDOW = 'two days like ["06-01", "06-30"]'


_DAY = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")


@dataclass(frozen=True, slots=True)
class Key:
    """One key: where it stands, what it takes, what it decides."""

    name: str
    form: Form
    meaning: str
    choices: tuple[str, ...] = ()
    """The words that are allowed; none: any."""
    labels: frozenset[str] | None = None
    """The keys of a map that this key may hold instead of one value; None: no map."""
    open_labels: bool = False
    """The map may have any key (libraries)."""

    @property
    def keyed(self) -> bool:
        """Whether the value may differ by label: by scope, by library."""
        return self.labels is not None or self.open_labels

    def takes_label(self, label: str) -> bool:
        """Whether a value may be asked for, or written, under `label`."""
        return label == ALL or self.open_labels or label in (self.labels or ())

    def fault(self, value: object) -> str | None:
        """Return what is wrong with one value (not None: silence is never wrong)."""
        if not _has_form(value, self.form):
            return f"{self.form.value} is wanted here, not {value!r}"
        if self.choices:
            words = value if isinstance(value, list | tuple) else [value]
            for word in words:
                if word not in self.choices:
                    return f"{word!r} is not one of {', '.join(self.choices)}"
        return None


def _has_form(value: object, form: Form) -> bool:
    match form:
        case Form.TEXT:
            return _is_text(value)
        case Form.TEXTS:
            return _are_texts(value)
        case Form.TEXT_OR_TEXTS:
            return _is_text(value) or _are_texts(value)
        case Form.FLAG:
            return isinstance(value, bool)
        case Form.COUNT:
            return isinstance(value, int) and not isinstance(value, bool) and value >= 0
        case Form.PERIOD:
            return isinstance(value, str) and (
                value == "forever" or Period.parse(value) is not None
            )
        case Form.DAY:
            return isinstance(value, str) and _DAY.fullmatch(value) is not None
        case Form.SINCE:
            return isinstance(value, str) and (value == "on_issue" or _is_date(value))
        case Form.WINDOW:
            return (
                isinstance(value, list | tuple)
                and len(value) == 2  # noqa: PLR2004 - a window has a first and a last day
                and all(_has_form(day, Form.DAY) for day in value)
            )


def _is_date(value: str) -> bool:
    try:
        return dt.date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(_is_text(each) for each in value)


def _text(name: str, meaning: str, choices: Iterable[str] = ()) -> Key:
    return Key(name, Form.TEXT, meaning, _words(choices))


def _texts(name: str, meaning: str, choices: Iterable[str] = ()) -> Key:
    return Key(name, Form.TEXTS, meaning, _words(choices))


def _flag(name: str, meaning: str) -> Key:
    return Key(name, Form.FLAG, meaning)


def _count(name: str, meaning: str) -> Key:
    return Key(name, Form.COUNT, meaning)


def _period(name: str, meaning: str) -> Key:
    return Key(name, Form.PERIOD, meaning)


def _by_scope(
    form: Form, name: str, meaning: str, choices: Iterable[str] = (), also: Iterable[str] = ()
) -> Key:
    return Key(name, form, meaning, _words(choices), frozenset({*map(str, Scope), *also}))


def _words(choices: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(each) for each in choices)


def _lower(enumeration: type[StrEnum]) -> tuple[str, ...]:
    return tuple(each.value.lower() for each in enumeration)


_STATUSES = ("draft_for_review", "trial", "in_force", "notice", "repealed")
_FREQUENCIES = ("daily", "weekly", "monthly", "quarterly", "yearly")
_CLASSES = _lower(ShareClass)
_DUPLICATES = ("none", "law_citation")
_TOPOLOGIES = ("own_platform", "single_provincial_platform", "tenant_of_parent")
_ROLLS = ("next_working_day", "none")

_KEYS = (
    _text("meta.seed", "the number by which clauses name the regulation"),
    _text("meta.title", "what the regulation is called (legal basis)"),
    _text("meta.issuer", "the body that issued it"),
    _text("meta.level", "the level of the jurisdiction"),
    _text("meta.status", "whether it is a draft, on trial, in force, repealed", _STATUSES),
    Key("meta.effective_from", Form.SINCE, "the day from which it holds"),
    _text("meta.replaces", "the rule that it replaces"),
    _texts("meta.parents_rules", "the higher rules that it carries out"),
    _flag("meta.text_complete", "whether the text at hand is complete"),
    _text("roles.steering", "领导小组: steering body"),
    _text("roles.office", "领导小组办公室, 专项工作组: its office"),
    _text("roles.authority", "主管部门: competent authority"),
    _text("roles.local_authority", "the authority of the level below"),
    _text("roles.operator", "平台管理单位: platform operator"),
    _text("roles.security", "security authority"),
    _text("roles.audit", "审计机关: reads the audit log"),
    _text("roles.finance", "decides on running costs"),
    _text("roles.project_review", "reviews projects"),
    _texts("org.kinds", "kinds of body that may be registered"),
    _texts("org.required_contacts", "people without whom an organisation does not become active"),
    _flag("org.supervision_tree", "whether units publish under a supervising department"),
    _texts("classes.enabled", "the share classes there are", _CLASSES),
    _texts("classes.scopes", "the audiences; `all`: a single one", (ALL, *Scope)),
    _texts("classes.not_shared.basis_types", "bases that make a resource not shared"),
    _flag("classes.not_shared.written_application", "whether the owner also applies in writing"),
    _text("classes.not_shared.application_to", "whom that application is addressed to"),
    _flag("classes.not_shared.reason", "whether a plain reason is needed besides the basis"),
    _texts("usage.codes", "the coded uses", _lower(Purpose)),
    _texts(
        "usage.required_for",
        "classes (or `entry`: each entry) whose entries state allowed uses",
        (*_CLASSES, "entry"),
    ),
    _by_scope(
        Form.COUNT,
        "application.reply_deadline_wd",
        "working days to answer a request for a conditional resource",
    ),
    _by_scope(Form.TEXT, "application.clock_start", "what starts that clock", ClockStart),
    _text("application.deadline_covers", "what has to be done in that time", DeadlineCovers),
    _text("application.supply", "when and how data is supplied once approved"),
    _by_scope(
        Form.TEXT_OR_TEXTS,
        "application.form_fields",
        "what a request has to contain, or the form that it uses",
        also=(INBOUND,),
    ),
    _text("application.agreement", "when a sharing agreement is needed", ["if_either_side_asks"]),
    _text("application.on_overdue", "what silence leads to", ["escalate_and_record"]),
    _text(
        "application.not_shared_request",
        "what a request for a not-shared resource opens",
        NotSharedRequest,
    ),
    _text("application.after_refusal", "when one may apply again", ["changed_content"]),
    _text("unconditional.access", "how unconditional resources are reached", UnconditionalAccess),
    _flag(
        "unconditional.controlled_params_approval",
        "whether controlled parameters need the provider's review all the same",
    ),
    _text("refusal.reason", "what a refusal needs", RefusalReason),
    _by_scope(Form.TEXT, "refusal.to", "whom a written opinion is addressed to"),
    _text("refusal.consent_by", "whose consent a refusal needs"),
    _count("refusal.consent_target_wd", "working days wished for that consent; a reminder only"),
    _text("refusal.grounds", "the grounds that may be given", RefusalGrounds),
    _texts("escalation.internal", "who hears a case, one after the other", Hop),
    _texts("escalation.external", "the same when outside or higher bodies take part", Hop),
    _text("escalation.external_means", "what counts as external here"),
    _texts("escalation.internal_applies_to", "classes the internal chain is stated for", _CLASSES),
    _text(
        "escalation.refused_conditional",
        "the chain after a refused conditional request where none is stated",
        ["same_chain", "none"],
    ),
    _text(
        "escalation.external_not_shared_approval",
        "who approves a not-shared resource going out, although all parties agree",
    ),
    _text("escalation.raised_by", "who may take a case up"),
    _count("consultation.escalate_after_wd", "working days after which either side may escalate"),
    _text("gateway.body", "the only body that talks to the higher platform"),
    _text("gateway.technical", "who does the technical part"),
    _text("gateway.pre_review.conditional", "who reviews before a conditional resource is asked"),
    _text("gateway.pre_review.not_shared", "who reviews before a not-shared resource is asked"),
    _text("gateway.unconditional_inbound", "how outside unconditional data come", InboundAccess),
    _flag("gateway.format_conversion", "whether the gateway converts to a wanted format"),
    _text("onboarding.mode", "what an organisation needs before first use", OnboardingMode),
    _text("onboarding.approved_by", "who approves that"),
    _flag("onboarding.first_use_only", "whether once is enough"),
    _texts("catalog.required_metadata", "what an entry has to say"),
    _text("catalog.guide", "version of the compiling guide"),
    _period("catalog.mount_grace", "time in which a published entry has to have data"),
    _flag("catalog.not_shared_visible", "whether not-shared entries can be found"),
    _count("catalog.update_deadline_wd", "working days to update the catalog; 0: the same day"),
    _texts("catalog.update_triggers", "what starts that clock", UpdateTrigger),
    _texts("catalog.trigger_registrars", "who may register such a change", Registrar),
    _flag("catalog.filing_required", "whether a change is filed (备案) with the authority"),
    _text("catalog.composer", "who composes the whole catalog"),
    _text("catalog.approver", "who approves it"),
    _flag("catalog.exclude_upper_base", "whether base resources of the higher level stay out"),
    _count("class_change.grace.to_conditional_wd", "grace of live grants, in working days"),
    _count("class_change.grace.to_not_shared_wd", "the same when the class becomes not shared"),
    _texts("base_libraries.libraries", "the base libraries (基础信息资源)"),
    _by_scope(
        Form.TEXT, "base_libraries.forced_class", "the class that their entries must have", _CLASSES
    ),
    _text("base_libraries.applies_to", "what that class is forced on", ["base_items"]),
    Key("base_libraries.builder", Form.TEXT, "who builds a library", open_labels=True),
    _texts("theme.list", "the themes (主题信息资源)"),
    _text("theme.builder", "who builds them"),
    _text("provisioning.executor", "who provisions what the provider approved"),
    _text("update.mode", "how data is kept up to date"),
    _text("update.floor", "the longest update period an entry may state", _FREQUENCIES),
    _text("update.heartbeat", "whether `nothing changed` counts as an update", ["allowed"]),
    _text("update.tolerance", "how long a feed may be silent"),
    _text("storage.unconditional", "where unconditional data is kept"),
    _text("storage.conditional", "where conditional data is kept"),
    _texts("delivery.modes", "the ways of delivery"),
    _flag("verification.enabled", "whether doubts (疑义) can be raised"),
    _text("verification.route", "who hears of a doubt first", VerificationRoute),
    _text("verification.external_route", "the same for outside bodies", VerificationRoute),
    _flag("verification.continue_service", "whether data is served while it is in doubt"),
    _count("verification.target_wd", "working days wished for; a reminder only"),
    _flag("disagreement.enabled", "whether there is a procedure for disagreement (意见分歧)"),
    _texts("disagreement.subjects", "what one may disagree about"),
    _text("disagreement.convener", "who convenes"),
    _count("disagreement.convene_target_wd", "working days wished for that; a reminder only"),
    _texts("disagreement.parties", "who takes part"),
    _text("disagreement.final", "who decides in the end"),
    _flag("complaint.enabled", "whether there are complaints (投诉)"),
    _text("complaint.form", "their form"),
    _text("complaint.handled_by", "who handles them"),
    _text("complaint.final", "whom they may be put before"),
    _flag("complaint.written_result", "whether the complainant gets a written result"),
    _text("redistribution", "whether received data may be passed on", Redistribution),
    _text("public_release", "whether received data may be made public", Redistribution),
    _text("rectification.issuer", "who issues notices of rectification (限期整改)"),
    _count("rectification.strikes", "missed deadlines before a case is escalated"),
    _text("rectification.escalate_to", "whom to"),
    _texts("rectification.sanctions", "what may follow"),
    _texts("rectification.grounds", "the grounds of a notice"),
    _flag("rectification.grounds_complete", "whether that list is closed"),
    Key("report.due", Form.DAY, "the day on which annual reports are due"),
    Key("report.due_window", Form.WINDOW, "first and last day of the time for them"),
    Key("report.upgrade_plan_due", Form.DAY, "the day on which upgrade plans are due"),
    _text("report.to", "whom they go to"),
    _text("report.upward", "whom the jurisdiction's own report goes to"),
    _texts("evaluation.by", "who evaluates"),
    _text("evaluation.supervised_by", "who watches the evaluation"),
    _texts("evaluation.convened_by", "who convenes the evaluators"),
    _text("evaluation.publish", "how the result is made known"),
    _texts("evaluation.effects", "what the result is used for"),
    _texts("evaluation.dimensions", "what is evaluated"),
    _flag("one_source.enforce", "whether a second source of an item is refused (一数一源)"),
    _flag("one_source.multi_check", "whether others may check a source's values (多元校核)"),
    _text("one_source.assigner", "who fixes the source of an item"),
    _text("one_source.duplicate_exception", "what allows collecting twice", _DUPLICATES),
    _text("one_source.duplicate_statistics", "how to take duplicate statistics", ["avoid"]),
    _text("one_source.on_violation", "what happens to another's values", ["quarantine"]),
    _text("cascade.topology", "how the platforms are arranged", _TOPOLOGIES),
    _texts("cascade.parents", "the platforms above"),
    _texts("cascade.children", "the platforms below"),
    _texts("cascade.zones", "the networks", ["internal", "external"]),
    _texts("cascade.catalog_up", "when the catalog is sent up"),
    _text("cascade.catalog_down", "when outside catalogs are fetched"),
    _texts("special_regimes", "what other rules govern"),
    _text("project_gate.approver", "who approves projects"),
    _text("project_gate.technical_review", "who reviews them technically"),
    _texts("project_gate.needs", "what a project has to bring"),
    _text("project_gate.also_at", "when that is looked at again"),
    _texts("project_gate.upgrade", "the way of an upgrade"),
    _texts("project_gate.new_build", "the way of a new system"),
    _flag("authority_dispatch", "whether the authority may itself grant (R-012)"),
    _flag("demand_list.enabled", "whether demands are merged into a list"),
    _text("demand_list.compiled_by", "who compiles it"),
    _period("grant.period", "how long a grant lasts if nobody says otherwise"),
    _count("grant.reminder_days", "days before its end on which its holder is reminded"),
    _flag("grant.provider_may_shorten", "whether the provider may set a shorter time"),
    _text("grant.at_end", "what its holder does with the data", ["delete_and_confirm"]),
    _flag("free_of_charge", "whether sharing costs nothing"),
    _text("calendar.country", "whose working days count"),
    _text("calendar.timezone", "the time zone of dates"),
    _flag("calendar.count_first_day", "whether the first day counts"),
    _text("calendar.day_end", "when a due day ends"),
    _text("calendar.roll_fixed_dates", "where a date on a rest day moves", _ROLLS),
    _text("calendar.unknown_year", "dates in a year without calendar", ["provisional"]),
    _text("calendar.on_amendment", "what an amended calendar changes", ["recompute_open"]),
    _period("push.latency_objective", "what `real time` is taken to mean"),
    _period("push.alarm", "when latency alarms"),
    _period("retention.events", "how long events are kept"),
    _period("retention.decisions", "how long decisions are kept"),
    _period("audit.retention", "how long the audit log is kept"),
    _texts("quality.rules", "rules of quality"),
    _text("reconcile.period", "how often platform and provider are compared", _FREQUENCIES),
    _text("standards.parent", "whose data standards hold"),
    _texts("standards.sets", "data standards of this jurisdiction"),
    _text("security.ca", "the certification authority"),
    _flag("security.signing", "whether events and decisions are signed"),
    _flag("security.watermark", "whether deliveries carry a mark of their grant"),
    _period("security.assessment_period", "how long a security assessment holds"),
    _text("security.min_grade", "the protection grade a system needs"),
    _flag("security.end_user_required", "whether calls name the end user"),
    _flag("incident.suspend_at_once", "whether an incident suspends the grant"),
    _text("backup.period", "how often backups are made", _FREQUENCIES),
    _text("backup.restore_test", "how often restoring is tested", _FREQUENCIES),
    _text("inspection.publish", "how results of inspections are made known"),
    _text("stats.official", "which figures are the official ones", ["platform"]),
    _flag("system_inventory.enabled", "whether systems are inventoried"),
)

#: Every key by its dotted name, in the order in which they are printed.
KEYS: Mapping[str, Key] = MappingProxyType({key.name: key for key in _KEYS})
#: Everything that has keys below it: `application`, `classes.not_shared`, …
SECTIONS = frozenset(
    ".".join(parts[:length])
    for parts in (name.split(".") for name in KEYS)
    for length in range(1, len(parts))
)
#: The abstract roles that a profile fills with bodies (R-008).
ROLES = frozenset(name.removeprefix("roles.") for name in KEYS if name.startswith("roles."))
#: Keys whose value is one of those roles, or the name of a body.
BODIES = frozenset(
    {
        "catalog.approver",
        "catalog.composer",
        "classes.not_shared.application_to",
        "complaint.final",
        "complaint.handled_by",
        "demand_list.compiled_by",
        "disagreement.convener",
        "disagreement.final",
        "escalation.external_not_shared_approval",
        "evaluation.supervised_by",
        "gateway.body",
        "gateway.pre_review.conditional",
        "gateway.pre_review.not_shared",
        "gateway.technical",
        "onboarding.approved_by",
        "one_source.assigner",
        "project_gate.approver",
        "project_gate.technical_review",
        "provisioning.executor",
        "rectification.escalate_to",
        "rectification.issuer",
        "refusal.consent_by",
        "refusal.to",
        "report.to",
        "theme.builder",
    }
)
