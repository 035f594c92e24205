"""What the pages show of a history of simulated hosts, as a user sees it."""

import re
from datetime import datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from fleetenv.history.database import open_database
from fleetenv.history.store import open_history
from fleetenv.web.pages.matrix import MATRIX

from .conftest import HOSTS, RUNS, start, stop
from .simulated import HOSTILE, Fleet, record

LAST_LOOK = RUNS - 1 if RUNS % 10 == 0 else RUNS
PAGES = (
    "/", "/?columns=all", "/findings", "/findings?by=host&state=all", "/environments", "/environments/nlp_train",
    "/environments/nlp_train?show=all&host=gpu001", "/environments/nlp_train?by=package",
    f"/environments/{quote(HOSTILE, safe='')}", "/gpus", "/gpus?by=gpu",
    "/runs", f"/runs/{LAST_LOOK}", f"/runs/{LAST_LOOK}/hostile", "/hosts/gpu001", "/hosts/hostile", "/compare",
    "/compare?left=gpu001&right=hostile&show=all",
)  # fmt: skip


class Tags(HTMLParser):
    """The tags of a page with their attributes, as a browser understands them."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def rows(page):
    """The rows of a page's tables, as a user reads them."""
    return [
        " ".join(unescape(re.sub(r"<[^>]*>", " ", row)).split())
        for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    ]


@pytest.mark.parametrize("path", PAGES)
def test_what_a_hostile_host_wrote_stays_text_and_small(dashboard, path):
    page = dashboard.page(path)
    assert len(page) < 400_000
    assert not set(page) & {"\x1b", "\u202e", "\x00", "\x07"}
    tags = Tags(page).found
    assert [sorted(attributes) for tag, attributes in tags if tag == "script"] == [["defer", "src"]]
    assert not {tag for tag, _ in tags} & {"img", "iframe", "object", "style", "base"}
    assert not any(name.startswith(("on", "style")) for _, attributes in tags for name in attributes)

    answer = dashboard.ask(path + ("&" if "?" in path else "?") + "format=json")
    assert answer.headers["Content-Type"] == "application/json"
    assert len(answer.body) < 600_000
    assert answer.body.isascii()


def test_long_texts_are_cut_and_say_so(dashboard):
    assert "… (the first 300 of 1,000,000 characters)" in dashboard.page("/hosts/hostile")
    assert r"\x1b[31mred\x1b[0m \u202ereversed" in dashboard.page("/hosts/hostile")


def test_every_link_leads_somewhere(dashboard):
    seen, waiting = set(), ["/", "/hosts/hostile", "/hosts/gpu009", f"/environments/{quote(HOSTILE, safe='')}", "/gpus"]
    for path in waiting:
        waiting += ["/compare?left=gpu001&right=gpu006", f"/runs/{LAST_LOOK}"] if path == "/" else []
        for link in map(unescape, re.findall(r'href="([^"#]*)', dashboard.page(path))):
            if link.startswith(("/hosts/gpu0", "data:")) or link in seen:
                continue
            seen.add(link)
            base = path.partition("?")[0]
            answer = dashboard.ask(base + link if link.startswith("?") else link or base)
            assert answer.status == 200, link
    assert len(seen) > 40


def test_the_worst_hosts_come_first_and_say_what_is_wrong(dashboard):
    data = dashboard.data("/")
    ranks = ["unreachable", "error", "warning", "note", "waived", "same"]
    marks = [ranks.index(row["mark"]) for row in data["rows"]]
    assert marks == sorted(marks)
    assert data["hosts"] == HOSTS + 1 == sum(data["counts"].values())
    old = next(row for row in data["rows"] if row["host"] == "gpu009")
    assert "driver 535.104.05 is older" in old["brief"]
    assert old["simulated"] is True
    column = data["columns"].index("gpu_driver : Verify the driver")
    assert old["cells"][column]["mark"] == "error"
    assert any("gpu009 simulated ✗ error" in row for row in rows(dashboard.page("/")))


def test_the_matrix_is_filtered_sorted_and_cut_into_pages(dashboard):
    assert {row["host"] for row in dashboard.data("/?q=1.26.3+gpu0")["rows"]} >= {"gpu006", "gpu029"}
    assert [row["host"] for row in dashboard.data("/?q=1.26.3+gpu006")["rows"]] == ["gpu006"]
    names = [row["host"] for row in dashboard.data("/?sort=-host&group=h100")["rows"]]
    assert names == sorted(names, reverse=True)
    assert all(int(name[3:]) % 3 == 2 for name in names if name != "hostile")
    assert {row["mark"] for row in dashboard.data("/?mark=error")["rows"]} == {"error"}
    assert dashboard.data("/?page=99")["part"] == {"number": 1, "pages": 1, "total": 47, "first": 1, "last": 47}
    assert "No host is like that." in dashboard.page("/?q=nothing-like-it")


def test_a_host_page_shows_what_it_is_what_is_wrong_and_what_changed(dashboard):
    page = dashboard.page("/hosts/gpu009")
    for words in ("Debian GNU/Linux 12", "535.104.05", "NVIDIA A100-SXM4-80GB", "nlp_train", "upgrade it and reboot",
                  "fleetenv apply playbooks/site.yml", "against playbook, since", "simulated"):  # fmt: skip
        assert words in page
    changed = next(h for h in (f"gpu{n:03}" for n in range(1, HOSTS)) if dashboard.data(f"/hosts/{h}")["steps"])
    step = dashboard.data(f"/hosts/{changed}")["steps"][0]
    page = dashboard.page(f"/hosts/{changed}")
    assert ".".join(step["changes"][0]["path"]) in page
    assert f"/runs/{step['run']}" in page
    assert len(dashboard.data(f"/hosts/{changed}")["runs"]) == RUNS


def test_an_environment_shows_who_differs_in_what(dashboard):
    data = dashboard.data("/environments/nlp_train")
    assert [row["key"] for row in data["rows"]] == ["numpy"]
    assert set(data["variants"][1]["hosts"]) >= {"gpu006", "gpu029"}
    assert data["variants"][1]["differs"] == 1
    assert any(
        row.startswith("numpy 1.26.4") and "1.26.3" in row for row in rows(dashboard.page("/environments/nlp_train"))
    )
    spread = dashboard.data("/environments/nlp_train?by=package")["spreads"][0]
    assert [(share["value"][:6], len(share["hosts"])) for share in spread["shares"]] == [
        ("1.26.4", len(data["variants"][0]["hosts"])), ("1.26.3", len(data["variants"][1]["hosts"])),
    ]  # fmt: skip
    by_package = rows(dashboard.page("/environments/nlp_train?by=package"))
    assert any(row.startswith("numpy 1.26.3") and "gpu006" in row for row in by_package)
    assert dashboard.data("/environments/nlp_train?group=none")["hosts"] == 0
    assert dashboard.page("/environments/nlp_train?group=none&by=package")
    everything = dashboard.data("/environments/nlp_train?show=all&q=library")
    assert len(everything["rows"]) == 120
    lines = {line["name"]: line for line in dashboard.data("/environments")["rows"]}
    assert (lines["speech_asr"]["variants"], lines["nlp_train"]["variants"]) == (1, 2)


def test_gpus_are_counted_by_driver_and_model_and_error_counts_are_drawn(dashboard):
    data = dashboard.data("/gpus")
    assert data["gpus"] == HOSTS * 8 + 1
    assert {each["value"] for each in data["drivers"]} >= {"550.54.15", "535.104.05"}
    single = dashboard.data("/gpus?by=gpu&health=errors")
    assert {row["host"] for row in single["rows"]} == {
        row["host"] for row in data["rows"] if "uncorrected ECC errors" in row["counters"]
    }
    assert dashboard.page("/gpus").count("<polyline") == min(24, len(data["plots"])) > 0
    assert {row["driver"] for row in dashboard.data("/gpus?driver=535.104.05")["rows"]} == {"535.104.05"}
    assert data["rows"][0]["settings"]["power limit"] == "400 W"


def test_equal_findings_of_many_hosts_are_one_row(dashboard):
    together = dashboard.data("/findings?code=failed")["rows"]
    assert len(together) == 1
    assert together[0]["advice"].endswith("-l " + ",".join(together[0]["hosts"]))
    apart = dashboard.data("/findings?code=failed&by=host")["rows"]
    assert [row["hosts"] for row in apart] == [[host] for host in together[0]["hosts"]]
    assert together[0]["first_seen"] is not None
    waived = dashboard.data("/findings?state=waived")["rows"]
    assert {row["waiver"]["reason"] for row in waived} == {"until the course is over"}
    assert "waived until" in dashboard.page("/findings?state=waived")
    assert not any(row["waiver"] for row in dashboard.data("/findings")["rows"])


def test_runs_are_listed_and_each_task_on_each_host_is_shown(dashboard):
    data = dashboard.data("/runs")
    assert [run["number"] for run in data["runs"]] == list(range(RUNS, 0, -1))
    assert {run["errand"]["kind"] for run in dashboard.data("/runs?kind=apply")["runs"]} == {"apply"}
    assert any("ops @controller finished 47" in row for row in rows(dashboard.page("/runs")))
    visit = dashboard.page(f"/runs/{LAST_LOOK}/gpu009")
    assert any("✗ failed gpu_driver : Verify the driver" in row for row in rows(visit))
    assert "roles/gpu_driver/tasks/main.yml:4:3" in visit
    assert [each["task"]["module"] for each in dashboard.data(f"/runs/{LAST_LOOK}/gpu009?q=mirror")["results"]] == [
        "condarc", "pip_conf",
    ]  # fmt: skip


def test_two_hosts_are_compared_value_by_value(dashboard):
    data = dashboard.data("/compare?left=gpu001&right=gpu006")
    assert [".".join(row["path"]) for row in data["rows"]] == ["environments.nlp_train.packages.numpy"]
    page = dashboard.page("/compare?left=gpu001&right=gpu006")
    assert any("1.26.4" in row and "1.26.3" in row for row in rows(page))
    everything = dashboard.data("/compare?left=gpu001&right=gpu006&show=all&section=facts")
    assert [row["path"][1] for row in everything["rows"]] == ["cpus", "kernel", "memory_gib", "os"]
    assert "They are the same." in dashboard.page("/compare?left=gpu001&right=gpu001")


def test_two_times_of_a_host_are_compared(dashboard):
    host = next(h for h in (f"gpu{n:03}" for n in range(1, HOSTS)) if dashboard.data(f"/hosts/{h}")["steps"])
    step = dashboard.data(f"/hosts/{host}")["steps"][0]
    data = dashboard.data(f"/compare?left={host}&left_run={step['before']}&right={host}&right_run={step['run']}")
    assert [row["path"] for row in data["rows"]] == [each["path"] for each in step["changes"]]
    assert (data["left"]["run"], data["right"]["run"]) == (step["before"], step["run"])


@pytest.mark.parametrize(
    ("path", "status"),
    [("/hosts/nobody", 404), ("/runs/9999", 404), ("/runs/1/nobody", 404), ("/environments/none", 404),
     ("/static/x/style.css", 404), ("/nowhere", 404), ("/compare?left=nobody", 404),
     ("/runs/99999999999999999999", 400), ("/?page=x", 400), ("/?mark=purple", 400),
     ("/?q=" + "x" * 5000, 414), ("/runs?page=99999999999999999999", 400)],
)  # fmt: skip
def test_what_is_not_there_is_said(dashboard, path, status):
    answer = dashboard.ask(path)
    assert answer.status == status
    assert "</html>" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_history_without_any_run_has_pages_too(tmp_path):
    file = tmp_path / "empty.db"
    open_database(file).close()
    server = start(file)
    for path in ("/", "/findings", "/environments", "/gpus", "/runs", "/compare"):
        assert server.data(path) is not None
        assert "</html>" in server.page(path)
    stop(server)


def test_a_look_at_some_tasks_only_hides_nothing_and_a_newer_run_says_when_a_host_was_seen(tmp_path):
    file, fleet, now = tmp_path / "history.db", Fleet(9), datetime.now().astimezone()
    record(file, fleet, now - timedelta(days=30))
    fleet.snapshots["gpu009"]["gpus"]["driver"] = "550.54.15"  # a look at all would find it mended
    fleet.hosts.remove("gpu001")
    record(file, fleet, now, tags=("conda",))
    with open_history(file) as history:
        shown = {row.host: row for row in MATRIX.read(history, MATRIX.query()).rows}
    assert shown["gpu009"].mark == "error"
    assert (shown["gpu009"].run, shown["gpu001"].run) == (2, 1)
    assert [host for host, row in shown.items() if row.is_stale] == ["gpu001"]


def test_gpus_of_a_host_that_is_away_are_shown_as_they_were_and_not_as_well(tmp_path):
    file, fleet, now = tmp_path / "history.db", Fleet(3), datetime.now().astimezone()
    record(file, fleet, now - timedelta(hours=5))
    fleet.lost = {"gpu002"}
    record(file, fleet, now)
    server = start(file)
    by_host = {row["host"]: row for row in server.data("/gpus")["rows"]}
    assert {host: row["mark"] for host, row in by_host.items()} == {
        "gpu001": "same", "gpu002": "unreachable", "gpu003": "same",
    }  # fmt: skip
    assert (by_host["gpu002"]["run"], by_host["gpu003"]["run"]) == (1, 2)
    assert {row["host"] for row in server.data("/gpus?by=gpu&health=trouble")["rows"]} == {"gpu002"}
    (row,) = (row for row in rows(server.page("/gpus")) if row.startswith("gpu002"))
    assert "! unreachable connect to 10.0.0.4 port 22: Connection refused; this is what run 1 saw, " in row
    stop(server)
