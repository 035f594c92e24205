"""export: what other tools make of an environment is what the lock says; built here, as far as it can be."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from fleetenv.conda.export import FORMATS, Locked, in_order, locked_for, render
from fleetenv.conda.lock import CondaPackage, PipPackage, fresh_lock
from fleetenv.conda.spec import read_spec

from .machine import Project

# A stand-in for micromamba: it installs an explicit list with py-rattler, as `micromamba create --file` does.
STANDIN = """\
#!{python}
import asyncio, os, sys
from pathlib import Path
from rattler import RepoDataRecord, install
from rattler.explicit_environment import ExplicitEnvironmentSpec
from urllib.parse import urlsplit
words = sys.argv[1:]
assert words[:3] == ["create", "--yes", "--quiet"], words
prefix, listed = words[words.index("--prefix") + 1], words[words.index("--file") + 1]
urls = [each.url for each in ExplicitEnvironmentSpec.from_path(Path(listed)).packages]
async def main():
    records = []
    for url in urls:
        record = await RepoDataRecord.from_package_archive(urlsplit(url).path)
        record.url, record.channel = url.partition("#")[0], url.rpartition("/")[0].rpartition("/")[0]
        records.append(record)
    await install(records, prefix)
asyncio.run(main())
os._exit(0)  # py-rattler's threads may still be at work: an orderly end can crash (seen with 0.28)
"""


@pytest.fixture
def locked(project: Project) -> Locked:
    path = project.lock("fleet-text", "pip", pip=("fleet-plots",), MODE='a "$b" \\c')
    text = path.read_text().replace("  - pip:\n", f"  - pip:\n      - --index-url {project.channel.simple}\n")
    path.write_text(text)
    from fleetenv.conda.relock import relock

    spec = read_spec(path)
    return locked_for(spec, relock(spec), None)


@pytest.fixture
def shell(tmp_path: Path) -> Any:
    """Runs shell lines with a stand-in for micromamba on PATH."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "micromamba").write_text(STANDIN.format(python=sys.executable))
    (programs / "micromamba").chmod(0o755)

    def run(script: str, **variables: str) -> str:
        environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), **variables}
        done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def moved(script: str, tmp_path: Path) -> str:
    """Let a script use another folder than that of the container that it is for."""
    return re.sub(r"/(?:tmp|opt)/(?=envs/|explicit\.txt|requirements\.txt)", f"{tmp_path}/", script)


def installed(prefix: Path) -> dict[str, str]:
    found = (path.stem.rsplit("-", 2) for path in (prefix / "conda-meta").glob("*.json"))
    return {name: f"{version} {build}" for name, version, build in found}


def wanted(locked: Locked) -> dict[str, str]:
    return {each.name: f"{each.version} {each.build}" for each in locked.platform.conda}


def test_the_explicit_list_and_the_requirements_build_the_same_environment(
    locked: Locked, shell: Any, tmp_path: Path
) -> None:
    explicit = render("explicit", locked)
    for line, package in zip(
        explicit.partition("@EXPLICIT\n")[2].splitlines(), in_order(locked.platform.conda), strict=True
    ):
        # conda's own pattern for such a line, conda/misc.py of 24.9
        pattern = r"(?:.+[/\\])?[^/\\#]+(?:\.tar\.bz2|\.conda)(?:#(?:[0-9a-f]{32}|(?:sha256:)?([0-9a-f]{64})))"
        match = re.fullmatch(pattern, line)
        assert match
        assert match[1] == package.sha256
    for line in render("explicit-md5", locked).partition("@EXPLICIT\n")[2].splitlines():
        path, _, md5 = line.removeprefix("file://").partition("#")
        assert hashlib.md5(Path(path).read_bytes()).hexdigest() == md5
    (tmp_path / "explicit.txt").write_text(explicit)
    (tmp_path / "requirements.txt").write_text(render("requirements", locked))
    shell("micromamba create --yes --quiet --prefix env --file explicit.txt")
    assert installed(tmp_path / "env") == wanted(locked)
    shell("env/bin/python -m pip install -q --no-deps --require-hashes -r requirements.txt")
    assert "#" in shell("env/bin/fleet-plots")


def test_the_environment_yml_says_exactly_the_same(locked: Locked, tmp_path: Path) -> None:
    text = render("environment.yml", locked)
    (tmp_path / "exact.yml").write_text(text)
    document = yaml.safe_load(text)
    assert document["name"] == "nlp_train"
    assert document["variables"] == {"MODE": 'a "$b" \\c'}
    spec = read_spec(tmp_path / "exact.yml")
    assert sorted(each.text for each in spec.conda) == sorted(
        f"{each.name}={each.version}={each.build}" for each in locked.platform.conda
    )
    assert {each.text for each in spec.pip} == {f"{each.name}=={each.version}" for each in locked.platform.pip}
    from fleetenv.conda.relock import relock

    again = relock(spec)
    assert again.platforms["linux-64" if "linux-64" in again.platforms else "linux-aarch64"].digest == (
        locked.platform.digest
    )


@pytest.mark.parametrize("to", ["github-actions", "gitlab-ci"])
def test_what_a_ci_job_runs_builds_the_environment(to: str, locked: Locked, shell: Any, tmp_path: Path) -> None:
    document = yaml.safe_load(render(to, locked))
    if to == "github-actions":
        assert document["on"] == ["push", "pull_request"]
        steps = document["jobs"]["environment"]["steps"]
        scripts = [each["run"] for each in steps if "run" in each]
        key = next(each["with"]["key"] for each in steps if each.get("id") == "cache")
        prefix = tmp_path / "envs" / "nlp_train"
    else:
        job = document["nlp_train-environment"]
        scripts = [*job["before_script"], *job["script"]]
        key = job["cache"]["key"]
        scripts = [moved(each, tmp_path) for each in scripts]
        assert job["variables"]["MODE"] == 'a "$$b" \\c'
        prefix = tmp_path / "envs" / "nlp_train"
    assert locked.platform.digest[:16] in key
    for script in scripts:
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    (tmp_path / "runner").mkdir()
    shell("\n".join(scripts), RUNNER_TEMP=str(tmp_path / "runner"), GITHUB_PATH=str(tmp_path / "path"))
    assert installed(prefix) == wanted(locked)


def test_what_a_dockerfile_runs_builds_the_environment(locked: Locked, shell: Any, tmp_path: Path) -> None:
    text = render("dockerfile", locked)
    assert text.count("\nFROM ") == 2
    assert 'ENV MODE="a \\"\\$b\\" \\\\c"' in text
    for path, content in re.findall(
        r"^COPY <<'END-OF-LIST' /tmp/(\S+)\n(.*?)^END-OF-LIST$", text, re.MULTILINE | re.DOTALL
    ):
        (tmp_path / path).write_text(content)
    commands = re.findall(r"^RUN --mount=\S+ \\\n((?:.*\\\n)*.*)$", text, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        shell(moved(command, tmp_path))
    assert installed(tmp_path / "envs" / "nlp_train") == wanted(locked)
    assert "#" in shell("envs/nlp_train/bin/fleet-plots")


def test_an_environment_without_pip_borrows_one(project: Project, shell: Any, tmp_path: Path) -> None:
    path = project.lock("fleet-tensor=1.1", pip=("fleet-metrics",))
    spec = read_spec(path)
    lines = yaml.safe_load(render("gitlab-ci", locked_for(spec, fresh_lock(spec), None)))
    lines = lines["nlp_train-environment"]["before_script"]
    shell(moved(lines[0], tmp_path), PIP_INDEX_URL=project.channel.simple)
    assert "pip" not in installed(tmp_path / "envs" / "nlp_train")
    shell("envs/nlp_train/bin/python -c 'import fleet_metrics, fleet_tensor'")


def test_credentials_are_never_written(project: Project) -> None:
    path = project.lock("fleet-tensor", pip=("fleet-metrics",))
    lock = fresh_lock(read_spec(path))
    text = path.read_text()
    path.write_text(
        text.replace("  - pip:\n", "  - pip:\n      - --extra-index-url https://ana:PASSWORD@x.lab/simple\n")
    )
    spec = read_spec(path)
    for to in FORMATS:
        assert "PASSWORD" not in render(to, locked_for(spec, lock, None))
    assert "--extra-index-url https://x.lab/simple" in render("requirements", locked_for(spec, lock, None))


def test_a_commit_is_installed_by_a_command_of_its_own(locked: Locked) -> None:
    commit = PipPackage("fork", "0.1", f"git+https://git.lab/fork@{'0' * 40}", "")
    wish = replace(locked.spec.pip[0], name="fork", text=f"fork @ {commit.url}")
    spec = replace(locked.spec, pip=(*locked.spec.pip, wish))
    both = dataclasses.replace(locked, spec=spec, platform=replace(locked.platform, pip=(*locked.platform.pip, commit)))
    assert f"\nfork @ {commit.url}" not in render("requirements", both)
    for to in ("dockerfile", "gitlab-ci", "github-actions"):
        assert f" -m pip install --no-deps --disable-pip-version-check 'fork @ {commit.url}'" in render(to, both)


def test_a_stale_lock_is_refused_and_a_name_is_looked_for_in_envs(project: Project, fleetenv_cli: Any) -> None:
    path = project.lock("fleet-tensor")
    done = fleetenv_cli("export", "nlp_train", "--to", "explicit", "-o", "x.txt", cwd=project.folder)
    assert done.status == 0, done.stderr
    assert "@EXPLICIT" in (project.folder / "x.txt").read_text()
    path.write_text(path.read_text().replace("fleet-tensor", "fleet-text"))
    stale = fleetenv_cli("export", path, "--to", "explicit", cwd=project.folder)
    assert (stale.status, stale.stdout) == (1, "")
    assert "nlp_train.lock is stale" in stale.stderr
    nowhere = fleetenv_cli("export", "cv", "--to", "explicit", cwd=project.folder)
    assert "there is no environment 'cv'; looked for cv, envs/cv.yml, envs/cv.yaml" in nowhere.stderr


def test_packages_come_after_what_they_need_and_circles_end() -> None:
    def package(name: str, *depends: str) -> CondaPackage:
        return CondaPackage(name, "1", "0", "c", f"https://c/noarch/{name}-1-0.conda", "0" * 64, depends, ())

    packages = (
        package("a", "c >=1", "b"),
        package("b", "d"),
        package("c", "python"),
        package("d", "a"),
        package("python"),
    )
    order = [each.name for each in in_order(packages)]
    assert sorted(order) == ["a", "b", "c", "d", "python"]
    assert order.index("python") < order.index("c") < order.index("a")
