"""Findings that somebody lets pass: `drift_ignore` in the variables of the playbook or the inventory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from fnmatch import fnmatchcase

from msgspec import Struct
from msgspec.structs import replace

from fleetenv.drift.codes import CODES, every_code, is_known
from fleetenv.drift.finding import Finding, Waiver
from fleetenv.errors import InputError, Location, nearest
from fleetenv.source import SourceList, SourceMap, SourceText, Value

VARIABLE = "drift_ignore"
_KEYS = ("code", "subject", "host", "reason", "until")
_EXAMPLE = "{code: extra-environment, subject: 'old_*', reason: 'until the paper is out', until: 2027-03-31}"
_EXPIRED = "waiver-expired"
_MOST_NAMES = 5


class Rule(Struct, frozen=True):
    """One entry. `hosts` are those that its pattern means; None: all."""

    code: str
    subject: str
    waiver: Waiver
    hosts: frozenset[str] | None = None
    location: Location | None = None

    def fits(self, finding: Finding) -> bool:
        """Whether it is about this finding."""
        return (
            (self.hosts is None or finding.host in self.hosts)
            and fnmatchcase(finding.code, self.code)
            and fnmatchcase(finding.subject, self.subject)
        )


def read_rules(value: Value, select: Callable[[str], Iterable[str]]) -> tuple[Rule, ...]:
    """Read one value of the variable.

    Args:
        value: As it was written.
        select: Names the hosts that a pattern means; raises InputError where it is none, or names what is not there.

    Raises:
        InputError: it is not what it must be.
    """
    if value is None:
        return ()
    if not isinstance(value, list):
        raise InputError(f"{VARIABLE} must be a list", location=_at(value), hint=f"such as - {_EXAMPLE}")
    places = value.items_at if isinstance(value, SourceList) else [None] * len(value)
    return tuple(_rule(each, place, select) for each, place in zip(value, places, strict=True))


def check_holders(rules: Mapping[str, Iterable[Rule]]) -> None:
    """Check that each entry is in the variables of a host that it is for, else it would never let anything pass.

    Args:
        rules: Those for each host of the run; an entry for hosts that are not all in the run cannot be judged.

    Raises:
        InputError: one is not.
    """
    holders: dict[Rule, list[str]] = {}
    for host, each in rules.items():
        for rule in each:
            holders.setdefault(rule, []).append(host)
    for rule, those in holders.items():
        if rule.hosts and rule.hosts <= rules.keys() and rule.hosts.isdisjoint(those):
            raise InputError(
                f"an entry of {VARIABLE} is for {_some(rule.hosts)}, and only {_some(those)} have it",
                location=rule.location,
                hint="write it where those hosts have it: in their group_vars or host_vars, or in 'all'",
            )


def waived(findings: Iterable[Finding], rules: Mapping[str, Iterable[Rule]], today: date) -> Iterator[Finding]:
    """Yield all findings, those that a rule lets pass with its waiver; and one more for each rule that is past.

    Args:
        findings: All.
        rules: Those for each host.
        today: A rule holds up to its last day.
    """
    past: dict[Rule, str] = {}  # and the first host that it is for
    for host, each in rules.items():
        for rule in each:
            if rule.waiver.until < today and (rule.hosts is None or host in rule.hosts):
                past.setdefault(rule, host)
    hid: dict[Rule, Finding] = {}
    for finding in findings:
        fitting = [rule for rule in rules.get(finding.host, ()) if rule.fits(finding)]
        holding = next((rule.waiver for rule in fitting if rule not in past), None)
        for rule in fitting:
            hid.setdefault(rule, finding)
        yield replace(finding, waiver=holding) if holding else finding
    for rule, host in past.items():
        yield _expired(rule, hid[rule].host if rule in hid else host, hid.get(rule))


def _rule(value: Value, place: Location | None, select: Callable[[str], Iterable[str]]) -> Rule:
    if not isinstance(value, dict):
        raise InputError(f"an entry of {VARIABLE} must be a mapping", location=place, hint=f"such as {_EXAMPLE}")
    keys_at = value.keys_at if isinstance(value, SourceMap) else {}
    for key in value:
        if key not in _KEYS:
            hint = nearest(key, _KEYS) or f"it has {', '.join(_KEYS)}"
            raise InputError(f"{VARIABLE} has no key '{key}'", location=keys_at.get(key, place), hint=hint)
    for key in ("code", "reason", "until"):
        if not value.get(key):
            why = {"code": "which findings", "reason": "why they may pass", "until": "the last day on which they may"}
            raise InputError(f"an entry of {VARIABLE} needs '{key}': {why[key]}", location=place, hint=_EXAMPLE)
    texts = {key: str(_text(key, value, place)) for key in ("code", "subject", "host", "reason") if key in value}
    code = texts["code"]
    if not is_known(code):
        hint = nearest(code, every_code()) or "docs/findings.md lists them"
        raise InputError(
            f"there is no finding with the code '{code}'", location=_where(value, "code", place), hint=hint
        )
    return Rule(
        code=code,
        subject=texts.get("subject", "*"),
        waiver=Waiver(reason=texts["reason"], until=_day(value, place)),
        hosts=_hosts(texts["host"], _where(value, "host", place), select) if "host" in texts else None,
        location=place,
    )


def _hosts(pattern: str, where: Location | None, select: Callable[[str], Iterable[str]]) -> frozenset[str]:
    try:
        hosts = frozenset(select(pattern))
    except InputError as error:
        raise InputError(error.message, location=where, hint=error.hint) from error
    if not hosts:
        raise InputError(f"no host matches '{pattern}'", location=where, hint="'fleetenv inventory --graph' shows all")
    return hosts


def _some(hosts: Iterable[str]) -> str:
    names = sorted(hosts)
    return ", ".join(names[:_MOST_NAMES]) + (
        f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    )


def _text(key: str, entry: Mapping[str, Value], place: Location | None) -> str:
    value = entry[key]
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"'{key}' must be text, not '{value}'", location=_where(entry, key, place))
    if "{{" in value or "{%" in value:
        raise InputError(f"'{key}' is taken as it is written, without templates", location=_where(entry, key, place))
    return value


def _day(entry: Mapping[str, Value], place: Location | None) -> date:
    value = entry["until"]
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        where = _where(entry, "until", place)
        raise InputError(f"'{value}' is no day", location=where, hint="write it as 2027-03-31") from error


def _where(entry: Mapping[str, Value], key: str, place: Location | None) -> Location | None:
    return entry.values_at.get(key, place) if isinstance(entry, SourceMap) else place


def _at(value: Value) -> Location | None:
    return value.location if isinstance(value, SourceText | SourceList | SourceMap) else None


def _expired(rule: Rule, host: str, hid: Finding | None) -> Finding:
    what = f"{rule.code} {rule.subject}"
    where = f" ({rule.location})" if rule.location else ""
    counts = f"{hid.subject} counts again" if hid else "nothing that it is about was found any more"
    return Finding(
        code=_EXPIRED,
        host=host,
        subject=what,
        against=CODES[_EXPIRED].against,
        severity=CODES[_EXPIRED].severity,
        text=f"ended on {rule.waiver.until}: {rule.waiver.reason}; {counts}",
        advice=f"give it a later day, or take it out of {VARIABLE}{where}",
    )
