"""What `drift_ignore` lets pass: with a reason, up to a day, and never silently."""

from __future__ import annotations

from datetime import date

import pytest

from fleetenv.drift.finding import Against, Finding
from fleetenv.drift.waivers import check_holders, read_rules, waived
from fleetenv.errors import InputError
from fleetenv.severity import Severity
from fleetenv.source_yaml import parse_yaml

TODAY = date(2026, 11, 21)


def finding(host: str = "gpu01", code: str = "extra-environment", subject: str = "old_env") -> Finding:
    return Finding(
        code=code,
        host=host,
        subject=subject,
        against=Against.CARE,
        severity=Severity.WARNING,
        text="12 packages",
        advice="adopt it",
    )


def rules(text: str):
    return read_rules(parse_yaml(text, "all.yml"), lambda pattern: {"rack1": ["gpu01", "gpu02"]}.get(pattern, []))


def judged(text: str, *findings: Finding) -> list[Finding]:
    hosts = dict.fromkeys(["gpu01", "gpu02", "gpu03", *(each.host for each in findings)])
    return list(waived(findings, dict.fromkeys(hosts, rules(text)), TODAY))


ENTRY = "- {code: extra-environment, subject: 'old_*', reason: a paper, until: 2026-11-21}\n"


def test_up_to_its_last_day_it_holds_and_is_shown():
    (each,) = judged(ENTRY, finding())
    assert each.waiver is not None
    assert (each.waiver.reason, each.waiver.until) == ("a paper", TODAY)
    assert not each.is_drift


def test_it_is_about_no_other_code_subject_or_host():
    others = [finding(subject="new_env"), finding(code="base-pip", subject="old_x")]
    assert all(each.waiver is None for each in judged(ENTRY, *others))
    here = ENTRY.replace("reason", "host: rack1, reason")
    assert [each.waiver is None for each in judged(here, finding("gpu02"), finding("gpu03"))] == [False, True]


def test_codes_may_be_patterns_and_a_subject_is_not_needed():
    text = "- {code: gpu-*, reason: in repair, until: 2027-01-01}\n"
    (each,) = judged(text, finding(code="gpu-ecc-uncorrected", subject="GPU 3"))
    assert each.waiver is not None


def test_after_its_day_it_hides_nothing_and_is_a_note_itself():
    past = ENTRY.replace("2026-11-21", "2026-11-20")
    found, note = judged(past, finding("gpu02"))
    assert found.waiver is None
    assert (note.host, note.code, note.severity) == ("gpu02", "waiver-expired", Severity.NOTE)
    assert note.text == "ended on 2026-11-20: a paper; old_env counts again"
    assert "all.yml:1:3" in note.advice
    (alone,) = judged(past)  # nothing that it could hide
    assert alone.text.endswith("nothing that it is about was found any more")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("code: drift\n", "must be a list"),
        ("- drift\n", "all.yml:1:3: an entry of drift_ignore must be a mapping"),
        ("- {code: drift, reason: x}\n", "all.yml:1:3: an entry of drift_ignore needs 'until': the last day"),
        ("- {code: drift, until: 2027-01-01}\n", "needs 'reason'"),
        ("- {reason: x, until: 2027-01-01}\n", "needs 'code'"),
        ("- {code: drfit, reason: x, until: 2027-01-01}\n", "all.yml:1:10: there is no finding with the code 'drfit'"),
        ("- {code: drfit, reason: x, until: 2027-01-01}\n", "did you mean 'drift'?"),
        ("- {code: drift, reason: x, until: tomorrow}\n", "all.yml:1:35: 'tomorrow' is no day; write it as"),
        ("- {code: drift, reason: x, until: 2027-01-01, hosts: a}\n", "all.yml:1:47: drift_ignore has no key 'hosts'"),
        (
            "- {code: drift, subject: 3, reason: x, until: 2027-01-01}\n",
            "all.yml:1:26: 'subject' must be text, not '3'",
        ),
        ("- {code: drift, host: rack9, reason: x, until: 2027-01-01}\n", "all.yml:1:23: no host matches 'rack9'"),
        ("- {code: drift, subject: '{{ x }}', reason: x, until: 2027-01-01}\n", "without templates"),
    ],
)
def test_mistakes_are_told_where_they_are(text, told):
    with pytest.raises(InputError) as error:
        rules(text)
    assert told in str(error.value)


def test_an_entry_for_hosts_that_do_not_have_it_is_a_mistake():
    (rule,) = rules("- {code: drift, host: rack1, reason: x, until: 2027-01-01}\n")
    check_holders({"gpu01": [rule], "gpu02": [], "gpu03": [rule]})
    check_holders({"gpu01": [], "gpu03": [rule]})  # gpu02, which may have it, is not looked at
    with pytest.raises(InputError) as error:
        check_holders({"gpu01": [], "gpu02": [], "gpu03": [rule]})
    assert str(error.value).startswith(
        "all.yml:1:3: an entry of drift_ignore is for gpu01, gpu02, and only gpu03 have it"
    )
