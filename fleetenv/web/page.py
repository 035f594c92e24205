"""What a page is: an address, what may be asked of it, and how its data is read. One file a page in `pages/`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeAlias, TypeVar

from msgspec import Meta, Struct

from fleetenv.history.store import History

PageNumber: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000)]
"""Which page of a long list, from 1."""

RunNumber: TypeAlias = Annotated[int, Meta(ge=1, le=2**62)]

Q = TypeVar("Q", bound=Struct)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[Q]):
    """One page. `query` has a field for each part of the path and each parameter; `read` gives what is shown.

    `read` raises an `InputError` where the history has nothing under the address.
    """

    path: str  # as Starlette's routes write it: /hosts/{host:path}
    template: str
    query: type[Q]
    read: Callable[[History, Q], Struct]


class Slice(Struct, frozen=True):
    """Which part of a long list a page shows. `number` counts from 1."""

    number: int
    pages: int
    total: int
    first: int  # of the rows, counted from 1; 0: there are none
    last: int


def cut(rows: Sequence[T], number: int, size: int) -> tuple[Sequence[T], Slice]:
    """Return one page's rows of all, and which those are; a number behind the end is the last page."""
    part = slice_of(len(rows), number, size)
    return rows[max(0, part.first - 1) : part.last], part


def slice_of(total: int, number: int, size: int) -> Slice:
    """Return which of `total` rows stand on a page."""
    pages = max(1, -(-total // size))
    number = min(number, pages)
    return Slice(number, pages, total, min(total, (number - 1) * size + 1), min(total, number * size))


def words_of(filter_text: str) -> list[str]:
    """Return the words that a filter's text asks for, in small letters."""
    return filter_text.lower().split()[:20]


def has_words(words: Iterable[str], *texts: str) -> bool:
    """Whether each word is somewhere in the texts."""
    everything = "\n".join(texts).lower()
    return all(word in everything for word in words)
