"""The module miniconda, by `fleetenv apply` on this machine: installed once, mended, adopted, upgraded, removed."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from fleetenv.lab.channel import LabChannel
from fleetenv.lab.installer import Installer, build_installer
from fleetenv.modules.miniconda import PreparedMiniconda
from fleetenv.remote import Run
from fleetenv.shell.answer import parse_progress
from fleetenv.state import compare
from tests.conftest import WebFactory
from tests.miniconda.conftest import CutMirror, Site


def install_by_hand(installer: Installer, prefix: Path) -> None:
    subprocess.run(["sh", installer.path, "-b", "-p", prefix], check=True, capture_output=True)


def make_environment(site: Site, name: str) -> Path:
    """Make what counts as an environment: a prefix with conda's history in it."""
    env = site.prefix / "envs" / name
    (env / "conda-meta").mkdir(parents=True)
    (env / "conda-meta/history").touch()
    return env


def mirror_of(installer: Installer) -> str:
    return installer.path.parent.as_uri()


def leave_half_finished(site: Site) -> None:
    """Bring an installation into the state in which a killed run leaves it."""
    notes = site.prefix / ".fleetenv/miniconda"
    notes.mkdir(parents=True, exist_ok=True)
    (notes / "started").write_text("fresh\n")
    (notes / "finished").unlink(missing_ok=True)
    shutil.rmtree(site.prefix / "conda-meta", ignore_errors=True)


def test_it_is_installed_once(site: Site, installer: Installer) -> None:
    first = site.apply(installer=str(installer.path), sha256=installer.sha256)
    assert (first["status"], first["msg"]) == ("changed", "")
    assert site.conda("--version") == f"conda {installer.conda_version}"
    assert not list((site.prefix / ".fleetenv/miniconda").glob("*.sh"))
    assert site.apply(installer=str(installer.path), sha256=installer.sha256)["status"] == "ok"


def test_check_mode_tells_and_touches_nothing(site: Site, installer: Installer) -> None:
    assert site.apply("--check", installer=str(installer.path))["status"] == "changed"
    assert not site.prefix.exists()


def test_a_run_that_changes_nothing_starts_no_python(site: Site, installer: Installer) -> None:
    site.apply(installer=str(installer.path))
    told = site.folder / "started"
    for program in ("python", "conda"):
        (site.prefix / "bin" / program).unlink()
        (site.prefix / "bin" / program).write_text(f"#!/bin/sh\necho {program} >>{told}\n")
        (site.prefix / "bin" / program).chmod(0o755)
    assert site.apply(installer=str(installer.path))["status"] == "ok"
    assert not told.exists()


def test_mirrors_are_tried_in_order_and_wrong_bytes_are_dropped(site: Site, lab: Installer) -> None:
    bad = site.folder / "bad"
    bad.mkdir()
    (bad / lab.path.name).write_text("#!/bin/sh\ntouch '" + str(site.folder / "ran") + "'\n")
    mirrors = ["file:///nowhere", bad.as_uri(), mirror_of(lab)]
    assert site.apply(installer=lab.version, mirrors=mirrors, sha256=lab.sha256)["status"] == "changed"
    assert not (site.folder / "ran").exists()
    assert site.conda("--version") == f"conda {lab.conda_version}"


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_when_all_mirrors_fail_every_reason_is_told(site: Site, lab: Installer) -> None:
    page = site.folder / "page"
    page.mkdir()
    (page / lab.path.name).write_text("<html>please log in</html>")
    mirrors = ["file:///nowhere", page.as_uri(), "http://user:s3cret@127.0.0.1:9/miniconda"]
    result = site.apply(installer=lab.version, mirrors=mirrors)
    assert result["status"] == "failed"
    assert "no place has the installer: file:///nowhere/" in result["msg"]
    assert f"{page.as_uri()}/{lab.path.name}: it is not an installer" in result["msg"]
    assert f"http://127.0.0.1:9/miniconda/{lab.path.name}: curl: (7)" in result["msg"]
    assert "s3cret" not in result["msg"]
    assert not (site.prefix / "conda-meta").exists()


def test_an_installer_with_another_hash_never_runs(site: Site, lab: Installer) -> None:
    wrong = hashlib.sha256(b"another").hexdigest()
    result = site.apply(installer=lab.version, mirrors=[mirror_of(lab)], sha256=wrong)
    assert result["status"] == "failed"
    assert f"its sha256 is {lab.sha256}, not {wrong}" in result["msg"]
    assert not (site.prefix / "pkgs").exists()
    assert f"the sha256 of {lab.path} is {lab.sha256}, not {wrong}" in site.refuse(
        installer=str(lab.path), sha256=wrong
    )


def test_a_download_that_broke_off_is_resumed(site: Site, installer: Installer, cut_mirror: CutMirror) -> None:
    url = f"{cut_mirror.url}/{installer.path.name}"
    assert site.apply(installer=url, sha256=installer.sha256)["status"] == "failed"
    half = installer.path.stat().st_size // 2
    assert (site.prefix / ".fleetenv/miniconda/part").stat().st_size == half
    assert site.apply(installer=url, sha256=installer.sha256)["status"] == "changed"
    assert cut_mirror.ranges == [None, f"bytes={half}-"]


def test_a_server_that_cannot_resume_is_asked_for_the_whole(site: Site, installer: Installer, web: WebFactory) -> None:
    served = web(installer.path.parent)
    notes = site.prefix / ".fleetenv/miniconda"
    notes.mkdir(parents=True)
    (notes / "part").write_bytes(installer.path.read_bytes()[:100_000])
    assert site.apply(installer=served.url(installer.path.name), sha256=installer.sha256)["status"] == "changed"


@pytest.mark.skipif(not shutil.which("wget"), reason="needs wget")
def test_wget_will_do(site: Site, installer: Installer, web: WebFactory) -> None:
    served = web(installer.path.parent)
    tools = site.folder / "tools"
    tools.mkdir()
    for folder in ("/bin", "/usr/bin"):
        for program in Path(folder).iterdir():
            if program.name != "curl" and not (tools / program.name).exists():
                (tools / program.name).symlink_to(program)
    url = served.url(installer.path.name.replace("x86_64", "{arch}"))
    result = site.apply(environment={"PATH": str(tools)}, installer=url, sha256=installer.sha256)
    assert result["status"] == "changed", result["msg"]


def test_a_long_download_tells_how_far_it_is(site: Site, installer: Installer, slow_mirror: str) -> None:
    module = PreparedMiniconda(prefix=str(site.prefix), installer=f"{slow_mirror}/x.sh", sha256=installer.sha256)
    (step,) = module.converge(compare(module.desired(None), None))
    assert isinstance(step, Run)
    done = subprocess.run(["sh", "-c", step.script], capture_output=True, check=True)
    told = [parse_progress(line) for line in done.stderr.splitlines()]
    bytes_told = [each[0] for each in told if each and each[2] == "bytes downloaded"]
    assert bytes_told
    assert bytes_told == sorted(bytes_told)
    assert 0 < bytes_told[0] < installer.path.stat().st_size


@pytest.mark.parametrize("after", [0.3, 0.5, 0.7, 0.9, 1.2, 1.6, 2.0])
def test_a_run_that_is_killed_at_any_moment_is_mended_by_the_next(
    site: Site, installer: Installer, after: float
) -> None:
    words = site.write(installer=str(installer.path), sha256=installer.sha256)
    run = site.cli.start(*words, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        run.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    result = site.apply(installer=str(installer.path), sha256=installer.sha256)
    assert result["status"] in ("changed", "ok"), result["msg"]
    assert site.conda("--version") == f"conda {installer.conda_version}"
    assert site.apply(installer=str(installer.path), sha256=installer.sha256)["status"] == "ok"


def test_the_shell_of_a_killed_run_may_finish_with_the_installer_that_the_next_one_has_sent(
    site: Site, installer: Installer
) -> None:
    site.apply(installer=str(installer.path))
    module = PreparedMiniconda(
        prefix=str(site.prefix), installer=str(installer.path), pushed=str(installer.path), digest=installer.sha256
    )
    *_, step = module.converge(compare(module.desired(None), None))
    assert isinstance(step, Run)
    subprocess.run(["sh", "-c", step.script], check=True)
    assert site.apply(installer=str(installer.path))["status"] == "ok"


def test_a_half_finished_installation_is_removed_and_made_again(site: Site, installer: Installer) -> None:
    site.apply(installer=str(installer.path))
    leave_half_finished(site)
    (site.prefix / "left-over").touch()
    result = site.apply(installer=str(installer.path))
    assert result["status"] == "changed"
    assert "half-finished" in str(result["diff"])
    assert not (site.prefix / "left-over").exists()
    assert site.conda("--version") == f"conda {installer.conda_version}"


def test_a_half_finished_installation_with_environments_is_mended_around_them(site: Site, installer: Installer) -> None:
    site.apply(installer=str(installer.path))
    env = make_environment(site, "nlp_train")
    leave_half_finished(site)
    assert site.apply(installer=str(installer.path))["status"] == "changed"
    assert (env / "conda-meta/history").exists()
    assert site.conda("--version") == f"conda {installer.conda_version}"


def test_a_broken_installation_is_mended(site: Site, installer: Installer) -> None:
    site.apply(installer=str(installer.path))
    (site.prefix / "bin/python").unlink()
    assert site.apply(installer=str(installer.path))["status"] == "changed"
    assert (site.prefix / "bin/python").exists()


def test_an_installation_of_somebody_else_is_adopted_as_it_is(site: Site, installer: Installer) -> None:
    install_by_hand(installer, site.prefix)
    before = (site.prefix / "conda-meta/history").read_bytes()
    adopted = site.apply(installer="py312_26.1.0-0", mirrors=["file:///nowhere"])
    assert adopted["status"] == "changed"
    assert "unverified" in str(adopted["diff"])
    assert (site.prefix / "conda-meta/history").read_bytes() == before
    assert site.apply(installer="py312_26.1.0-0", mirrors=["file:///nowhere"])["status"] == "ok"


def test_another_version_is_installed_only_if_an_upgrade_is_asked_for(
    site: Site, lab: Installer, channel: LabChannel, installers: Path
) -> None:
    newer = build_installer(channel, installers, "24.11.0")
    site.apply(installer=str(lab.path))
    env = make_environment(site, "nlp_train")
    assert site.apply(installer=str(newer.path))["status"] == "ok"
    assert site.apply(installer=str(newer.path), upgrade=True)["status"] == "changed"
    assert site.conda("--version") == "conda 24.11.0"
    assert (env / "conda-meta/history").exists()
    assert site.apply(installer=str(lab.path), upgrade=True)["status"] == "ok"


def test_hosts_that_share_a_prefix_install_it_once(site: Site, installer: Installer, web: WebFactory) -> None:
    served = web(installer.path.parent)
    url = served.url(installer.path.name)
    site.hosts = ("gpu01", "gpu02", "gpu03")
    assert site.apply(installer=url)["status"] == "changed"
    assert len(served.requests) == 1
    assert site.apply(installer=url)["status"] == "ok"


def test_absent_removes_it(site: Site, installer: Installer) -> None:
    site.apply(installer=str(installer.path))
    assert site.apply(state="absent")["status"] == "changed"
    assert not site.prefix.exists()
    assert site.apply(state="absent")["status"] == "ok"


def test_absent_refuses_while_environments_live_in_it(site: Site, installer: Installer) -> None:
    site.apply(installer=str(installer.path))
    make_environment(site, "nlp_train")
    refused = site.apply(state="absent")
    assert refused["status"] == "failed"
    assert "is in use, environments live in it: nlp_train" in refused["msg"]
    assert site.apply("--check", state="absent")["status"] == "failed"
    assert site.apply(state="absent", force=True)["status"] == "changed"
    assert not site.prefix.exists()


def test_what_an_environment_leaves_when_it_is_gone_is_no_environment(site: Site, installer: Installer) -> None:
    site.apply(installer=str(installer.path))
    (site.prefix / "envs/.fleetenv/nlp_train").mkdir(parents=True)
    (site.prefix / "envs/.fleetenv/lock").touch()
    assert site.apply(state="absent")["status"] == "changed"


def test_a_generation_that_a_job_may_still_use_is_an_environment(site: Site, installer: Installer) -> None:
    site.apply(installer=str(installer.path))
    make_environment(site, ".fleetenv/nlp_train/0003-9f2c41aa")
    assert "environments live in it: nlp_train" in site.apply(state="absent")["msg"]


def test_absent_refuses_while_processes_run_from_it(site: Site, installer: Installer) -> None:
    site.apply(installer=str(installer.path))
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [site.prefix / "bin/python", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as job:
        assert job.stdout is not None
        assert job.stdin is not None
        assert job.stdout.readline() == "up\n"
        refused = site.apply(state="absent")
        assert refused["status"] == "failed"
        assert f"processes live in it: {job.pid} python" in refused["msg"]
        job.stdin.close()
    assert site.apply(state="absent")["status"] == "changed"


def test_a_folder_with_something_else_is_left_alone(site: Site, installer: Installer) -> None:
    site.prefix.mkdir()
    (site.prefix / "thesis.tex").write_text("years of work")
    for arguments in ({"installer": str(installer.path)}, {"state": "absent"}):
        refused = site.apply(**arguments)
        assert refused["status"] == "failed"
        assert "is no conda installation" in refused["msg"]
    assert "removes only those" in site.apply(state="absent", force=True)["msg"]
    assert (site.prefix / "thesis.tex").read_text() == "years of work"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="changing owners needs root")
def test_the_owner_owns_all_of_it(site: Site, installer: Installer) -> None:
    site.apply(installer=str(installer.path), owner="daemon")
    assert {site.prefix.owner(), (site.prefix / "bin/python").owner()} == {"daemon"}
    os.chown(site.prefix, 0, 0)
    assert site.apply(installer=str(installer.path), owner="daemon")["status"] == "changed"
    assert site.prefix.owner() == "daemon"
    assert site.apply(installer=str(installer.path), owner="daemon")["status"] == "ok"


TERMS = """#!/bin/sh
# stands in for conda with its terms-of-service plugin, which needs a network
[ "$*" = --version ] && { echo conda 25.5.0; exit; }
echo "$*" >"@PREFIX@/asked"
for h in 3c9d068aa053e2a1c4313fe3391b7a8ee57c4fbd09c4e8aeae49ef333a740150 \\
  8c054ac91082b2ed4862701ed278dc96a78db796db69dedc296e13baab307527; do
  mkdir -p "@PREFIX@/conda-meta/tos/$h"; echo '{"tos_accepted": true}' >"@PREFIX@/conda-meta/tos/$h/1.json"
done
"""


def test_terms_of_service_are_accepted_only_if_the_task_says_so(site: Site, lab: Installer) -> None:
    site.apply(installer=str(lab.path))
    (site.prefix / "conda-meta/conda-anaconda-tos-0.2.1-py311h06a4308_0.json").write_text("{}")
    (site.prefix / "bin/conda").unlink()
    (site.prefix / "bin/conda").write_text(TERMS.replace("@PREFIX@", str(site.prefix)))
    (site.prefix / "bin/conda").chmod(0o755)
    assert site.apply(installer=str(lab.path))["status"] == "ok"
    accepted = site.apply(installer=str(lab.path), accept_tos=True)
    assert accepted["status"] == "changed"
    assert "not accepted" in str(accepted["diff"])
    assert (site.prefix / "asked").read_text().startswith("tos accept --system --override-channels --channel https://")
    assert site.apply(installer=str(lab.path), accept_tos=True)["status"] == "ok"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prefix": "/opt/mini conda", "installer": "latest"}, "Miniconda refuses spaces"),
        ({"prefix": "/opt", "installer": "latest"}, "must be a folder of its own"),
        ({"prefix": "miniconda3", "installer": "latest"}, "must be a folder of its own"),
        ({"installer": "latest", "sha256": "abc"}, "'sha256' must be 64 hexadecimal digits"),
        ({"installer": "latest", "sha256": {"arm": "0" * 64}}, "'sha256' is by architecture"),
        ({"installer": "latest", "mirrors": ["tunna"]}, "did you mean 'tuna'?"),
        ({"installer": "htps://x/y.sh"}, "cannot be the URL of an installer"),
        ({"installer": "latest", "owner": "ops:gpu"}, "'owner' must be a user's name"),
        ({}, "'installer' is needed"),
        ({"installer": "no-such-installer.sh"}, "no-such-installer.sh"),
        ({"installer": "latest", "instaler": "x"}, "did you mean 'installer'?"),
    ],
)
def test_what_no_host_could_do_is_refused_before_any(site: Site, arguments: dict[str, object], message: str) -> None:
    assert message in site.refuse(**arguments)
