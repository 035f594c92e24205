"""The projects that the lab's channel and its pip index offer: small, but they run, and depend on each other."""

from __future__ import annotations

from fleetenv.lab.package import PLACEHOLDER
from fleetenv.lab.project import Project

_TENSOR = '''\
"""Dense vectors and matrices as plain lists."""

__version__ = "{version}"


def dot(left, right):
    """Multiply two vectors of equal length."""
    if len(left) != len(right):
        raise ValueError(f"lengths differ: {{len(left)}} and {{len(right)}}")
    return sum(a * b for a, b in zip(left, right))


def matmul(left, right):
    """Multiply two matrices given as lists of rows."""
    columns = list(zip(*right))
    return [[dot(row, column) for column in columns] for row in left]
'''
_TENSOR_1_1 = '''

def norm(vector):
    """Return the Euclidean length of a vector."""
    return dot(vector, vector) ** 0.5
'''
_TENSOR_2_0 = '''

def cosine(left, right):
    """Return the cosine of the angle between two vectors; 0.0 when one of them is zero."""
    lengths = norm(left) * norm(right)
    return dot(left, right) / lengths if lengths else 0.0
'''
_TEXT = '''\
"""Count words into vectors."""

import re

from fleet_tensor import dot, norm

__version__ = "{version}"


def words(text):
    """Split text into lower-case words."""
    return re.findall(r"\\w+", text.lower())


def vector(text, vocabulary):
    """Count each word of the vocabulary in the text."""
    found = words(text)
    return [found.count(word) for word in vocabulary]


def similarity(left, right):
    """Compare two texts: 1.0 when they use the same words equally often, 0.0 when they share none."""
    vocabulary = sorted({{*words(left), *words(right)}})
    a, b = vector(left, vocabulary), vector(right, vocabulary)
    lengths = norm(a) * norm(b)
    return dot(a, b) / lengths if lengths else 0.0
'''
_DATA = '''\
"""Tables of numbers in CSV, read as matrices."""

import csv
import sys
from pathlib import Path

from fleet_tensor import dot

__version__ = "{version}"


def settings():
    """Read this environment's etc/fleet-data.conf."""
    lines = Path(sys.prefix, "etc", "fleet-data.conf").read_text().splitlines()
    return dict(line.split(" = ", 1) for line in lines)


def read(path):
    """Read a CSV file without heading into rows of numbers."""
    with open(path, newline="") as file:
        return [[float(cell) for cell in row] for row in csv.reader(file)]


def main():
    """Print the mean of each column of a CSV file; without one, where data is looked for."""
    if len(sys.argv) < 2:
        print(settings()["folder"])
        return
    rows = read(sys.argv[1])
    weights = [1 / len(rows)] * len(rows)
    print(*(dot(column, weights) for column in zip(*rows)))
'''
_CUDA = '''\
"""Ask for the GPU driver's CUDA version; pure Python, but solvable only where a driver supports CUDA 12.4."""

import ctypes

__version__ = "{version}"


def driver_version():
    """Return the highest CUDA version of the driver as (major, minor), or None without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    version = ctypes.c_int()
    if driver.cuDriverGetVersion(ctypes.byref(version)):
        return None
    return version.value // 1000, version.value % 1000 // 10
'''
_LIBC = '''\
"""Ask for the C library's version."""

import ctypes

__version__ = "{version}"


def version():
    """Return glibc's version as text."""
    ask = ctypes.CDLL(None).gnu_get_libc_version
    ask.restype = ctypes.c_char_p
    return ask().decode()
'''
_METRICS = '''\
"""Scores of predictions."""

__version__ = "{version}"


def accuracy(expected, predicted):
    """Return the share of predictions that are right."""
    pairs = list(zip(expected, predicted, strict=True))
    return sum(a == b for a, b in pairs) / len(pairs)
'''
_PLOTS = '''\
"""Plots for terminals."""

from fleet_metrics import accuracy

__version__ = "{version}"


def bar(expected, predicted, width=20):
    """Draw the accuracy as a bar."""
    return "#" * round(accuracy(expected, predicted) * width)


def main():
    """Show what a bar looks like."""
    print(bar([1, 2, 3, 4], [1, 2, 3, 5]))
'''


def _project(name: str, version: str, source: str, *requires: str, script: bool = False) -> Project:
    module = name.replace("-", "_")
    scripts = (f"{name} = {module}:main",) if script else ()
    return Project(name, version, {f"{module}/__init__.py": source.format(version=version)}, requires, scripts)


def _data(version: str, *requires: str) -> Project:
    plain = _project("fleet-data", version, _DATA, *requires, script=True)
    conf = {"etc/fleet-data.conf": f"folder = {PLACEHOLDER}/share/fleet-data\nversion = {version}\n"}
    return Project(plain.name, version, plain.sources, plain.requires, plain.scripts, data=conf)


CONDA: tuple[Project, ...] = (
    _project("fleet-tensor", "1.0", _TENSOR),
    _project("fleet-tensor", "1.1", _TENSOR + _TENSOR_1_1),
    _project("fleet-tensor", "2.0", _TENSOR + _TENSOR_1_1 + _TENSOR_2_0),
    _project("fleet-text", "0.9", _TEXT, "fleet-tensor >=1.1,<2"),
    _project("fleet-text", "1.0", _TEXT, "fleet-tensor >=1.1"),
    _data("1.0", "fleet-tensor >=1.0,<2"),
    _data("1.2", "fleet-tensor >=1.1"),
    _project("fleet-cuda", "12.4", _CUDA, "__cuda >=12.4"),
    _project("fleet-libc", "1.0", _LIBC, "__glibc >=2.17"),
)
"""What the channel has beside `python` and `pip`."""

PIP: tuple[Project, ...] = (
    _project("fleet-metrics", "0.1", _METRICS),
    _project("fleet-metrics", "0.2", _METRICS),
    _project("fleet-plots", "1.0", _PLOTS, "fleet-metrics>=0.1", script=True),
    _project("fleet-tensor", "1.5", _TENSOR + _TENSOR_1_1),  # pip can overwrite conda's with this one
)
"""What the pip index has."""
