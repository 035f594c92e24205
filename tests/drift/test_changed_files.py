"""Many changed files, told package by package."""

from fleetenv.drift.changed_files import by_package
from fleetenv.history.outcome import StoredDifference
from fleetenv.state import Difference

SITE = "files.lib/python3.11/site-packages"


def differing(*paths):
    return [Difference(path, None, "changed by hand") for path in paths]


def test_files_of_packages_are_counted_after_all_else():
    told = by_package(
        [
            *differing(f"{SITE}/numpy/core/a.py", f"{SITE}/numpy-1.26.4.dist-info/RECORD", f"{SITE}/_cffi.abi3.so"),
            *differing(f"{SITE}/six.py", f"{SITE}/__pycache__/six.cpython-311.pyc", "files.bin/f2py", "files.bin/pip"),
            *differing("files.README", "files.LICENSE"),
            Difference("pip.numpy", None, "1.26.4"),
        ]
    )
    assert [each.key for each in told] == [
        "pip.numpy",
        "2 files of numpy",
        f"{SITE}/_cffi.abi3.so",
        "2 files of six",
        "2 files in bin",
        "2 files of the environment",
    ]


def test_what_differs_in_another_way_is_told_apart():
    gone = [StoredDifference(f"{SITE}/numpy/{name}", "there", None) for name in "abc"]
    changed = [StoredDifference(f"{SITE}/numpy/{name}", None, "changed by hand") for name in "de"]
    assert [(each.key, each.found) for each in by_package([*gone, *changed])] == [
        ("3 files of numpy", None),
        ("2 files of numpy", "changed by hand"),
    ]


def test_a_few_files_are_told_one_by_one():
    few = differing(f"{SITE}/numpy/a", f"{SITE}/numpy/b", f"{SITE}/numpy/c")
    assert by_package(few) == few
