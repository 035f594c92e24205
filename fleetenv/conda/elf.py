"""The little of ELF that makes a compiled file relocatable and small: what it loads, where it looks, what it can spare.

64-bit little-endian only, which is what linux-64 and linux-aarch64 are. Layout: `man 5 elf`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 0, 1, 5, 15, 29
_SHOFF = 40  # of e_shoff in the header
_SHNUM = 60  # of e_shnum; e_shstrndx follows


@dataclass(frozen=True, slots=True)
class Dynamic:
    """What the dynamic loader is told: libraries by name, and the search path with its place in the file."""

    needed: tuple[str, ...]
    runpath: str | None
    runpath_at: int  # offset of its text in the file; 0 without one


@dataclass(frozen=True, slots=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


def is_elf(data: bytes) -> bool:
    """Whether this is a 64-bit little-endian ELF file."""
    return data[:6] == b"\x7fELF\x02\x01" and len(data) >= 64


def read_dynamic(data: bytes) -> Dynamic:
    """Read the dynamic section; a static program needs nothing.

    Raises:
        ValueError: the file is cut off or is no ELF file.
    """
    if not is_elf(data):
        raise ValueError("not a 64-bit little-endian ELF file")
    try:
        segments = _segments(data)
        entries = [entry for segment in segments if segment.kind == _PT_DYNAMIC for entry in _entries(data, segment)]
        strings = next((_in_file(segments, value) for tag, value in entries if tag == _DT_STRTAB), 0)
    except (struct.error, OverflowError) as error:  # an offset behind the end, or beyond what an offset can be
        raise ValueError("a cut off ELF file") from error
    needed = tuple(_text(data, strings + value) for tag, value in entries if tag == _DT_NEEDED)
    for tag, value in entries:
        if tag in (_DT_RPATH, _DT_RUNPATH):
            return Dynamic(needed, _text(data, strings + value), strings + value)
    return Dynamic(needed, None, 0)


def with_runpath(data: bytes, runpath: str) -> bytes:
    """Return the file with another library search path, written over the one that it has.

    Raises:
        ValueError: it has none, or a shorter one.
    """
    found = read_dynamic(data)
    if found.runpath is None or len(found.runpath) < len(runpath):
        raise ValueError(f"no room for the library path {runpath}: the file has {found.runpath!r}")
    end = found.runpath_at + len(found.runpath)
    return data[: found.runpath_at] + runpath.encode().ljust(len(found.runpath), b"\0") + data[end:]


def without_sections(data: bytes) -> bytes:
    """Return the file without what only linkers and debuggers read: all that lies behind the last loaded segment."""
    end = max(segment.offset + segment.size for segment in _segments(data))
    header = bytearray(data[:64])
    struct.pack_into("<Q", header, _SHOFF, 0)
    struct.pack_into("<HH", header, _SHNUM, 0, 0)
    return bytes(header) + data[64:end]


def _segments(data: bytes) -> list[_Segment]:
    table, size, count = (*struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54))
    result = []
    for index in range(count):
        kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", data, table + index * size)
        result.append(_Segment(kind, offset, address, length))
    return result


def _entries(data: bytes, dynamic: _Segment) -> list[tuple[int, int]]:
    result: list[tuple[int, int]] = []
    for offset in range(dynamic.offset, dynamic.offset + dynamic.size, 16):
        tag, value = struct.unpack_from("<QQ", data, offset)
        if tag == _DT_NULL:
            break
        result.append((tag, value))
    return result


def _in_file(segments: list[_Segment], address: int) -> int:
    for segment in segments:
        if segment.kind == _PT_LOAD and segment.address <= address < segment.address + segment.size:
            return segment.offset + address - segment.address
    raise ValueError("an ELF string table outside of all segments")


def _text(data: bytes, offset: int) -> str:
    return data[offset : data.index(b"\0", offset)].decode("utf-8", "replace")
