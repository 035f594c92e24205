"""The git commit that a playbook is of, as git itself says it."""

import subprocess

import pytest

from fleetenv.history.revision import origins


def origin(path):
    return origins([path])[path]


def git(folder, *words):
    identity = ("-c", "user.name=anna", "-c", "user.email=anna@lab", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path):
    """A repository with a playbook and one commit."""
    top = tmp_path / "fleet"
    (top / "playbooks").mkdir(parents=True)
    (top / "playbooks/site.yml").write_text("[]\n")
    git(top, "init", "-q")
    git(top, "add", ".")
    git(top, "commit", "-qm", "first")
    return top


def test_commit_and_place_are_known_and_whether_there_are_changes_on_top(project):
    playbook = project / "playbooks/site.yml"
    found = origin(str(playbook))
    assert (found.place, found.commit, found.dirty) == (
        "fleet/playbooks/site.yml",
        git(project, "rev-parse", "HEAD"),
        False,
    )
    playbook.write_text("[{}]\n")
    assert origin(str(playbook)).dirty
    git(project, "checkout", "-q", ".")
    (project / "playbooks/new.yml").write_text("")
    assert origin(str(playbook)).dirty


@pytest.mark.parametrize("layout", ["packed", "detached", "worktree", "packed worktree", "branch in folders"])
def test_every_layout_of_a_repository_is_read(project, layout):
    top = project
    if layout == "branch in folders":
        git(project, "checkout", "-qb", "anna/gpu/driver")
    if "worktree" in layout:
        top = project.parent / "other"
        git(project, "worktree", "add", "-q", "-b", "side", top)
        git(top, "commit", "-q", "--allow-empty", "-m", "second")
    if "packed" in layout:
        git(project, "pack-refs", "--all")
    if layout == "detached":
        git(project, "checkout", "-q", "--detach")
    assert origin(str(top / "playbooks/site.yml")).commit == git(top, "rev-parse", "HEAD")


def test_what_is_in_no_repository_or_in_a_strange_one_is_not_an_error(tmp_path, project):
    (tmp_path / "site.yml").write_text("[]\n")
    outside = origin(str(tmp_path / "site.yml"))
    assert (outside.place, outside.commit, outside.dirty) == (str(tmp_path / "site.yml"), None, None)
    assert origin("gpu01,gpu02").place == "gpu01,gpu02"
    for head in ("ref: refs/heads/../../../../etc/passwd\n", "ref: HEAD\n", "\xff\n", ""):
        (project / ".git/HEAD").write_text(head, encoding="latin-1")
        assert origin(str(project / "playbooks/site.yml")).commit is None
    (project / ".git").rename(project / "git")
    (project / ".git").write_text("gitdir: /nonexistent\n")
    assert origin(str(project / "playbooks/site.yml")).commit is None


def test_without_git_installed_the_commit_is_known_all_the_same(project, monkeypatch):
    commit = git(project, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", "")
    found = origin(str(project / "playbooks/site.yml"))
    assert (found.commit, found.dirty) == (commit, None)
