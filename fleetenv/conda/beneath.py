"""The interpreter that a virtualenv is built upon, as far as it decides which wheels fit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Beneath:
    """An interpreter, as its host describes it."""

    python: str  # 3.11.9
    machine: str  # x86_64
    glibc: str  # 2.36; empty: it is another C library
    packages: tuple[tuple[str, str], ...] = ()  # name, version: what can be imported from the virtualenv, too
