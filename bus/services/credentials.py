"""Kafka accounts of subscriptions: whoever receives under a grant may have a new password."""

from bus.domain.identity import Actor
from bus.domain.names import subscription_principal
from bus.domain.principal import PrincipalKind
from bus.errors import NotFound, StateConflict
from bus.services import grants as grant_steps
from bus.services.desk import Desk
from bus.services.enforcement import Enforcement
from bus.services.visibility import may_see


class Credentials:
    """What consumers do with the accounts of their subscriptions."""

    def __init__(self, desk: Desk, enforcement: Enforcement) -> None:
        self._desk = desk
        self._enforcement = enforcement

    def renew(self, actor: Actor, grant: str) -> dict[str, str]:
        """
        Return a new password, once, for the account of a grant; the old one is over.

        A grant that nobody asked the consumer about (R-063) has its first password from here.
        """
        with self._desk.act(actor, "grant.credentials_renewed", grant_steps.GRANT, grant) as act:
            held = grant_steps.grant_of(act, grant)
            entry = act.transaction.live([held.grant.resource]).entries[held.grant.resource].entry
            act.jurisdiction = entry.jurisdiction
            parties = {held.grant.consumer, entry.provider}
            if not may_see(actor, entry.jurisdiction, parties):
                raise NotFound(f"there is no grant {grant!r}, or it is not yours to see")
            act.for_organisation(held.grant.consumer, part="consumer")
            name = subscription_principal(grant)
            if held.state.ended or not act.transaction.principals([name]):
                raise StateConflict(f"grant {grant} is {held.state}: it has no account")
            act.passwords[name] = self._enforcement.issue(
                act.transaction, name, PrincipalKind.SUBSCRIPTION, grant
            )
        return act.passwords
