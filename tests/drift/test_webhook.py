"""New drift, told to a real HTTP server: what is posted, and what is not, and that the URL stays secret."""

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleetenv.drift.survey import drift_report
from fleetenv.errors import InputError
from fleetenv.report.drift.news import NewsForm, drift_news, new_findings, tell
from fleetenv.report.webhook import Webhook, WebhookFailed, find_webhook

from .fleets import HOSTILE, four_hosts
from .looks import every_kind, hostile_findings, many_kinds

SECRET = "T0K3N-of-nobody"


class Server(ThreadingHTTPServer):
    """Answers each request with the next of `answers`: a status, or None for a connection that just ends."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[int | None] = []
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks/{SECRET}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers), body))
        answer = self.server.answers.pop(0) if self.server.answers else 200
        if answer is not None:
            self.send_response(answer)
            self.send_header("Location", f"{self.server.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def hook(server: Server) -> Webhook:
    return Webhook(server.url, pauses=(0, 0))


def test_what_is_posted_arrives_as_json(server):
    hook(server).post({"new": 1, "text": "ä"})
    ((path, headers, body),) = server.requests
    assert path == f"/hooks/{SECRET}"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"new": 1, "text": "ä"}


@pytest.mark.parametrize("answers", [[500], [None], [429, 503]])
def test_a_server_in_trouble_is_asked_again(server, answers):
    server.answers = list(answers)
    hook(server).post({})
    assert len(server.requests) == len(answers) + 1


@pytest.mark.parametrize(
    ("answers", "requests", "why"),
    [
        ([500, 502, 503, 200], 3, "HTTP 503"),
        ([404], 1, "HTTP 404"),
        ([302], 1, "HTTP 302"),  # a redirect would take it elsewhere
        ([None, None, None, 200], 3, "RemoteDisconnected|Connection"),
    ],
)
def test_a_refusal_is_told_without_the_secret(server, answers, requests, why):
    server.answers = list(answers)
    with pytest.raises(WebhookFailed, match=why) as caught:
        hook(server).post({})
    assert len(server.requests) == requests
    assert "at http://127.0.0.1 was not told" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_server_that_is_not_there_is_told_without_the_secret():
    with pytest.raises(WebhookFailed, match="refused") as caught:
        Webhook(f"http://127.0.0.1:1/{SECRET}", pauses=(0,)).post({})
    assert SECRET not in str(caught.value)


def test_a_server_that_never_answers_is_given_up():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        hook = Webhook(f"http://127.0.0.1:{silent.getsockname()[1]}/{SECRET}", pauses=(), timeout=0.05)
        with pytest.raises(WebhookFailed, match="no answer in time"):
            hook.post({})


def test_an_account_in_the_url_is_sent_as_basic_authentication(server):
    Webhook(server.url.replace("//", "//ops:p%40ss@"), pauses=()).post({})
    assert server.requests[0][1]["Authorization"] == "Basic b3BzOnBAc3M="


@pytest.mark.parametrize(
    "url", ["", "hooks.example/x", f"ftp://h/{SECRET}", f"http:///{SECRET}", f"http://h:x/{SECRET}",
            f"http://h/ {SECRET}", f"http://h/\r\nX: {SECRET}", f"file:///etc/{SECRET}"],
)  # fmt: skip
def test_what_is_no_url_is_refused_before_any_host_is_asked(url):
    with pytest.raises(InputError, match="no URL of http or https") as caught:
        Webhook(url)
    assert SECRET not in str(caught.value)


def test_the_url_comes_from_the_command_line_a_file_or_the_environment(tmp_path):
    (tmp_path / "url").write_text(f"https://file.example/{SECRET}\n")

    def environment():
        return {"FLEETENV_WEBHOOK": f"https://environment.example/{SECRET}\n"}

    assert repr(find_webhook(f"https://line.example/{SECRET}", environment())) == "Webhook('https://line.example')"
    assert repr(find_webhook(f"@{tmp_path}/url", environment())) == "Webhook('https://file.example')"
    inherited = environment()
    assert repr(find_webhook(None, inherited)) == "Webhook('https://environment.example')"
    assert inherited == {}  # not by programs that are started
    assert find_webhook(None, {}) is None
    with pytest.raises(InputError, match="cannot read"):
        find_webhook(f"@{tmp_path}/none", {})


def test_only_new_drift_is_told_and_a_failure_is_a_warning(server):
    report, stream = drift_report(four_hosts()), io.StringIO()
    tell(hook(server), NewsForm.JSON, report, {each.identity for each in report.findings}, stream)
    tell(hook(server), NewsForm.JSON, replace(report, interrupted=True), None, stream)
    assert server.requests == []
    tell(hook(server), NewsForm.JSON, report, {each.identity for each in report.findings[1:]}, stream)
    assert [each["host"] for each in json.loads(server.requests[0][2])["new_findings"]] == ["gpu02"]
    assert stream.getvalue() == ""
    server.answers = [403]
    tell(hook(server), NewsForm.SLACK, report, None, stream)
    assert stream.getvalue() == (
        "fleetenv: warning: the webhook at http://127.0.0.1 was not told: it answered with HTTP 403\n"
    )


def test_only_what_counts_and_was_not_there_before_is_new():
    report = every_kind()
    everything = new_findings(report, None)
    assert {each.severity for each in everything} == {"error", "warning"}
    assert "GPU 5" not in {each.subject for each in everything}  # it is waived
    before = {each.identity for each in drift_report(four_hosts()).findings}
    assert [(each.host, each.subject) for each in new_findings(report, before)] == [
        ("gpu01", "nlp_train: numpy"),
        ("gpu02", "nlp_train: numpy"),
        ("gpu03", "GPU 3"),
        ("gpu03", "facts: glibc"),
    ]
    assert new_findings(report, {each.identity for each in report.findings}) == ()


def test_programs_get_the_new_findings_in_full():
    report = every_kind()
    document = drift_news(report, new_findings(report, None)[:2], NewsForm.JSON)
    assert {key: document[key] for key in ("format", "version", "hosts", "findings", "new")} == {
        "format": "fleetenv.drift.news",
        "version": 1,
        "hosts": 4,
        "findings": 8,
        "new": 2,
    }
    assert document["new_findings"][0]["advice"].startswith("fleetenv apply")


def test_slack_gets_a_short_message_for_people():
    report = every_kind()
    text = drift_news(report, new_findings(report, None), NewsForm.SLACK)["text"]
    assert text.startswith(
        "*Drift: 8 new findings* (3 errors, 5 warnings) on 4 hosts; 8 in all on 4 hosts, `playbooks/"
    )
    assert "\n• *error* `gpu03` `GPU 3` (simulated): `12 uncorrected ECC errors`\n      `drain the host" in text
    assert "`fleetenv apply playbooks/site.yml -i inventories/lab -l gpu01,gpu02 -t conda`" in text


def test_a_message_about_a_fleet_in_flames_stays_short():
    report = many_kinds(400)
    text = drift_news(report, new_findings(report, None), NewsForm.SLACK)["text"]
    assert len(text) < 4000
    assert text.count("\n• ") <= 12


def test_a_host_cannot_mention_link_or_break_out_in_a_chat():
    report = hostile_findings([HOSTILE, "<!channel> <https://evil.example|click> `@here` *bold*"])
    text = drift_news(report, new_findings(report, None), NewsForm.SLACK)["text"]
    assert "<" not in text
    assert all(char.isprintable() or char == "\n" for char in text)
    for line in text.splitlines():
        assert line.count("`") % 2 == 0
        assert not any("@here" in each or "*bold" in each for each in line.split("`")[::2])


def test_a_user_is_told_once_of_new_drift_and_the_url_is_kept_nowhere(
    embedded_fleet, fleetenv_cli, tmp_path, server, monkeypatch
):
    fleet = embedded_fleet(("gpu01", "gpu02"))
    playbook = tmp_path / "site.yml"
    playbook.write_text(PLAYBOOK)
    assert fleetenv_cli("apply", playbook, "-i", fleet.inventory).status == 0

    def drift(*words):
        done = fleetenv_cli("drift", playbook, "-i", fleet.inventory, *words)
        told, server.requests = [json.loads(body) for _, _, body in server.requests], []
        assert SECRET not in done.stdout + done.stderr
        return done, told

    assert drift("--webhook", server.url)[1] == []
    (Path(fleet["gpu02"].variables["lab_root"]) / "motd").write_text("edited\n")
    done, (told,) = drift("--webhook", server.url, "-o", "/dev/full")
    assert (done.status, [each["host"] for each in told["new_findings"]]) == (1, ["gpu02"])
    assert done.stderr == "fleetenv: cannot write /dev/full: No space left on device\n"
    assert drift("--webhook", server.url, "-o", tmp_path / "page.html")[1] == []  # it is known
    (Path(fleet["gpu01"].variables["lab_root"]) / "motd").write_text("edited\n")
    assert "<figure>" in (tmp_path / "page.html").read_text()  # what earlier looks found
    (tmp_path / "url").write_text(server.url)
    server.answers = [404]
    done, _ = drift(f"--webhook=@{tmp_path}/url", "--webhook-format", "slack")
    assert done.status == 2
    assert done.stderr == "fleetenv: warning: the webhook at http://127.0.0.1 was not told: it answered with HTTP 404\n"
    databases = list(tmp_path.rglob("history.db*"))
    assert databases
    assert not [file for file in databases if SECRET.encode() in file.read_bytes()]


PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - copy: {dest: "{{ lab_root }}/motd", content: "welcome\\n", mode: "0644"}
"""
