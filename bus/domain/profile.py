"""
Jurisdiction profiles: what differs between regulations, as data (requirements §2, R-008, R-266).

Rules ask the profile; no rule knows which profile it asks. `get` answers for every key; the
properties answer what life cycles ask, in the domain's own types.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bus.domain.profile_keys import ALL, INBOUND, KEYS, Key
from bus.domain.profile_layers import (
    SILENT,
    Effective,
    Layer,
    Origin,
    OriginKind,
    Place,
    merge,
)
from bus.domain.profile_rules import (
    DisagreementRule,
    GatewayRule,
    NotSharedRule,
    OnboardingRule,
    RefusalRule,
    VerificationRule,
)
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
from bus.errors import ProfileKeyUnknown, ProfileSilent


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the printed profile: one value, or silence, and its origin."""

    key: str
    label: str | None
    """The scope (or library) that the value is for; `all`: each; None: the key knows none."""
    value: Any
    origin: Origin

    @property
    def name(self) -> str:
        """The key as one writes it: with the label, unless it is for all."""
        return self.key if self.label in {None, ALL} else f"{self.key}.{self.label}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A jurisdiction's rules, merged with those above it; make one with `Profile.of`."""

    name: str
    version: int
    """Grows with each change; actions are judged by the version of the day they began (R-014)."""
    parent: str | None
    effective: Mapping[Place, Effective] = field(repr=False)

    @classmethod
    def of(cls, name: str, version: int, parent: str | None, layers: Sequence[Layer]) -> "Profile":
        """Return the profile whose own layer comes first, then its parents', then the defaults."""
        return cls(name=name, version=version, parent=parent, effective=merge(layers))

    # --- every key -------------------------------------------------------------------------------

    def get(self, key: str, scope: str | None = None) -> Any:  # noqa: ANN401 - as the key has it
        """
        Return the value of a dotted key; None where the profile, its parents and defaults are mute.

        Where a value may differ by scope (or library), the named one beats `all`; elsewhere `scope`
        changes nothing. Without `scope` there must be one answer for all; if there is not, or the
        key is unknown, raise `ProfileKeyUnknown`.
        """
        found = self._find(_definition(key), scope)
        return found.value if found else None

    def origin(self, key: str, scope: str | None = None) -> Origin:
        """Return where the value that `get` gives comes from."""
        found = self._find(_definition(key), scope)
        return found.origin if found else SILENT

    def whole(self, key: str) -> Any:  # noqa: ANN401 - as the key has it
        """Return the value as a file would have it: a mapping where it differs by label."""
        labelled = self._labelled(_definition(key))
        if labelled.keys() <= {None, ALL}:
            return next((each.value for each in labelled.values()), None)
        return {label: each.value for label, each in labelled.items()}

    def entries(self) -> Iterator[Entry]:
        """Yield every value with its origin, silence included, in the order of the reference."""
        for definition in KEYS.values():
            labelled = self._labelled(definition)
            if not labelled:
                yield Entry(definition.name, None, None, SILENT)
            for label, each in labelled.items():
                yield Entry(definition.name, label, each.value, each.origin)

    @property
    def digest(self) -> str:
        """A digest of all values: two that differ under one version betray a forgotten bump."""
        values = [[each.key, each.label, each.value] for each in self.entries()]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def document(self) -> dict[str, Any]:
        """Return the profile as JSON has it, to be kept with what it judged (R-014)."""
        return {
            "name": self.name,
            "version": self.version,
            "parent": self.parent,
            "values": [
                {
                    "key": entry.key,
                    "label": entry.label,
                    "value": list(entry.value) if isinstance(entry.value, tuple) else entry.value,
                    "origin": entry.origin.kind.value,
                    "profile": entry.origin.profile,
                    "clause": entry.origin.clause,
                }
                for entry in self.entries()
            ],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Profile":
        """Return the profile that `document()` wrote."""
        effective: dict[Place, Effective] = {}
        for each in document["values"]:
            kind = OriginKind(each["origin"])
            if kind is not OriginKind.SILENT:
                value = each["value"]
                effective[each["key"], each["label"]] = Effective(
                    tuple(value) if isinstance(value, list) else value,
                    Origin(kind=kind, profile=each["profile"], clause=each["clause"]),
                )
        return cls(
            name=document["name"],
            version=document["version"],
            parent=document["parent"],
            effective=effective,
        )

    def _labelled(self, definition: Key) -> dict[str | None, Effective]:
        found = {
            label: each for (name, label), each in self.effective.items() if name == definition.name
        }
        return dict(sorted(found.items(), key=lambda item: (item[0] != ALL, item[0] or "")))

    def _find(self, definition: Key, label: str | None) -> Effective | None:
        name = definition.name
        if not definition.keyed:
            return self.effective.get((name, None))
        if label is None:
            return self._common(definition)
        if not definition.takes_label(label):
            raise ProfileKeyUnknown(f"{name} knows no {label!r}")
        return self.effective.get((name, label)) or self.effective.get((name, ALL))

    def _common(self, definition: Key) -> Effective | None:
        labelled = self._labelled(definition)
        values = {each.value for each in labelled.values()}
        # What libraries there are is not the key's to know: without `all`, some may have no value.
        covered = ALL in labelled or (
            not definition.open_labels and {*map(str, self.scopes)} <= labelled.keys()
        )
        if len(values) > 1 or (values and not covered):
            raise ProfileKeyUnknown(
                f"{definition.name} of {self.name} differs: ask for one of "
                f"{', '.join(sorted(map(str, labelled)))}"
            )
        return next(iter(labelled.values()), None)

    def _need(self, key: str, scope: str | None = None) -> Any:  # noqa: ANN401 - as the key has it
        value = self.get(key, scope)
        if value is None:
            raise ProfileSilent(f"profile {self.name} is silent on {key}, and there is no default")
        return value

    def _texts(self, key: str) -> tuple[str, ...]:
        return tuple(self.get(key) or ())

    # --- the regulation and its bodies ----------------------------------------------------------

    @property
    def effective_from(self) -> dt.date | None:
        """The day from which it holds, if the regulation names one (R-014)."""
        text = self.get("meta.effective_from")
        return None if text in {None, "on_issue"} else dt.date.fromisoformat(text)

    def body(self, role: str) -> str | None:
        """Return the body that fills an abstract role, `steering` or another (R-008)."""
        name: str | None = self.get(f"roles.{role}")
        return name

    @property
    def free_of_charge(self) -> bool:
        """Whether sharing costs nothing (R-011)."""
        return bool(self.get("free_of_charge"))

    @property
    def organisation_kinds(self) -> frozenset[str]:
        """The kinds of body that may be registered (R-002)."""
        return frozenset(self._texts("org.kinds"))

    # --- share classes ---------------------------------------------------------------------------

    @property
    def enabled_classes(self) -> frozenset[ShareClass]:
        """The share classes that there are (R-050)."""
        return frozenset(map(_share_class, self._need("classes.enabled")))

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The audiences that have a class of their own; a single one counts as internal (R-051)."""
        stated = self._need("classes.scopes")
        return tuple(each for each in Scope if each.value in stated) or (Scope.INTERNAL,)

    @property
    def not_shared(self) -> NotSharedRule | None:
        """What makes a resource not shared; None if there is no such class."""
        if ShareClass.NOT_SHARED not in self.enabled_classes:
            return None
        return NotSharedRule(
            basis_types=frozenset(self._texts("classes.not_shared.basis_types")),
            written_application=bool(self.get("classes.not_shared.written_application")),
            application_to=self.get("classes.not_shared.application_to"),
            reason=bool(self.get("classes.not_shared.reason")),
        )

    @property
    def usage_codes(self) -> frozenset[Purpose]:
        """The coded uses (R-057); where nobody says, every code there is."""
        stated = self._texts("usage.codes")
        return frozenset(Purpose[each.upper()] for each in stated) or frozenset(Purpose)

    def usage_required(self, share_class: ShareClass) -> bool:
        """Whether an entry of `share_class` has to state its allowed uses."""
        return not {"entry", share_class.value.lower()}.isdisjoint(
            self._texts("usage.required_for")
        )

    @property
    def special_regimes(self) -> frozenset[str]:
        """What other rules govern (R-037)."""
        return frozenset(self._texts("special_regimes"))

    @property
    def base_libraries(self) -> tuple[str, ...]:
        """The base libraries (基础信息资源)."""
        return self._texts("base_libraries.libraries")

    def forced_class(self, scope: Scope) -> ShareClass | None:
        """Return the class that entries of base libraries must have in `scope` (R-059)."""
        stated = self.get("base_libraries.forced_class", scope)
        return _share_class(stated) if stated else None

    def base_library_builder(self, library: str) -> str | None:
        """Return who builds a base library: a role, or `lead_department` (R-009)."""
        builder: str | None = self.get("base_libraries.builder", library)
        return builder

    def class_change_grace_wd(self, becomes: ShareClass) -> int:
        """Return the working days for which grants go on when a class tightens (R-063)."""
        if becomes is ShareClass.UNCONDITIONAL:
            return 0
        return int(self._need(f"class_change.grace.to_{becomes.value.lower()}_wd"))

    # --- catalog ---------------------------------------------------------------------------------

    @property
    def required_metadata(self) -> frozenset[str]:
        """What an entry has to say (R-020)."""
        return frozenset(self._texts("catalog.required_metadata"))

    @property
    def catalog_composer(self) -> str | None:
        """Who composes the whole catalog (R-022)."""
        composer: str | None = self.get("catalog.composer")
        return composer

    @property
    def catalog_approver(self) -> str | None:
        """Who approves an entry before it takes effect (R-031); None: nobody."""
        approver: str | None = self.get("catalog.approver")
        return approver

    @property
    def catalog_filing_required(self) -> bool:
        """Whether changes are filed (备案) with the authority (R-027)."""
        return bool(self.get("catalog.filing_required"))

    @property
    def catalog_update_deadline_wd(self) -> int | None:
        """Working days to update the catalog; 0: the same day; None: none is set (R-025)."""
        days: int | None = self.get("catalog.update_deadline_wd")
        return days

    @property
    def catalog_update_triggers(self) -> frozenset[UpdateTrigger]:
        """What opens an update task; without a deadline there are tasks of no due date (R-025)."""
        return frozenset(map(UpdateTrigger, self._texts("catalog.update_triggers")))

    @property
    def catalog_trigger_registrars(self) -> frozenset[Registrar]:
        """Who may register what opens such a task (R-025)."""
        return frozenset(map(Registrar, self._texts("catalog.trigger_registrars")))

    @property
    def catalog_excludes_upper_base(self) -> bool:
        """Whether base resources of the higher level stay out of the catalog (R-030)."""
        return bool(self.get("catalog.exclude_upper_base"))

    @property
    def update_floor(self) -> str | None:
        """The longest update period that an entry may state (R-131): `monthly`."""
        floor: str | None = self.get("update.floor")
        return floor

    @property
    def delivery_modes(self) -> frozenset[str]:
        """The ways of delivery (R-111), in the regulation's words."""
        return frozenset(self._texts("delivery.modes"))

    # --- requests --------------------------------------------------------------------------------

    @property
    def onboarding(self) -> OnboardingRule:
        """What an organisation needs before its first use."""
        return OnboardingRule(
            mode=OnboardingMode(self.get("onboarding.mode") or "none"),
            approved_by=self.get("onboarding.approved_by"),
            first_use_only=bool(self.get("onboarding.first_use_only")),
        )

    @property
    def unconditional_access(self) -> UnconditionalAccess:
        """How an unconditional resource is reached (R-081)."""
        return UnconditionalAccess(self._need("unconditional.access"))

    @property
    def controlled_params_approval(self) -> bool:
        """Whether controlled parameters need the provider's review all the same (R-062)."""
        return bool(self.get("unconditional.controlled_params_approval"))

    def reply_deadline_wd(self, scope: Scope) -> int:
        """Return the working days to answer a request for a conditional resource (R-082)."""
        return int(self._need("application.reply_deadline_wd", scope))

    def clock_start(self, scope: Scope) -> ClockStart:
        """Return what starts that clock."""
        return ClockStart(self._need("application.clock_start", scope))

    @property
    def deadline_covers(self) -> DeadlineCovers:
        """What has to be done in that time (R-084)."""
        return DeadlineCovers(self._need("application.deadline_covers"))

    def form_fields(self, scope: Scope, *, inbound: bool = False) -> tuple[str, ...]:
        """Return what a request has to contain, or the one form that it uses (R-080)."""
        stated = self.get("application.form_fields", INBOUND if inbound else scope)
        return (stated,) if isinstance(stated, str) else tuple(stated or ())

    @property
    def agreement_if_asked(self) -> bool:
        """Whether an agreement that either side asks for holds activation back (R-097)."""
        return bool(self.get("application.agreement") == "if_either_side_asks")

    @property
    def not_shared_request(self) -> NotSharedRequest:
        """What a request for a not-shared resource opens (R-091)."""
        return NotSharedRequest(self._need("application.not_shared_request"))

    @property
    def refusal(self) -> RefusalRule:
        """What a refusal needs."""
        return RefusalRule(
            reason=RefusalReason(self._need("refusal.reason")),
            grounds=RefusalGrounds(self._need("refusal.grounds")),
            consent_by=self.get("refusal.consent_by"),
            consent_target_wd=self.get("refusal.consent_target_wd"),
        )

    def refusal_addressee(self, scope: Scope) -> str | None:
        """Return whom a written opinion is addressed to: `consumer`, or a role."""
        addressee: str | None = self.get("refusal.to", scope)
        return addressee

    def escalation(self, scope: Scope, share_class: ShareClass | None = None) -> tuple[Hop, ...]:
        """
        Return who hears a case, one after the other (R-092); the last one's decision is final.

        Where nothing is said of outside bodies, they go the internal way. Where the internal way
        is stated for some classes only, `share_class` is what the case is about.
        """
        external = self._texts("escalation.external")
        if scope is Scope.EXTERNAL and external:
            return tuple(map(Hop, external))
        only = self._texts("escalation.internal_applies_to")
        stated_for = share_class is None or not only or share_class.value.lower() in only
        if not stated_for and self.get("escalation.refused_conditional") != "same_chain":
            return ()
        return tuple(map(Hop, self._texts("escalation.internal")))

    @property
    def consultation_escalate_after_wd(self) -> int:
        """Working days of consultation after which either side may escalate."""
        return int(self._need("consultation.escalate_after_wd"))

    @property
    def external_not_shared_approval(self) -> str | None:
        """Who approves a not-shared resource going out, although all parties agree (R-099)."""
        approver: str | None = self.get("escalation.external_not_shared_approval")
        return approver

    @property
    def disagreement(self) -> DisagreementRule:
        """The procedure for disagreement."""
        return DisagreementRule(
            enabled=bool(self.get("disagreement.enabled")),
            subjects=frozenset(self._texts("disagreement.subjects")),
            convener=self.get("disagreement.convener"),
            convene_target_wd=self.get("disagreement.convene_target_wd"),
            parties=self._texts("disagreement.parties"),
            final=self.get("disagreement.final"),
        )

    @property
    def gateway(self) -> GatewayRule | None:
        """Who talks to the higher platform; None if nobody is named."""
        body = self.get("gateway.body")
        if body is None:
            return None
        reviewers = {
            each: self.get(f"gateway.pre_review.{each.value.lower()}")
            for each in (ShareClass.CONDITIONAL, ShareClass.NOT_SHARED)
        }
        inbound = self.get("gateway.unconditional_inbound")
        return GatewayRule(
            body=body,
            technical=self.get("gateway.technical"),
            pre_review={each: reviewer for each, reviewer in reviewers.items() if reviewer},
            unconditional_inbound=InboundAccess(inbound) if inbound else None,
            format_conversion=bool(self.get("gateway.format_conversion")),
        )

    # --- grants and data -------------------------------------------------------------------------

    @property
    def provisioning_executor(self) -> str:
        """The role that provisions what the provider approved (R-005)."""
        return str(self._need("provisioning.executor"))

    @property
    def authority_dispatch(self) -> bool:
        """Whether the authority may itself grant in the public owner's name (R-012)."""
        return bool(self.get("authority_dispatch"))

    @property
    def grant_period(self) -> Period:
        """How long a grant lasts if nobody says otherwise."""
        period = Period.parse(self._need("grant.period"))
        if period is None:
            raise ProfileSilent(f"profile {self.name} sets no end to grants")
        return period

    @property
    def grant_reminder_days(self) -> int:
        """Days before the end of a grant on which its holder is reminded."""
        return int(self._need("grant.reminder_days"))

    @property
    def redistribution(self) -> Redistribution | None:
        """Whether received data may be passed on (R-197)."""
        stated = self.get("redistribution")
        return Redistribution(stated) if stated else None

    @property
    def verification(self) -> VerificationRule:
        """What happens to a doubt (疑义)."""
        route, external = self.get("verification.route"), self.get("verification.external_route")
        return VerificationRule(
            enabled=bool(self.get("verification.enabled")),
            route=VerificationRoute(route) if route else None,
            external_route=VerificationRoute(external) if external else None,
            continue_service=self.get("verification.continue_service"),
            target_wd=self.get("verification.target_wd"),
        )

    @property
    def one_source_enforced(self) -> bool:
        """Whether a second source of an item is refused (R-150)."""
        return bool(self.get("one_source.enforce"))


def _definition(key: str) -> Key:
    definition = KEYS.get(key)
    if definition is None:
        raise ProfileKeyUnknown(f"profiles have no key {key!r}")
    return definition


def _share_class(word: str) -> ShareClass:
    return ShareClass[word.upper()]
