"""
Make Kafka's permissions follow from the control plane's state.

The order is always the safe one: what is no longer allowed is cut before a change is committed,
what is newly allowed is given after. A crash in between leaves too little allowed, never too much,
and the next reconciliation puts it right.
"""

from collections.abc import Collection, Iterable, Mapping

from bus.domain.access import AccessRule, Source, organisation_rules, subscriber_rules
from bus.domain.entry import CatalogEntry
from bus.domain.principal import Principal, PrincipalKind, make_principal, new_password
from bus.domain.subscription import Subscription
from bus.ports import AccessAdmin, CatalogTransaction, Clock

_NONE: frozenset[AccessRule] = frozenset()
#: How long who lost a part of its access stays throttled: a fetch that it had parked on the broker
#: lives no longer, because the broker closes connections that idle for ten seconds (design.md §10).
PARKED_SECONDS = 12.0


class Access:
    """Kafka's accounts, permissions and quotas of providers and subscribers."""

    def __init__(self, admin: AccessAdmin, clock: Clock) -> None:
        self._admin = admin
        self._clock = clock
        #: Until when (`Clock.monotonic`) those are throttled that lost only a part.
        self._narrowed: dict[str, float] = {}
        #: Who was throttled without a reason at the last reconciliation.
        self._suspects: frozenset[str] = frozenset()

    def cut_subscriptions(
        self, transaction: CatalogTransaction, subscriptions: Collection[Subscription]
    ) -> None:
        """
        Take away what these subscriptions may not do any more; they alone are looked at.

        Whoever loses a topic is throttled, too: permissions are asked for when a fetch comes in,
        and one that is parked on the broker would go on to return what is written later.
        """
        names = [each.principal for each in subscriptions]
        # A subscription that is new has no account yet, so nothing to lose.
        known = transaction.principals(names) if names else {}
        desired = subscriber_rules(subscriptions)
        existing = self._admin.rules(known)
        excess = {
            name: extra
            for name in known
            if (extra := existing.get(name, _NONE) - desired.get(name, _NONE))
        }
        # One that is shut out is throttled whatever it still has: an earlier attempt may have
        # failed in between.
        shut_out = known.keys() - desired.keys()
        narrowed = excess.keys() - shut_out
        for name in narrowed:
            self._narrowed[name] = self._clock.monotonic() + PARKED_SECONDS
        self._admin.forbid(excess, throttle=sorted(shut_out | narrowed))

    def give_subscriptions(
        self, subscriptions: Collection[Subscription], *, new: Collection[str] = ()
    ) -> None:
        """Give these subscriptions what they may do and cannot yet; `new` accounts have nothing."""
        desired = subscriber_rules(subscriptions)
        existing = self._admin.rules(desired)
        for name in desired.keys() - new:
            # Whoever had something was not shut out, so there is no throttle to take away, or one
            # that has to stay for a while.
            if name not in existing and name not in self._narrowed:
                self._admin.unthrottle(name)
        self._allow(desired, existing)

    def has_narrowed(self) -> bool:
        """Tell whether there is somebody to release."""
        now = self._clock.monotonic()
        return any(until <= now for until in list(self._narrowed.values()))

    def release_narrowed(self) -> None:
        """
        Take the throttle from those who lost only a part, once no fetch of before is left.

        To be called in a transaction that writes: nobody must be shut out in the meantime.
        """
        now = self._clock.monotonic()
        for name, until in list(self._narrowed.items()):
            if until <= now:
                if name in self._admin.rules([name]):
                    self._admin.unthrottle(name)
                del self._narrowed[name]

    def give_providers(self, transaction: CatalogTransaction, providers: Collection[str]) -> None:
        """Give these organisations what they may do and cannot yet, as providers."""
        entries = transaction.provided(providers)
        desired = organisation_rules(providers, entries)
        self._allow(desired, self._admin.rules(desired))

    def _allow(
        self,
        desired: Mapping[str, frozenset[AccessRule]],
        existing: Mapping[str, frozenset[AccessRule]],
    ) -> Mapping[str, frozenset[AccessRule]]:
        """Allow what is desired and lacking; return it."""
        missing = {
            name: lacking
            for name, rules in desired.items()
            if (lacking := rules - existing.get(name, _NONE))
        }
        self._admin.allow(missing)
        return missing

    def differing(self, transaction: CatalogTransaction) -> list[str]:
        """
        Return the principals whose permissions in Kafka are not those in the store.

        Wants no lock: what it finds may have been put right meanwhile, `cut` and `give` look again.
        """
        desired = self._desired(transaction)
        managed = self._managed(transaction)
        existing = self._admin.rules()
        # One look alone may fall between a throttle and what comes after it.
        throttled = self._admin.throttled() & desired.keys()
        suspects = frozenset(throttled - self._narrowed.keys())
        healed, self._suspects = suspects & self._suspects, suspects
        for name in healed:
            self._narrowed[name] = self._clock.monotonic()
        return sorted(
            name for name in managed if existing.get(name, _NONE) != desired.get(name, _NONE)
        )

    def cut(
        self, transaction: CatalogTransaction, only: Collection[str] | None = None
    ) -> list[str]:
        """
        Take away what is not allowed any more; return the principals that may do nothing now.

        A principal that may do nothing is also throttled, which stops fetches that are parked on
        the broker (design.md §10). With `only`, these principals alone are looked at.
        """
        desired = self._desired(transaction, only)
        managed = self._managed(transaction, only)
        excess = {
            principal: extra
            for principal, rules in self._admin.rules(only).items()
            if principal in managed and (extra := rules - desired.get(principal, _NONE))
        }
        shut_out = [
            principal
            for principal in excess
            if managed[principal].kind is PrincipalKind.SUBSCRIPTION and principal not in desired
        ]
        # Throttled first: who has no rules any more is not found here again after a failure.
        for principal in shut_out:
            self._admin.throttle(principal)
        self._admin.forbid(excess)
        return shut_out

    def give(
        self, transaction: CatalogTransaction, only: Collection[str] | None = None
    ) -> Mapping[str, frozenset[AccessRule]]:
        """Give what is allowed and missing (to `only`); return what was given."""
        desired = self._desired(transaction, only)
        return self._allow(desired, self._admin.rules(only))

    def _desired(
        self, transaction: CatalogTransaction, only: Collection[str] | None = None
    ) -> dict[str, frozenset[AccessRule]]:
        """Return what each provider and subscriber (of `only`) may do, by principal."""
        if only is None:
            organisations = transaction.active_organisations()
            sources: Iterable[CatalogEntry | Source] = transaction.sources()
            subscriptions = transaction.subscriptions()
        else:
            known = transaction.principals(only).values()
            owners = [each.owner for each in known if each.kind is PrincipalKind.ORGANISATION]
            organisations = [
                code
                for code in owners
                if (found := transaction.organisation(code)) is not None and found.active
            ]
            sources = transaction.provided(owners)
            grants = [each.owner for each in known if each.kind is PrincipalKind.SUBSCRIPTION]
            held = [transaction.grant(grant) for grant in grants]
            resources = {each.grant.resource for each in held if each is not None}
            subscriptions = [
                each for each in transaction.subscriptions(resources) if each.id in grants
            ]
        return organisation_rules(organisations, sources) | subscriber_rules(subscriptions)

    def issue(
        self, transaction: CatalogTransaction, name: str, kind: PrincipalKind, owner: str
    ) -> str:
        """Create the account `name`, or give it a new password; return the password, once."""
        password = new_password()
        self._admin.set_password(name, password)
        transaction.save_principal(make_principal(name, kind, owner, password))
        return password

    def _managed(
        self, transaction: CatalogTransaction, only: Collection[str] | None = None
    ) -> Mapping[str, Principal]:
        return {
            name: principal
            for name, principal in transaction.principals(only).items()
            if principal.kind is not PrincipalKind.SERVICE
        }
