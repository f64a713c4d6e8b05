"""
The reference page about profiles, generated from what there is.

`python tests/unit/test_profiles_reference.py` writes `docs/reference/profiles.md` anew.
"""

from pathlib import Path

from bus.adapters.definitions.profiles import load_profiles
from bus.domain.profile import Profile
from bus.domain.profile_keys import ALL, KEYS, Form, Key
from bus.domain.profile_layers import OriginKind
from bus.domain.share import Scope

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference" / "profiles.md"
PROFILES = load_profiles()
#: In the order of the seeds.
SEEDS = sorted(PROFILES, key=lambda name: str(PROFILES[name].get("meta.seed")))
EXAMPLE = """\
# my-profiles/fenghe-2027.yaml
version: 1
parent: changzhou-2018
meta: {level: county, issuer: Fenghe county}
application:
  reply_deadline_wd: {all: 5}
clauses:
  meta: notice of 2027
  application.reply_deadline_wd: notice of 2027, article 4
"""


def test_the_example_of_the_reference_works(tmp_path: Path) -> None:
    """R-266: a new file, nothing else."""
    (tmp_path / "fenghe-2027.yaml").write_text(EXAMPLE, encoding="utf-8")

    fenghe = load_profiles(tmp_path)["fenghe-2027"]

    assert fenghe.reply_deadline_wd(Scope.INTERNAL) == 5
    assert fenghe.get("refusal.reason") == PROFILES["changzhou-2018"].get("refusal.reason")


def test_the_reference_is_what_the_profiles_say() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == reference(), f"run python {Path(__file__).name}"


def reference() -> str:
    """Return the reference page."""
    return _PAGE.format(
        heads=" | ".join(SEEDS),
        rule=" | ".join("---" for _ in SEEDS),
        example=EXAMPLE,
        regulations="\n".join(_regulation_row(PROFILES[name]) for name in SEEDS),
        keys="\n".join(_key_row(key) for key in KEYS.values()),
        values="\n".join(_value_row(key) for key in KEYS if not key.startswith("meta.")),
    )


def _regulation_row(profile: Profile) -> str:
    cells = [f"`{profile.name}`", *(_code(profile.get(f"meta.{each}")) for each in _REGULATION)]
    return f"| {' | '.join(cells)} |"


_REGULATION = ("seed", "issuer", "title", "status", "effective_from")


def _key_row(key: Key) -> str:
    wanted = ", ".join(f"`{word}`" for word in key.choices) or key.form.value
    if key.choices and key.form in {Form.TEXTS, Form.TEXT_OR_TEXTS}:
        wanted = f"some of {wanted}"
    if key.open_labels:
        wanted += "; may be a mapping"
    elif key.labels is not None:
        wanted += f"; may be a mapping of {', '.join([ALL, *sorted(key.labels)])}"
    return f"| `{key.name}` | {wanted} | {key.meaning} |"


def _value_row(key: str) -> str:
    return f"| `{key}` | {' | '.join(_cell(PROFILES[name], key) for name in SEEDS)} |"


def _cell(profile: Profile, key: str) -> str:
    lines = []
    for entry in profile.entries():
        if entry.key != key:
            continue
        match entry.origin.kind:
            case OriginKind.SILENT:
                return "-"
            case OriginKind.DEFAULT:
                lines.append(f"{_code(entry.value)} *default*")
            case _:
                label = "" if entry.name == key else f"{entry.label}: "
                lines.append(f"{label}{_code(entry.value)} ({entry.origin})")
    return "<br>".join(lines)


def _code(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return f"`{str(value).lower()}`"
        case tuple():
            return ", ".join(f"`{each}`" for each in value) or "`[]`"
        case str() if " " in value:
            return value
        case _:
            return f"`{value}`"


_PAGE = """\
# Jurisdiction profiles

What differs between regulations is data: one file a jurisdiction, `profiles/<name>.yaml`. Rules
ask the profile; nothing in the code knows which one it asks. `onesource profile show NAME` prints
every value that holds, with its origin.

This page is generated from `profiles/` and `bus/domain/profile_keys.py` by
`python tests/unit/test_profiles_reference.py`; a test compares them.

## The regulations

| Profile | Seed | Issuer | Title | Status | Effective from |
| --- | --- | --- | --- | --- | --- |
{regulations}

## How a profile is read

* **Silence is not zero.** `null`, or a key that is not there, means that the regulation says
  nothing: then the parent speaks, else [`defaults.yaml`](../../profiles/defaults.yaml). The word
  `none` is a value: nothing is asked.
* **A default is not law.** It is always shown as "default, not law".
* **Over a parent.** With `parent: NAME` a profile lies over another one, which may lie over a
  third. Mappings merge key by key; lists and single values replace. What a parent states can be
  stated otherwise, but not made silent.
* **By scope.** Where a value may differ by scope (部内/部外), it may be a mapping. `all` stands for
  each scope; a named scope beats `all`, also one that a parent names.
* **Clauses.** `clauses` maps keys, or whole sections, to where the regulation says so, like
  `001 §17`; the longest name wins. `assumed` marks what we had to read into a text; "no such
  rule", that it has none.
* **Bodies.** A value like `steering` or `authority` is an abstract role; `roles` names the body
  that fills it. A role that acts but names no body is refused.
* **Versions.** `version` grows with each change, because an action is judged by the version in
  force on the day it began.

## Another jurisdiction

A new file in a folder of your own, and nothing else. A county that follows its city:

```yaml
{example}```

```console
$ onesource profile show fenghe-2027 --folder my-profiles
```

Control finds it there with `ONESOURCE_PROFILES=my-profiles`, and reads it when it starts.

Unknown keys, wrong forms, words that are not in the lists below, a parent that is not there and
circles are refused, each with file, line and key.

## Keys

| Key | Takes | Decides |
| --- | --- | --- |
{keys}

## Values

In brackets: the clause. *default*: no regulation says so. `-`: nobody says anything.

| Key | {heads} |
| --- | {rule} |
{values}
"""

if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
