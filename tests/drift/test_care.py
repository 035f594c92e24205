"""What nobody should do, told from a snapshot: the cases that no lab host can be brought into."""

from __future__ import annotations

import pytest

from fleetenv.drift.about import About
from fleetenv.drift.care import care_findings
from fleetenv.drift.commands import Commands
from fleetenv.drift.disks import disk_findings
from fleetenv.drift.finding import Finding
from fleetenv.drift.named import Named
from fleetenv.drift.sections import Environment, Kernel, Miniconda, Sections, Virtualenv
from fleetenv.onhost.census_disks import Disk
from fleetenv.state import Place

PREFIX = "/opt/miniconda3"
WELL = Miniconda(asked=True, conda="24.7.1", python="3.11.7", owner="root")
COMMANDS = Commands("site.yml", ("inventories/lab",))
HOME = "/home/ana"


def env(name: str, **more: object) -> Environment:
    place = {"path": f"{PREFIX}/envs/{name}", "prefix": PREFIX, "owner": "root", "packages": {}, "pip": {}}
    return Environment(**(place | more))


def found(named: Named | None = None, **sections: object) -> dict[tuple[str, str], Finding]:
    seen = Sections(**({"miniconda": {PREFIX: WELL}} | sections))
    about = About("gpu01", named or Named(homes=(HOME,)), COMMANDS)
    return {(each.code, each.subject): each for each in care_findings(about, seen)}


def names(*places: Place, told: tuple[str, ...] = ()) -> Named:
    return Named(frozenset(places), frozenset(told), (HOME,))


def test_a_hosts_own_settings_weigh_more_than_a_users():
    ours = {"channels": "[tuna]", "channel_priority": "strict"}
    files = {f"{PREFIX}/.condarc": ours, "/etc/conda/.condarc": {"channels": "[defaults]"}}
    files[f"{HOME}/.condarc"] = {"channel_priority": "disabled", "auto_update_conda": "false"}
    conflicts = found(condarc=files)
    assert {subject: str(each.severity) for (_, subject), each in conflicts.items()} == {
        "/etc/conda/.condarc": "warning",
        f"{HOME}/.condarc": "note",
    }
    text = conflicts["condarc-conflict", f"{HOME}/.condarc"].text
    assert text == f"channel_priority is disabled here, strict in {PREFIX}/.condarc"


def test_settings_of_another_miniconda_contradict_nothing():
    other = f"{HOME}/miniconda3"
    files = {f"{PREFIX}/.condarc": {"channels": "[a]"}, f"{other}/.condarc": {"channels": "[b]"}}
    minicondas = {PREFIX: WELL, other: Miniconda(asked=False, conda="24", python="3.12", owner="ana")}
    assert [code for code, _ in found(condarc=files, miniconda=minicondas)] == ["other-miniconda"]


def test_each_kind_of_environment_is_mended_in_its_own_way():
    overwritten = {"overwritten": {"numpy 1.26.4": "by numpy 2.0 (pip)"}}
    code = "pip-over-conda"
    by_hand = found(environments={"old": env("old", **overwritten)})[code, "old: numpy"]
    assert by_hand.advice == f"on gpu01: conda install -p {PREFIX}/envs/old --force-reinstall numpy"
    built = found(environments={"old": env("old", generation="0001-a", **overwritten)})[code, "old: numpy"]
    assert built.advice.startswith("fleetenv verify gpu01 --env old -i inventories/lab; then apply")
    named = names(Place("environment", f"{PREFIX}/envs/old"))
    ours = found(named, environments={"old": env("old", generation="0001-a", **overwritten)})[code, "old: numpy"]
    assert ours.advice == (
        f"on gpu01: rm {PREFIX}/envs/old/conda-meta/fleetenv; then fleetenv apply site.yml -i inventories/lab -l gpu01"
    )


def test_what_pip_brought_is_installed_by_pip_again():
    gone = env("old", files={"lib/a.py": "missing (fire 0.5 (pip))", "lib/b.py": "missing (numpy 1.26.4)"})
    advice = found(environments={"old": gone})["files-missing", "old"].advice
    assert f"conda install -p {PREFIX}/envs/old --force-reinstall numpy; " in advice
    assert advice.endswith(f"{PREFIX}/envs/old/bin/python -m pip install --force-reinstall fire==0.5")


def test_what_the_playbooks_own_finding_tells_is_not_told_twice():
    path = f"{PREFIX}/envs/nlp"
    broken = {"nlp": env("nlp", generation="0002-b", files={"lib/a.py": "changed (numpy 1)"}, owners={"x": "eve's"})}
    place = Place("environment", path)
    assert {code for code, _ in found(names(place), environments=broken)} == {"files-changed", "wrong-owner"}
    assert found(names(place, told=(path,)), environments=broken) == {}


def test_what_tasks_name_is_not_extra_also_below_a_home():
    layers = {
        "virtualenvs": {f"{HOME}/venvs/x": Virtualenv(base="/gone", python="3.11", works=False, managed=True)},
        "kernels": {f"{HOME}/.local/share/jupyter/kernels/x": Kernel(program="/gone", gone=True)},
    }
    named = names(Place("virtualenv", "~/venvs/x"), Place("kernel", "~/.local/share/jupyter/kernels/x"))
    assert {each.advice for each in found(named, **layers).values()} == {COMMANDS.apply("gpu01")}
    assert {each.severity for each in found(named, **layers).values()} == {"warning"}
    assert {each.severity for each in found(**layers).values()} == {"note"}  # of others it is their own affair
    assert found(names(told=("~/venvs/x", "~/.local/share/jupyter/kernels/x")), **layers) == {}


def test_a_miniconda_that_is_not_whole_keeps_its_environments():
    broken = Miniconda(asked=True, conda="", python="3.11.7", owner="root", lacks="there is no bin/conda")
    advice = found(miniconda={PREFIX: broken})["unfinished-miniconda", PREFIX].advice
    assert advice == f"on gpu01: bash Miniconda3-latest-Linux-$(uname -m).sh -b -u -p {PREFIX}"


def test_what_there_was_no_time_for_is_a_note():
    note = found(names(Place("environment", f"{PREFIX}/envs/nlp")), environments={"nlp": env("nlp", unchecked=True)})
    (finding,) = note.values()
    assert (finding.code, finding.severity) == ("files-unchecked", "note")
    assert finding.advice == "fleetenv verify gpu01 --env nlp -i inventories/lab"


GIB = 1 << 30


@pytest.mark.parametrize(
    ("disk", "told"),
    [
        (Disk(100 * GIB, 6 * GIB, 10**7, 10**6), None),
        (Disk(10**5 * GIB, 100 * GIB, 0, 0), None),  # a 1000th of it, and enough; its inodes are not counted
        (Disk(20 * GIB, 4 * GIB, 10**7, 10**6), None),  # little, and more than a 20th
        (Disk(100 * GIB, 4 * GIB, 10**7, 10**6), ("disk-filling", "4.0 of 100.0 GiB are free")),
        (Disk(100 * GIB, 0, 10**7, 10**6), ("disk-full", "0.0 of 100.0 GiB are free")),
        (Disk(100 * GIB, 50 * GIB, 6_553_600, 99_999), ("disk-filling", "99,999 of 6,553,600 inodes are free")),
        (Disk(100 * GIB, 50 * GIB, 6_553_600, 0), ("disk-full", "0 of 6,553,600 inodes are free")),
        (Disk(10**5000, 0, -1, -(10**5000)), None),  # a lie
    ],
)
def test_little_room_is_told_of_bytes_and_of_inodes(disk, told):
    found = [(each.code, each.text) for each in disk_findings(About("gpu01", Named(), COMMANDS), {"/": disk}, [])]
    assert [(code, text.partition(":")[0].partition(";")[0]) for code, text in found] == ([told] if told else [])


def test_a_disk_with_miniconda_on_it_may_be_cleaned():
    disk = Disk(100 * GIB, 0, 0, 0, [PREFIX, "/tmp"])
    (full,) = disk_findings(About("gpu01", Named(), COMMANDS), {"/": disk}, [PREFIX])
    assert full.text == f"0.0 of 100.0 GiB are free; here is {PREFIX}, /tmp"
    clean = f"fleetenv clean gpu01 --prefix {PREFIX} --check -i inventories/lab"
    assert full.advice == f"{clean}; on gpu01: du -xh -d2 / | sort -h"
