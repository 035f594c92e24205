"""fleetenv lock: what it writes, when it refuses, what it says."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from rattler import LockFile

from fleetenv.conda.changes import Change, changes
from fleetenv.conda.channels import OFFICIAL_ALIAS
from fleetenv.conda.lock import CondaPackage, Lock, PlatformLock, fresh_lock, read_lock
from fleetenv.conda.relock import Wishes, relock, stale
from fleetenv.conda.spec import read_spec
from fleetenv.errors import InputError
from fleetenv.lab.channel import LabChannel
from fleetenv.lab.package import Package

from .machine import Machine, Project


def lock(project: Project, *packages: str, wishes: Wishes | None = None, **more: Any) -> Path:
    path = project.spec(*packages, **more)
    relock(read_spec(path), wishes or Wishes(pip_index=project.channel.simple))
    return path.with_suffix(".lock")


def test_py_rattler_reads_every_package_with_its_hash(project: Project) -> None:
    path = lock(project, "fleet-text", "pip", pip=("fleet-plots",))
    environment = LockFile.from_path(path).default_environment()
    assert environment
    platform = environment.platforms()[0]
    packages = environment.packages(platform) or []
    assert {each.name for each in packages} == {
        "python", "fleet-text", "fleet-tensor", "pip", "fleet-plots", "fleet-metrics",
    }  # fmt: skip
    for each in packages:
        file = each.location.removeprefix("file://")
        assert each.hashes
        assert each.hashes.sha256 == hashlib.sha256(Path(file).read_bytes()).digest()
    assert "__glibc=2.28" in platform.virtual_packages


def test_locking_again_gives_the_same_bytes(project: Project) -> None:
    path = lock(project, "fleet-text", "pip", pip=("fleet-plots",))
    before = path.read_bytes()
    assert lock(project, "fleet-text", "pip", pip=("fleet-plots",)).read_bytes() == before


def test_pip_takes_nothing_that_conda_provides(project: Project) -> None:
    # The index has a fleet-tensor 1.5, and fleet-plots wants one: conda's 1.1 is what it gets.
    path = lock(project, "fleet-tensor=1.1", "pip", pip=("fleet-plots",))
    locked = read_lock(path).platforms["linux-64"]
    assert {each.name for each in locked.pip} == {"fleet-plots", "fleet-metrics"}
    assert "fleet-tensor" in {each.name for each in locked.conda}


def test_a_pip_requirement_that_conda_s_version_does_not_meet_is_refused(project: Project) -> None:
    with pytest.raises(InputError) as caught:
        lock(project, "fleet-tensor=1.0", "pip", pip=("fleet-tensor>=1.5",))
    assert "nlp_train.yml:9:9: the pip section cannot be resolved for linux-64: " in str(caught.value)
    assert "fleet-tensor" in str(caught.value)


@pytest.mark.parametrize(
    ("package", "message"),
    [
        (
            "fleet-tensor=9",
            "nlp_train.yml:6:5: cannot be solved for linux-64: No candidates were found for fleet-tensor",
        ),
        ("fleet-tensor=>1", "nlp_train.yml:6:5: 'fleet-tensor=>1' is not written as conda understands it"),
        ("fleet-cuda=12.4", "; say which CUDA every host's driver supports: --cuda 12.4"),
    ],
)
def test_an_unsolvable_spec_is_told_where_and_why(project: Project, package: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        lock(project, package)
    assert message in str(caught.value)
    assert not (project.folder / "envs" / "nlp_train.lock").exists()


def test_what_is_not_said_stays_as_the_lock_has_it(project: Project) -> None:
    path = lock(project, "fleet-cuda=12.4", wishes=Wishes(cuda="12.8", glibc="2.31"))
    spec = read_spec(path.with_suffix(".yml"))
    relock(spec)
    locked = read_lock(path).platforms["linux-64"]
    assert {"__cuda=12.8", "__glibc=2.31"} <= set(locked.virtual_packages)
    assert stale(spec) is None
    assert stale(spec, Wishes(cuda="12.9")) == "it was made for other platforms or other hosts"


def test_a_lock_by_hand_or_by_pixi_is_stale_until_locked(project: Project) -> None:
    path = lock(project, "fleet-tensor")
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("#")))
    with pytest.raises(InputError, match="is stale"):
        fresh_lock(read_spec(path.with_suffix(".yml")))


def test_a_mirror_is_nowhere_in_the_lock(project: Project, web: Any, tmp_path: Path) -> None:
    site = tmp_path / "site" / "anaconda" / "cloud"
    site.mkdir(parents=True)
    (site / "conda-forge").symlink_to(project.channel.path)
    mirror = web(tmp_path / "site").url("anaconda").replace("//", "//user:secret@")
    path = project.spec("fleet-text", "pip", pip=("fleet-plots",))
    path.write_text(path.read_text().replace(project.channel.url, "conda-forge"))
    relock(read_spec(path), Wishes(mirror=mirror, pip_index=project.channel.simple))
    text = path.with_suffix(".lock").read_text()
    assert "secret" not in text
    assert "127.0.0.1" not in text
    assert f"{OFFICIAL_ALIAS}/conda-forge/noarch/fleet-text-1.0-pyh_0.conda" in text


def test_changes_name_old_and_new(project: Project) -> None:
    path = lock(project, "fleet-tensor=1.0", "pip", pip=("fleet-metrics==0.1",))
    old = read_lock(path)
    lock(project, "fleet-tensor=2.0", "fleet-libc", "pip", pip=("fleet-metrics==0.2",))
    assert changes(old, read_lock(path)) == (
        Change(("linux-64",), "fleet-libc", None, "1.0", "conda"),
        Change(("linux-64",), "fleet-metrics", "0.1", "0.2", "pip"),
        Change(("linux-64",), "fleet-tensor", "1.0", "2.0", "conda"),
    )


def test_a_change_of_build_file_or_channel_is_told_as_such() -> None:
    def locked(version: str, build: str, channel: str, sha256: str) -> Lock:
        url = f"https://conda.anaconda.org/{channel}/linux-64/x-{version}-{build}.conda"
        package = CondaPackage("x", version, build, channel, url, sha256, (), ())
        platforms = {name: PlatformLock(name, (), (package,), ()) for name in ("linux-64", "linux-aarch64")}
        return Lock(Path("x.lock"), None, platforms, "")

    old = locked("1.0", "h1_0", "main", "a" * 64)
    both = ("linux-64", "linux-aarch64")
    assert changes(old, locked("1.0", "h1_0", "main", "a" * 64)) == ()
    assert changes(old, locked("1.0", "h2_1", "main", "b" * 64)) == (Change(both, "x", "1.0 h1_0", "1.0 h2_1", "main"),)
    assert changes(old, locked("1.1", "h1_0", "conda-forge", "b" * 64)) == (
        Change(both, "x", "1.0", "1.1", "main -> conda-forge"),
    )
    assert changes(old, locked("1.0", "h1_0", "main", "b" * 64)) == (
        Change(both, "x", "1.0 h1_0 sha256:aaaaaaaa", "1.0 h1_0 sha256:bbbbbbbb", "main"),
    )


def test_the_command(project: Project, fleetenv_cli: Any) -> None:
    path = project.spec("fleet-tensor=1.0")
    assert fleetenv_cli("lock", "--check", path).stdout == f"{path.with_suffix('.lock')}: there is no lock\n"
    assert fleetenv_cli("lock", "--check", path).status == 1
    assert fleetenv_cli("lock", path).status == 0
    assert (fleetenv_cli("lock", "--check", path).status) == 0
    project.spec("fleet-tensor=2.0")
    done = fleetenv_cli("lock", "--check", path)
    assert (done.status, done.stdout) == (1, f"{path.with_suffix('.lock')}: the spec was changed after it was locked\n")
    done = fleetenv_cli("lock", path)
    assert done.stdout.splitlines()[-2:] == ["  package       old  new  channel", "  fleet-tensor  1.0  2.0  conda"]
    broken = project.spec("fleet-tensor=9", name="other")
    done = fleetenv_cli("lock", broken, path)
    assert done.status == 1
    assert done.stderr.startswith(f"fleetenv: {broken}:6:5: cannot be solved for linux-64: ")
    assert "Traceback" not in done.stderr
    assert "nlp_train.lock: linux-64: " in done.stdout


def versions(path: Path, platform: str = "linux-64") -> dict[str, str]:
    locked: PlatformLock = read_lock(path).platforms[platform]
    return {each.name: each.version for each in (*locked.conda, *locked.pip) if each.name.startswith("fleet-")}


def test_what_still_fits_stays_until_it_is_to_be_updated(project: Project, fleetenv_cli: Any) -> None:
    index = ("--pip-index", project.channel.simple)
    lock(project, "fleet-text", "fleet-tensor=1.1", "pip", pip=("fleet-metrics==0.1",))
    path = lock(project, "fleet-text", "fleet-data", "pip", pip=("fleet-plots",))  # no version is asked for any more
    assert versions(path) == {
        "fleet-tensor": "1.1", "fleet-text": "1.0", "fleet-data": "1.2", "fleet-plots": "1.0", "fleet-metrics": "0.1",
    }  # fmt: skip
    spec = path.with_suffix(".yml")
    done = fleetenv_cli("lock", spec, "--update", "Fleet_Tensor", *index)
    assert done.stdout.splitlines()[1:] == ["  package       old  new  channel", "  fleet-tensor  1.1  2.0  conda"]
    done = fleetenv_cli("lock", spec, "--update", "fleet-tenser", *index)
    assert (done.status, "no lock has a package 'fleet-tenser'; did you mean 'fleet-tensor'?" in done.stderr) == (
        1,
        True,
    )
    done = fleetenv_cli("lock", spec, "--update-all", *index)
    assert done.stdout.splitlines()[1:] == ["  package        old  new  channel", "  fleet-metrics  0.1  0.2  pip"]


def test_an_update_moves_what_would_hold_it_back_and_nothing_else(project: Project) -> None:
    lock(project, "fleet-text=0.9", "fleet-tensor=1.1", "fleet-data=1.0")
    path = lock(project, "fleet-text", "fleet-tensor", "fleet-data")
    assert versions(path) == {"fleet-text": "0.9", "fleet-tensor": "1.1", "fleet-data": "1.0"}
    relock(read_spec(path.with_suffix(".yml")), Wishes(update=("fleet-text",)))
    assert versions(path) == {"fleet-text": "1.0", "fleet-tensor": "1.1", "fleet-data": "1.0"}
    relock(read_spec(path.with_suffix(".yml")), Wishes(update=("fleet-tensor",)))  # fleet-data 1.0 needs one below 2
    assert versions(path) == {"fleet-text": "1.0", "fleet-tensor": "2.0", "fleet-data": "1.2"}


def test_a_locked_package_that_was_withdrawn_or_replaced_does_not_stay(tmp_path: Path, lab_channel: LabChannel) -> None:
    project = Project(tmp_path, copied(lab_channel, tmp_path / "channel"))
    package = project.channel.add_package("fleet-moody", "1.0")
    path = lock(project, "fleet-moody")
    before = read_lock(path).platforms["linux-64"].digest
    package.unlink()
    project.channel.add_package("fleet-moody", "1.0", files={"fleet_moody.py": "built again under the same name"})
    relock(read_spec(path.with_suffix(".yml")))
    after = read_lock(path).platforms["linux-64"]
    file = next(each for each in after.conda if each.name == "fleet-moody")
    assert after.digest != before
    assert file.sha256 == hashlib.sha256(package.read_bytes()).hexdigest()


def test_the_spec_says_which_hosts_there_are(project: Project) -> None:
    path = project.spec("fleet-cuda=12.4")
    text = path.read_text()
    path.write_text(text + 'fleetenv: {cuda: "12.4", glibc: "2.31"}\n')
    relock(read_spec(path))
    assert {"__cuda=12.4", "__glibc=2.31"} <= set(fresh_lock(read_spec(path)).platforms["linux-64"].virtual_packages)
    path.write_text(text + 'fleetenv: {cuda: "12.8", glibc: "2.31"}\n')
    with pytest.raises(InputError, match="is stale"):
        fresh_lock(read_spec(path))
    relock(read_spec(path), Wishes(cuda="12.6"))  # the command line counts more
    assert "__cuda=12.6" in fresh_lock(read_spec(path)).platforms["linux-64"].virtual_packages


def test_a_task_that_may_lock_says_which_hosts_there_are(machine: Machine, project: Project) -> None:
    path = project.spec("fleet-cuda=12.4").with_suffix(".lock")
    for cuda in ("12.4", "12.8"):
        project.task(machine, relock=True, cuda=cuda, glibc="2.31")
        assert {f"__cuda={cuda}", "__glibc=2.31"} <= set(read_lock(path).platforms["linux-64"].virtual_packages)
    before = path.stat().st_mtime_ns
    project.task(machine, relock=True)
    assert path.stat().st_mtime_ns == before


def copied(channel: LabChannel, folder: Path) -> LabChannel:
    """A channel of one's own, to add to and take from."""
    shutil.copytree(channel.path, folder / "conda", copy_function=os.link)
    shutil.copytree(channel.simple_path, folder / "simple")
    for page in (folder / "conda").rglob("repodata*"):
        page.unlink()
    return LabChannel(folder)


def test_one_lock_for_two_platforms_with_a_pip_part_for_each(tmp_path: Path, lab_channel: LabChannel) -> None:
    channel = copied(lab_channel, tmp_path / "channel")
    project = Project(tmp_path, channel)
    (tmp_path / "channel/conda/linux-aarch64").mkdir(exist_ok=True)
    channel.add(Package("python", "3.11.9", {}, subdir="linux-aarch64", noarch=None))
    wheel = channel.add_wheel("fleet-fast", "1.0")
    for machine in ("x86_64", "aarch64"):
        shutil.copy(wheel, wheel.with_name(f"fleet_fast-1.0-cp311-cp311-manylinux_2_17_{machine}.whl"))
    channel.add_wheel("fleet-fast", "0.9")  # the index is written again
    channel.add_wheel("fleet-many", "1.0", ("fleet-plots ; extra == 'plots'",))
    path = project.spec(
        "python=3.11", "fleet-tensor", "pip",
        pip=("fleet-fast>=1", "fleet-many[plots]", "fleet-metrics==0.1; platform_machine == 'aarch64'"),
    )  # fmt: skip
    path.write_text(
        path.read_text() + "fleetenv: {cuda: '12.4', platforms: {linux-64: , linux-aarch64: {cuda: none}}}\n"
    )
    relock(read_spec(path), Wishes(pip_index=channel.simple))
    lock = read_lock(path.with_suffix(".lock"))
    assert list(lock.platforms) == ["linux-64", "linux-aarch64"]
    assert ["__cuda=12.4" in each.virtual_packages for each in lock.platforms.values()] == [True, False]
    for _ in range(3):  # several platforms are told in one order
        assert relock(read_spec(path), Wishes(pip_index=channel.simple)).text == lock.text
    found = {
        name: {each.name: each.url.rpartition("/")[2] for each in locked.pip} for name, locked in lock.platforms.items()
    }
    assert found["linux-64"]["fleet-fast"].endswith("manylinux_2_17_x86_64.whl")
    assert found["linux-aarch64"]["fleet-fast"].endswith("manylinux_2_17_aarch64.whl")
    assert "fleet-plots" in found["linux-64"]  # through the extra
    assert found["linux-64"]["fleet-metrics"].startswith("fleet_metrics-0.2-")
    assert found["linux-aarch64"]["fleet-metrics"].startswith("fleet_metrics-0.1-")
    for locked in lock.platforms.values():
        for each in locked.pip:
            assert hashlib.sha256(Path(each.url.removeprefix("file://")).read_bytes()).hexdigest() == each.sha256


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on the web for a while; afterwards nobody answers there."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_cache_does_when_the_network_is_down(project: Project, fleetenv_cli: Any) -> None:
    path = project.spec("fleet-text", "pip", pip=("fleet-plots",))
    with served(project.channel.folder) as url:
        text = path.read_text().replace(project.channel.url, f"{url}/conda")
        path.write_text(text)
        words = ("lock", path, "--pip-index", f"{url}/simple")
        assert fleetenv_cli(*words).status == 0
    before = path.with_suffix(".lock").read_bytes()
    path.with_suffix(".lock").unlink()
    done = fleetenv_cli(*words, "--offline")
    assert (done.status, done.stderr.count("note:")) == (0, 0), done.stderr
    assert path.with_suffix(".lock").read_bytes() == before
    path.with_suffix(".lock").unlink()
    done = fleetenv_cli(*words)
    assert done.status == 0, done.stderr
    assert f"note: cannot read the channels ({url}/conda): " in done.stderr
    assert "; used what was cached before instead" in done.stderr
    assert path.with_suffix(".lock").read_bytes() == before
    done = fleetenv_cli("outdated", *words[1:], "--offline")
    assert (done.status, done.stdout) == (0, f"{path.with_suffix('.lock')}: all is the newest\n")
    path.write_text(text.replace(f"{url}/conda", f"{url}/other"))
    done = fleetenv_cli(*words, "--offline")
    assert (done.status, "offline, only channels that were read before can be used" in done.stderr) == (1, True)


def test_a_private_channel_s_token_is_used_and_never_written(
    project: Project, tmp_path: Path, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "site" / "t" / "s3cret-token"
    private.mkdir(parents=True)
    (private / "lab").symlink_to(project.channel.path)
    site = web(tmp_path / "site")
    path = project.spec("fleet-tensor")
    path.write_text(path.read_text().replace(project.channel.url, site.url("t/${LAB_TOKEN}/lab")))
    with pytest.raises(InputError, match=r"nlp_train\.yml:3:5: the channel's variable LAB_TOKEN is not set"):
        relock(read_spec(path))
    monkeypatch.setenv("LAB_TOKEN", "s3cret-token")
    relock(read_spec(path))
    text = path.with_suffix(".lock").read_text()
    assert "s3cret" not in text
    assert f"conda: {site.url('lab/noarch/fleet-tensor-2.0-pyh_0.conda')}" in text
    monkeypatch.setenv("LAB_TOKEN", "wr0ng-token")
    path.write_text(path.read_text().replace("/lab", "/other"))
    with pytest.raises(InputError) as caught:
        relock(read_spec(path))
    assert "cannot read the channels" in str(caught.value)
    assert "wr0ng" not in str(caught.value)


_BACKEND = """\
import zipfile

NAME = "fleet_commit-0.3-py3-none-any.whl"
META = "Metadata-Version: 2.1\\nName: fleet-commit\\nVersion: 0.3\\nRequires-Dist: fleet-metrics\\n"


def build_wheel(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{folder}/{NAME}", "w") as wheel:
        info = "fleet_commit-0.3.dist-info"
        wheel.writestr("fleet_commit.py", "")
        wheel.writestr(f"{info}/METADATA", META)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return NAME
"""


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_a_commit_of_a_git_repository_is_locked_and_installed_by_its_hash(
    machine: Machine, project: Project, tmp_path: Path, web: Any
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "backend.py").write_text(_BACKEND)
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", "-C", str(source)]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "One"], ["branch", "one"]):
        subprocess.run([*git, *words], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Two"], check=True)
    subprocess.run([*git, "update-server-info"], check=True)
    commit = subprocess.run([*git, "rev-parse", "one"], check=True, capture_output=True, text=True).stdout.strip()
    url = f"git+{web(source).url('.git')}@{commit}"
    path = project.spec("pip", pip=(f"fleet-commit @ {url}",))
    path.write_text(path.read_text() + "fleetenv: {allow_vcs: true}\n")
    relock(read_spec(path), Wishes(pip_index=project.channel.simple))
    pip = {each.name: each for each in fresh_lock(read_spec(path)).platforms["linux-64"].pip}
    assert set(pip) == {"fleet-commit", "fleet-metrics"}
    assert (pip["fleet-commit"].version, pip["fleet-commit"].url, pip["fleet-commit"].sha256) == ("0.3", url, "")
    machine.apply(project.task(machine))
    told = machine.python(
        "from importlib import metadata as m; print(m.distribution('fleet-commit').read_text('direct_url.json'))"
    )
    assert commit in told
