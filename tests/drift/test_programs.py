"""What programs read: JSON against its schema, SARIF, and Prometheus' text."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from fleetenv.drift.survey import drift_report
from fleetenv.report.drift.document import drift_json
from fleetenv.report.drift.prometheus import drift_prometheus
from fleetenv.report.drift.sarif import drift_sarif

from .fleets import HOSTILE, four_hosts, hostile, many_hosts, run
from .looks import NOW, every_kind, finding, hostile_findings, many_kinds, with_findings

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/drift.schema.json").read_text())
REPORTS = {
    "empty": drift_report(run([])),
    "four": drift_report(four_hosts()),
    "many": drift_report(many_hosts(100)),
    "kinds": many_kinds(60),
    "every": every_kind(),
    "hostile": drift_report(hostile()),
    "findings": hostile_findings(),
}


def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(SCHEMA)
    return Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.mark.parametrize("name", REPORTS)
def test_json_is_as_its_published_schema_says(name):
    assert list(validator().iter_errors(json.loads(drift_json(REPORTS[name])))) == []


def test_the_schema_refuses_what_is_no_report():
    document = json.loads(drift_json(every_kind()))
    document["findings"][0]["severity"] = "awful"
    document["hosts"]["gpu01"]["verdict"] = "fine"
    del document["summary"]["waived"]
    assert len(list(validator().iter_errors(document))) == 3


def test_the_schema_knows_every_key_that_there_is():
    def strict(schema: object) -> object:
        if isinstance(schema, list):
            return [strict(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        closed = {"additionalProperties": False} if "properties" in schema else {}
        return closed | {key: strict(each) for key, each in schema.items()}

    document = json.loads(drift_json(every_kind()))
    assert list(Draft202012Validator(strict(SCHEMA)).iter_errors(document)) == []  # type: ignore[arg-type]


def test_json_says_all_of_a_finding():
    findings = json.loads(drift_json(every_kind()))["findings"]
    assert [each for each in findings if each["subject"] == "GPU 5"] == [
        {
            "code": "ecc",
            "host": "gpu02",
            "subject": "GPU 5",
            "against": "care",
            "severity": "error",
            "text": "1 uncorrected ECC error",
            "advice": "",
            "item": None,
            "first_seen": None,
            "waiver": {"reason": "RMA 4711 is under way", "until": "2026-06-30"},
            "simulated": False,
        }
    ]
    assert {each["first_seen"] for each in findings if each["code"] == "pip-over-conda"} == {
        "2026-05-02T08:00:00+00:00",
        "2026-05-18T08:00:00+00:00",
    }
    assert {each["item"] for each in findings if each["code"] == "drift"} == {1, 2}


# SARIF


def sarif(report):
    log = json.loads(drift_sarif(report))
    (only,) = log["runs"]
    assert (log["version"], log["$schema"].rpartition("/")[2]) == ("2.1.0", "sarif-schema-2.1.0.json")
    return only


@pytest.mark.parametrize("name", REPORTS)
def test_sarif_results_have_a_rule_a_place_and_a_fingerprint_of_their_own(name):
    run = sarif(REPORTS[name])
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules)
    assert len(run["results"]) == len(REPORTS[name].findings)
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        (location,) = result["locations"]
        region = location["physicalLocation"]["region"]
        assert region["startLine"] >= 1
        assert region["startColumn"] >= 1
        assert location["physicalLocation"]["artifactLocation"]["uri"].isascii()
    for kind in ("fleetenv/v1", "primaryLocationLineHash"):
        prints = [result["partialFingerprints"][kind] for result in run["results"]]
        assert len(set(prints)) == len(prints)


def test_sarif_points_at_the_task_and_suppresses_what_is_waived():
    run = sarif(every_kind())
    results = {(each["properties"]["host"], each["properties"]["subject"]): each for each in run["results"]}
    condarc = results["gpu02", "condarc : Write .condarc"]
    assert condarc["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "playbooks/site.yml"},
        "region": {"startLine": 20, "startColumn": 5},
    }
    assert condarc["level"] == "warning"
    assert "fleetenv apply playbooks/site.yml -l gpu02" in condarc["message"]["text"]
    assert [each["properties"]["subject"] for each in run["results"] if "suppressions" in each] == ["GPU 5"]
    assert results["gpu02", "GPU 5"]["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": "RMA 4711 is under way (until 2026-06-30)"}
    ]
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 4, "endTimeUtc": "2026-05-21T08:00:00Z"}]


def test_a_fingerprint_is_the_same_on_another_day_with_another_text():
    def prints(report):
        return {each["partialFingerprints"]["fleetenv/v1"] for each in sarif(report)["results"]}

    assert prints(drift_report(four_hosts())) < prints(every_kind())


# Prometheus


def samples(report):
    """Return `name{labels} value` lines as a mapping."""
    lines = [line for line in drift_prometheus(report).splitlines() if not line.startswith("#")]
    pairs = [line.rpartition(" ") for line in lines]
    assert len({name for name, _, _ in pairs}) == len(pairs)
    return {name: float(value) for name, _, value in pairs}


def test_prometheus_counts_findings_by_host_severity_and_kind():
    found = samples(every_kind())
    of = 'playbook="playbooks/site.yml"'
    assert found[f'fleetenv_drift_findings{{host="gpu03",severity="error",against="playbook",{of}}}'] == 1
    assert found[f'fleetenv_drift_findings{{host="gpu03",severity="error",against="care",{of}}}'] == 1
    assert f'fleetenv_drift_findings{{host="gpu02",severity="error",against="care",{of}}}' not in found  # it is waived
    assert found[f'fleetenv_drift_waived_findings{{host="gpu02",{of}}}'] == 1
    assert found[f'fleetenv_drift_host_up{{host="gpu01",{of}}}'] == 1
    assert found[f'fleetenv_drift_host_up{{host="gpu04",{of}}}'] == 0
    assert found[f"fleetenv_drift_last_run_timestamp_seconds{{{of}}}"] == NOW.timestamp()


def test_gpus_are_counted_and_no_label_holds_what_a_host_made_up():
    device = {"model": "A100", "uncorrected": 12, "retired_pages": 0, "remapped_rows": "many"}
    gpus = {
        "count": 1,
        "driver": "535.104.05",
        "cuda": "12.2",
        "simulated": True,
        "devices": {"0": device, "0\n1": device},
    }
    snapshots = {
        "gpu01": {"gpus": gpus},
        "gpu02": {"gpus": {"count": 0, "driver": HOSTILE}},
        "gpu03": {"gpus": HOSTILE},
    }
    broken = finding("gpu01", "gpu-ecc", "GPU 0", "12 uncorrected ECC errors")
    report = replace(with_findings(drift_report(four_hosts()), broken), snapshots=snapshots)
    of = 'playbook="playbooks/site.yml"'
    assert {name: value for name, value in samples(report).items() if name.startswith("fleetenv_gpu")} == {
        f'fleetenv_gpus{{host="gpu01",{of}}}': 1,
        f'fleetenv_gpus{{host="gpu02",{of}}}': 0,
        f'fleetenv_gpus_simulated{{host="gpu01",{of}}}': 1,
        f'fleetenv_gpus_simulated{{host="gpu02",{of}}}': 0,
        f'fleetenv_gpu_driver_info{{host="gpu01",driver="535.104.05",cuda="12.2",{of}}}': 1,
        f'fleetenv_gpu_problems{{host="gpu01",code="gpu-ecc",{of}}}': 1,
        f'fleetenv_gpu_uncorrected{{host="gpu01",gpu="0",{of}}}': 12,
    }


@pytest.mark.parametrize("name", REPORTS)
def test_every_metric_has_one_help_and_one_type_before_its_samples(name):
    known: list[str] = []
    for line in drift_prometheus(REPORTS[name]).splitlines():
        if line.startswith("# HELP "):
            known.append(line.split()[2])
        elif line.startswith("# TYPE "):
            assert line == f"# TYPE {known[-1]} gauge"
        else:
            assert line.partition("{")[0] == known[-1]
    assert len(set(known)) == len(known)


def test_label_values_are_escaped_as_prometheus_reads_them():
    report = drift_report(run(['a"b\\c\nd']))
    assert r'host="a\"b\\c\\nd"' in drift_prometheus(report)
