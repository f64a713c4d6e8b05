"""The resources of the scenarios (requirements.md §8) as entries; all data is invented."""

from typing import Any

UNCONDITIONAL: dict[str, Any] = {"class": "UNCONDITIONAL"}
EVERY_USE = [
    "ADMINISTRATIVE_BASIS",
    "WORK_REFERENCE",
    "DATA_VERIFICATION",
    "BUSINESS_COLLABORATION",
]


def conditional(*purposes: str) -> dict[str, Any]:
    """Return a conditional class."""
    return {
        "class": "CONDITIONAL",
        "condition": "within the duties of the requester",
        "audience": "government departments",
        "purposes": list(purposes) or EVERY_USE,
    }


def not_shared(basis_type: str, *, reason: str = "", article: str = "12") -> dict[str, Any]:
    """Return a not-shared class with its basis."""
    basis = {"type": basis_type, "citation": "an instrument", "article": article}
    return {"class": "NOT_SHARED", "legal_basis": {**basis, "reason": reason}}


def entry(
    resource: str,
    provider: str,
    items: dict[str, str],
    share: dict[str, dict[str, Any]],
    **more: Any,
) -> dict[str, Any]:
    """
    Return an entry whose first item is the key.

    `items`: name -> group; `share`: group -> scope (`all`) -> class, or one class for all.
    """
    names = list(items)
    groups: dict[str, dict[str, Any]] = {}
    for group, rules in share.items():
        scopes = {"all": rules} if "class" in rules else rules
        groups[group] = {"titles": {"zh": group, "en": group}, "share": scopes}
        if group == "business":
            groups[group]["kind"] = "business"
    return {
        "resource": resource,
        "titles": {"zh": resource, "en": resource},
        "provider": provider,
        "category": "business",
        "classification": "业务信息",
        "format": "one record a case",
        "update_limit_days": 30,
        "usage_requirement": "用于政务工作",
        "delivery_modes": ["kafka", "front-end"],
        "groups": groups,
        "items": [
            {
                "name": name,
                "titles": {"zh": name, "en": name},
                "type": "string" if name == names[0] else {"nullable": "string"},
                "key": name == names[0],
                "group": group,
                "element": f"{resource}-{name}".replace("_", "-"),
            }
            for name, group in items.items()
        ],
        **more,
    }


def record(code: dict[str, Any], *values: str | None) -> dict[str, Any]:
    """Return a record of an entry, its items in order; those not given are null."""
    names = [item["name"] for item in code["items"]]
    return {**dict.fromkeys(names), **dict(zip(names, values, strict=False))}
