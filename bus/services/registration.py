"""Setting up: jurisdictions under their profiles, organisations with contacts, first access."""

from dataclasses import replace

from bus.domain import onboarding as access
from bus.domain.accounts import PLATFORM
from bus.domain.cases import CaseFilter, Held
from bus.domain.catalog import LiveGrant
from bus.domain.contacts import Contact, ContactKind, Contacts, appoint, require_contacts
from bus.domain.grant import GrantState
from bus.domain.identity import Actor, Role
from bus.domain.jurisdiction import Jurisdiction
from bus.domain.names import is_code, provider_principal
from bus.domain.onboarding import Onboarding, OnboardingState, Pledge
from bus.domain.organisation import Organisation, Zone
from bus.domain.principal import PrincipalKind
from bus.domain.view import Treatment
from bus.errors import Forbidden, NotFound, Refused
from bus.services import grants as grant_steps
from bus.services.desk import Act, Desk
from bus.services.enforcement import Enforcement
from bus.services.kinds import CONTACTS, JURISDICTION, ONBOARDING
from bus.views.row_filter import FilterCompiler

_ORGANISATION = "organisation"
_LAPSED = "onboarding:"


class Registration:
    """Who there is, and under which rules."""

    def __init__(
        self, desk: Desk, enforcement: Enforcement, *, compile_filter: FilterCompiler
    ) -> None:
        self._desk = desk
        self._compile_filter = compile_filter
        self._enforcement = enforcement

    # --- jurisdictions ----------------------------------------------------------------------------

    def set_up(self, actor: Actor, jurisdiction: Jurisdiction) -> Held[Jurisdiction]:
        """Set a jurisdiction up under a profile; for the administrator."""
        with self._desk.act(actor, "jurisdiction.set_up", "jurisdiction", jurisdiction.code) as act:
            _administrator(act)
            _code(jurisdiction.code)
            act.profiles.profile(jurisdiction.profile)
            held = act.transaction.add_case(JURISDICTION, jurisdiction)
            act.jurisdiction = jurisdiction.code
            act.details["profile"] = jurisdiction.profile
        return held

    def jurisdictions(self, actor: Actor) -> list[Held[Jurisdiction]]:
        """Return all jurisdictions."""
        with self._desk.look(actor) as act:
            return act.all(JURISDICTION, CaseFilter())

    # --- organisations ----------------------------------------------------------------------------

    def register(
        self, actor: Actor, organisation: Organisation, contacts: tuple[Contact, ...]
    ) -> dict[str, str]:
        """
        Register an organisation; return the password of its Kafka account, once (R-001, R-003).

        It is active once everybody answers for it whom the profile asks for. Raise `Refused`
        ORG_KIND_NOT_ALLOWED, ALREADY_EXISTS, CONTACT_REQUIRED.
        """
        with self._desk.act(actor, "org.registered", _ORGANISATION, organisation.code) as act:
            _registrar(act, organisation.jurisdiction)
            _code(organisation.code)
            profile = act.profile(organisation.jurisdiction)
            access.require_kind(organisation.kind, profile.organisation_kinds)
            if act.transaction.organisation(organisation.code) is not None:
                raise Refused(
                    f"there is an organisation {organisation.code!r} already",
                    code="ALREADY_EXISTS",
                )
            known = Contacts(organisation=organisation.code)
            for contact in contacts:
                known = appoint(known, contact)
            if organisation.active:
                require_contacts(known, _required(act), act.now.date())
            act.transaction.add_case(CONTACTS, known)
            act.transaction.save_organisation(organisation)
            name = provider_principal(organisation.code)
            act.passwords[name] = self._enforcement.issue(
                act.transaction, name, PrincipalKind.ORGANISATION, organisation.code
            )
            act.providers.add(organisation.code)
        return act.passwords

    def appoint(self, actor: Actor, organisation: str, contact: Contact) -> Held[Contacts]:
        """Let somebody else answer for an organisation; who did before is kept, with dates."""
        with self._desk.act(actor, "contact.changed", _ORGANISATION, organisation) as act:
            found = _organisation(act, organisation)
            if actor.organisation != organisation:
                _registrar(act, found.jurisdiction)
            held = act.get(CONTACTS, organisation)
            held = act.replace(CONTACTS, held, appoint(held.value, contact))
            act.details["kind"] = str(contact.kind)
        return held

    def set_active(self, actor: Actor, organisation: str, *, active: bool) -> Organisation:
        """Activate an organisation, or stop it from publishing and receiving."""
        action = "org.activated" if active else "org.suspended"
        with self._desk.act(actor, action, _ORGANISATION, organisation) as act:
            found = _organisation(act, organisation)
            _registrar(act, found.jurisdiction)
            act.profile(found.jurisdiction)
            if active:
                held = act.get(CONTACTS, organisation)
                require_contacts(held.value, _required(act), act.now.date())
            changed = replace(found, active=active)
            act.transaction.save_organisation(changed)
        return changed

    def renew_pseudonyms(self, actor: Actor, organisation: str) -> Organisation:
        """
        Take the next version of the key of an organisation's pseudonyms.

        Its views with pseudonyms are new views, filled anew; the old ones are cut at once.
        """
        with self._desk.act(actor, "org.pseudonyms_renewed", _ORGANISATION, organisation) as act:
            found = _organisation(act, organisation)
            _registrar(act, found.jurisdiction)
            act.profile(found.jurisdiction)
            changed = replace(found, pseudonym_key=found.pseudonym_key + 1)
            act.transaction.save_organisation(changed)
            act.details["version"] = str(changed.pseudonym_key)
            for state in (GrantState.ACTIVE, GrantState.SUSPENDED):
                act.touched |= {
                    each.grant.resource
                    for each in _grants(act, organisation, state)
                    if Treatment.HMAC in each.grant.treatments.values()
                }
            act.tell(
                organisation,
                "PSEUDONYMS_RENEWED",
                _ORGANISATION,
                organisation,
                f"new pseudonyms, of key version {changed.pseudonym_key}: load what holds old ones "
                "again, they do not join with new ones",
            )
        return changed

    def organisation(self, actor: Actor, code: str) -> Organisation:
        """Return an organisation; every registered one may know of every other."""
        with self._desk.look(actor) as act:
            return _organisation(act, code)

    def zone_of(self, actor: Actor) -> Zone | None:
        """Return the network zone of the actor's organisation; None if it is not registered."""
        with self._desk.look(actor) as act:
            found = act.transaction.organisation(actor.organisation)
            return None if found is None else found.zone

    def organisations(self, actor: Actor) -> list[Organisation]:
        """Return all organisations, by code."""
        with self._desk.look(actor) as act:
            return list(act.transaction.organisations())

    # --- first access -----------------------------------------------------------------------------

    def apply_for_access(
        self, actor: Actor, organisation: str, *, application: str
    ) -> Held[Onboarding]:
        """Apply in writing for access to the platform (R-004)."""
        with self._desk.act(actor, "org.onboarding_applied", _ORGANISATION, organisation) as act:
            found = _organisation(act, organisation)
            act.jurisdiction = found.jurisdiction
            act.role = "consumer"
            held = act.transaction.case(ONBOARDING, organisation)
            known = Onboarding(organisation=organisation) if held is None else held.value
            applied = access.apply(known, application=application, by=actor, at=act.now)
            if held is None:
                held = act.transaction.add_case(ONBOARDING, applied)
            else:
                held = act.replace(ONBOARDING, held, applied)
        return held

    def sign_pledge(self, actor: Actor, organisation: str, pledge: Pledge) -> Held[Onboarding]:
        """Store the signed pledge."""
        with self._desk.act(actor, "org.pledged", _ORGANISATION, organisation) as act:
            act.jurisdiction = _organisation(act, organisation).jurisdiction
            act.role = "consumer"
            held = act.get(ONBOARDING, organisation)
            signed = replace(pledge, signed_at=act.now)
            return act.replace(ONBOARDING, held, access.sign_pledge(held.value, signed, by=actor))

    def decide_access(
        self, actor: Actor, organisation: str, *, approved: bool, reason: str
    ) -> Held[Onboarding]:
        """Approve or reject the application, as the body that the profile names."""
        with self._desk.act(actor, "org.access_decided", _ORGANISATION, organisation) as act:
            found = _organisation(act, organisation)
            approver = _approver(act, found)
            held = act.get(ONBOARDING, organisation)
            decided = (
                access.approve(held.value, by=actor, at=act.now, approver=approver)
                if approved
                else access.reject(
                    held.value, reason=reason, by=actor, at=act.now, approver=approver
                )
            )
            held = act.replace(ONBOARDING, held, decided)
            act.details["state"] = str(decided.state)
            act.tell(organisation, f"ACCESS_{decided.state}", _ORGANISATION, organisation, reason)
            if decided.state is OnboardingState.ACTIVE:
                for grant in _grants(act, organisation, GrantState.SUSPENDED):
                    if grant.grant.suspended_because.startswith(_LAPSED):
                        grant_steps.resume(act, grant, self._compile_filter)
        return held

    def lapse_access(self, actor: Actor, organisation: str, *, reason: str) -> Held[Onboarding]:
        """
        Take an organisation's access back, as the body that gave it; nothing is delivered any more.

        The grants are suspended, and resumed when a new application is approved (§6.3).
        """
        with self._desk.act(actor, "org.access_lapsed", _ORGANISATION, organisation) as act:
            approver = _approver(act, _organisation(act, organisation))
            held = act.get(ONBOARDING, organisation)
            lapsed = access.lapse(
                held.value, reason=reason, by=actor, at=act.now, approver=approver
            )
            held = act.replace(ONBOARDING, held, lapsed)
            act.details["reason"] = reason
            for grant in _grants(act, organisation, GrantState.ACTIVE):
                grant_steps.suspend(act, grant, f"{_LAPSED} {reason}")
            act.tell(organisation, f"ACCESS_{lapsed.state}", _ORGANISATION, organisation, reason)
        return held

    def access(self, actor: Actor, organisation: str) -> Onboarding:
        """Return how an organisation's access stands."""
        with self._desk.look(actor) as act:
            _organisation(act, organisation)
            held = act.transaction.case(ONBOARDING, organisation)
            return Onboarding(organisation=organisation) if held is None else held.value


def _approver(act: Act, organisation: Organisation) -> Role:
    """Return in which role the actor decides about an organisation's access; R-004."""
    rule = act.profile(organisation.jurisdiction).onboarding
    approver = Role(rule.approved_by) if rule.approved_by else Role.AUTHORITY
    return act.as_role(approver, jurisdiction=organisation.jurisdiction)


def _grants(act: Act, consumer: str, state: GrantState) -> list[LiveGrant]:
    return act.grants(CaseFilter(consumer=consumer, states=frozenset({str(state)})))


def _administrator(act: Act) -> None:
    if Role.ADMINISTRATOR not in act.actor.roles or act.actor.jurisdiction != PLATFORM:
        raise Forbidden(f"{act.action} is for the platform's administrator")
    act.role = str(Role.ADMINISTRATOR)


def _registrar(act: Act, jurisdiction: str) -> None:
    """Let the administrator register, and the authority of the jurisdiction."""
    of_there = act.actor.jurisdiction in {PLATFORM, jurisdiction}
    if Role.ADMINISTRATOR in act.actor.roles and of_there:
        act.jurisdiction = jurisdiction
        act.role = str(Role.ADMINISTRATOR)
    else:
        act.as_role(Role.AUTHORITY, jurisdiction=jurisdiction)


def _required(act: Act) -> list[ContactKind]:
    named = [] if act.rules is None else act.rules.get("org.required_contacts") or []
    return [ContactKind(each) for each in named]


def _organisation(act: Act, code: str) -> Organisation:
    found = act.transaction.organisation(code)
    if found is None:
        raise NotFound(f"there is no organisation {code!r}")
    return found


def _code(code: str) -> None:
    if not is_code(code):
        raise Refused(f"{code!r} is not a code (lower-case words, hyphens)", code="CODE_INVALID")
