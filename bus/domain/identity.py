"""Who acts: accounts of people and services, and the roles in which they act (requirements §4)."""

from dataclasses import dataclass
from enum import StrEnum

from bus.errors import Forbidden


class Role(StrEnum):
    """
    The capacity of an account; which organisation may have which is the jurisdiction's matter.

    Provider and consumer are no roles of an account: they follow, for each resource, from the
    organisation that a `DEPARTMENT` account acts for (R-006).
    """

    DEPARTMENT = "department"
    """经办: acts for its organisation, as provider of some resources and consumer of others."""
    AUTHORITY = "authority"
    """主管部门: standards, source assignment, consent, coordination, filing, demands, dispatch."""
    OFFICE = "office"
    """领导小组办公室, 专项工作组: organises, composes the catalog, may be the gateway."""
    STEERING = "steering"
    """领导小组: decides escalations, pre-reviews, approves where the profile asks."""
    OPERATOR = "operator"
    """平台管理单位: runs the platform, activates authorised grants; decides nothing (R-005)."""
    SECURITY = "security"
    """Suspends in incidents."""
    AUDITOR = "auditor"
    """审计机关: reads the audit log, writes nothing (R-228)."""
    ADMINISTRATOR = "administrator"
    """Sets the platform up: jurisdictions, organisations, accounts; decides nothing."""


#: Who runs the platform decides nothing on it, so these share an account with no other role.
EXCLUSIVE_ROLES = frozenset({Role.OPERATOR, Role.AUDITOR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """An account that does something, for its organisation, in its roles."""

    account: str
    organisation: str
    jurisdiction: str
    roles: frozenset[Role]
    trace_id: str = ""


def require_role(by: Actor, allowed: frozenset[Role], action: str) -> Role:
    """Return the role in which `by` may do `action`; refuse an actor who has none of `allowed`."""
    for role in sorted(by.roles & allowed):
        return role
    raise Forbidden(f"{action} takes one of the roles {', '.join(sorted(allowed))}")
