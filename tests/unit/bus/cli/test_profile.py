"""Unit tests of `bus.cli.profile`: every value with its origin (R-266)."""

import json

from bus.domain.profile import Profile
from bus.domain.profile_keys import KEYS
from tests.command_line import CommandLine

COUNTY = """\
version: 2
parent: changzhou-2018
meta: {issuer: Fenghe county, status: in_force}
application: {reply_deadline_wd: {external: 5}}
clauses: {application: "article 4"}
"""


def test_list_names_the_profiles(onesource: CommandLine) -> None:
    onesource.width(120)
    ran = onesource("profile", "list")

    assert ran.status == 0
    for name in ("moa-2017", "changzhou-2018", "hainan-2014", "academy-2019", "yanjin-2019"):
        assert name in ran.out
    assert "draft_for_review" in ran.out


def test_list_as_json(onesource: CommandLine) -> None:
    """R-014: status and effective date."""
    listed = {each["name"]: each for each in json.loads(onesource("profile", "list", "--json").out)}

    assert listed["hainan-2014"] == {
        "name": "hainan-2014",
        "version": 1,
        "parent": None,
        "status": "in_force",
        "effective_from": "2014-12-19",
        "issuer": "Hainan province",
        "title": "Measures on sharing government information resources, 2014",
    }


def test_show_prints_each_value_with_its_origin(onesource: CommandLine) -> None:
    """R-266: clause, default or silence, one a line however narrow the terminal is."""
    ran = onesource("profile", "show", "academy-2019")

    assert ran.status == 0
    lines = ran.out.splitlines()
    assert lines[0] == "# academy-2019, version 1"
    assert "application.reply_deadline_wd.external: 10  # 003 §16(二)" in lines
    assert "application.clock_start.external: gateway_notice_received  # 003 §16(二)" in lines
    assert "gateway.format_conversion: true  # 003 §16(一)" in lines
    assert "one_source.enforce: true  # default, not law" in lines
    assert "special_regimes: scientific_data, information_disclosure  # 003 §30" in lines
    assert "theme.list: -  # silent" in lines
    assert "standards.sets: (none)  # default, not law" in lines
    shown = {line.partition(":")[0] for line in lines[1:]}
    assert all(any(each == key or each.startswith(f"{key}.") for each in shown) for key in KEYS)


def test_show_a_profile_of_ones_own(onesource: CommandLine) -> None:
    """R-266: a sixth profile, printed with what it inherits."""
    folder = onesource.folder / "mine"
    folder.mkdir()
    (folder / "fenghe-2027.yaml").write_text(COUNTY, encoding="utf-8")

    ran = onesource("profile", "show", "fenghe-2027", "--folder", "mine")

    lines = ran.out.splitlines()
    assert lines[0] == "# fenghe-2027, version 2, over changzhou-2018"
    assert "application.reply_deadline_wd.external: 5  # article 4" in lines
    assert "application.reply_deadline_wd: 10  # parent changzhou-2018: 001 §17" in lines
    assert "grant.period: 1y  # default, not law" in lines
    assert "meta.issuer: Fenghe county  # fenghe-2027 (no clause recorded)" in lines
    assert "fenghe-2027" in onesource("profile", "list", "--folder", "mine").out


def test_show_as_json_is_the_whole_profile(onesource: CommandLine) -> None:
    ran = onesource("profile", "show", "yanjin-2019", "--json")

    document = json.loads(ran.out)
    assert {
        "key": "application.reply_deadline_wd",
        "label": "all",
        "value": 5,
        "origin": "own",
        "profile": "yanjin-2019",
        "clause": "004 ¶27",
    } in document["values"]
    assert Profile.from_document(document).get("application.reply_deadline_wd") == 5


def test_a_profile_that_is_not_there(onesource: CommandLine) -> None:
    ran = onesource("profile", "show", "atlantis")

    assert ran.status == 3
    assert "[NOT_FOUND]" in ran.err
    assert "there is no profile 'atlantis'; there are academy-2019, " in ran.err


def test_a_bad_folder_is_refused_with_its_faults(onesource: CommandLine) -> None:
    folder = onesource.folder / "mine"
    folder.mkdir()
    (folder / "bad.yaml").write_text("version: 1\nrefusal: {reason: mood}\n", encoding="utf-8")

    ran = onesource("profile", "list", "--folder", "mine")

    assert ran.status == 3
    assert "[DEFINITION_INVALID]" in ran.err
    assert "mine/bad.yaml:2: refusal.reason: 'mood' is not one of none_stated, " in ran.err
