"""A simulated index around a channel's real records, as large as conda-forge's: names, versions, builds, needs, hashes.

Whole (`repodata.json`, `repodata.json.zst`), as every mirror has it, and in shards (CEP 16), as conda-forge has it too.
What is in no package cannot be downloaded: no solver must choose it. So records of names that the channel has are
older than the channel's own, and nothing real needs one of the other names.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import zstandard

NAMES = 31_000
"""Of packages; conda-forge.org says so of its own, as conda's documentation of shards quotes it."""

_OLDER = 100  # simulated records of each name that the channel has
_FAMILY = 4  # names that need each other, or that a name of the channel's needs: as conda's documentation of shards
# says, a solver has to look at 137 names for conda-forge's conda, and at 678 for its vaex
_LEVEL = 3  # of zstd; most of an index are hashes, which no level makes smaller
_NOARCH = 0.4  # of all records
_OLD_FORMAT = 0.25  # of all records: .tar.bz2
_FIRST = ("lib", "py", "r-", "perl-", "rust-", "go-", "ros-", "jupyter-", "google-cloud-", "azure-", "aws-", "bio", "")
_WORDS = """
array audio batch binary block cache chart chem cloud code data deep disk docs event fast file flow font form frame
geo graph grid hash http image index json kernel label lattice layer light log map mesh metric model mono nano net
node opt parse path pipe plot poly proto query queue rest route scan schema search shape signal sim sky sparse spec
sql state stats stream table tensor test text time token trace tree type units vector video wave web xml yaml
""".split()  # noqa: SIM905  # words are easier to read
_PYTHONS = ("39", "310", "311", "312", "313", "314")

_Record = dict[str, object]
_Named = dict[str, _Record]  # by file name


def build(channel: Path, records: int, folder: Path) -> Path:
    """Make a channel with the packages of another one and so many records; returns it, at once when it is there.

    Args:
        channel: The channel's folder.
        records: How many its index is to have, of all platforms that it has.
        folder: Where such channels are kept; one that was made of another channel is removed.
    """
    indexes = sorted(channel.glob("*/repodata.json"))
    digest = hashlib.sha256(b"".join([Path(__file__).read_bytes(), *(path.read_bytes() for path in indexes)]))
    built = folder / f"{records}-{digest.hexdigest()[:12]}" / "conda"
    if not built.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        draft = built.with_name("draft")
        for path in indexes:
            _Subdir(path.parent, draft / path.parent.name).write(records)
        draft.rename(built)
    return built


class _Subdir:
    """One platform's part of a channel."""

    def __init__(self, real: Path, folder: Path) -> None:
        self._real = json.loads((real / "repodata.json").read_text())
        self._folder = folder
        self._name = real.name
        self._random = random.Random(self._name)  # the same each time
        folder.mkdir(parents=True)
        for path in (*real.glob("*.conda"), *real.glob("*.tar.bz2")):
            os.link(path, folder / path.name)

    def write(self, records: int) -> None:
        """Write the index whole and in shards."""
        share = _NOARCH if self._name == "noarch" else 1 - _NOARCH
        (self._folder / "shards").mkdir()
        hashes: dict[str, bytes] = {}
        texts: dict[str, list[bytes]] = {"packages": [], "packages.conda": []}
        for name, named in self._by_name(int(records * share)):
            hashes[name] = self._shard(name, named)
            for kind, each in named.items():
                texts[kind] += [b'"%s":%s' % (file.encode(), _json(record)) for file, record in each.items()]
        info = {"subdir": self._name}
        parts = [b'"%s":{%s}' % (kind.encode(), b",\n".join(lines)) for kind, lines in texts.items()]
        whole = b'{"info":%s,"removed":[],"repodata_version":1,%s}' % (_json(info), b",".join(parts))
        (self._folder / "repodata.json").write_bytes(whole)
        (self._folder / "repodata.json.zst").write_bytes(zstandard.compress(whole, _LEVEL))
        index = {"info": {**info, "base_url": "./", "shards_base_url": "./shards/"}, "shards": hashes, "version": 1}
        packed = zstandard.compress(msgspec.msgpack.encode(index), _LEVEL)
        (self._folder / "repodata_shards.msgpack.zst").write_bytes(packed)

    def _shard(self, name: str, named: Mapping[str, _Named]) -> bytes:
        """Write what there is of one name; returns the file's hash."""
        binary = {
            kind: {file: {**each, **_binary(each)} for file, each in records.items()} for kind, records in named.items()
        }
        data = zstandard.compress(msgspec.msgpack.encode({**binary, "removed": []}), _LEVEL)
        digest = hashlib.sha256(data)
        (self._folder / "shards" / f"{digest.hexdigest()}.msgpack.zst").write_bytes(data)
        return digest.digest()

    def _by_name(self, records: int) -> Iterator[tuple[str, dict[str, _Named]]]:
        """Yield the records of each name: real ones, and simulated ones until there are enough."""
        real: dict[str, dict[str, _Named]] = {}
        for kind in ("packages", "packages.conda"):
            for file, record in self._real[kind].items():
                named = real.setdefault(record["name"], {"packages": {}, "packages.conda": {}})
                named[kind][file] = record
        left = records
        names = _names()
        families = [names[start : start + _FAMILY] for start in range(0, len(names), _FAMILY)]
        for place, (name, named) in enumerate(real.items()):
            self._add(name, min(_OLDER, left), named, families[place], older=True)
            left -= sum(map(len, named.values()))
            yield name, named
        for place, name in enumerate(names):
            named = {"packages": {}, "packages.conda": {}}
            needs = [each for each in families[place // _FAMILY] if each != name]
            self._add(name, max(left // (len(names) - place), 1), named, needs, older=False)
            left -= sum(map(len, named.values()))
            yield name, named
            if left <= 0:
                return

    def _add(self, name: str, count: int, named: dict[str, _Named], needs: Sequence[str], *, older: bool) -> None:
        chance = self._random
        for number in range(count):
            release, python = divmod(number, len(_PYTHONS))
            version = f"0.{release}" if older else f"{release // 12}.{release % 12}.{chance.randrange(9)}"
            record, kind, ending = self._record(name, version, _PYTHONS[python], needs)
            named[kind][f"{name}-{version}-{record['build']}{ending}"] = record

    def _record(self, name: str, version: str, python: str, needs: Sequence[str]) -> tuple[_Record, str, str]:
        chance = self._random
        digest = chance.randbytes(48)
        noarch = self._name == "noarch"
        build = f"pyhd8ed1ab_{python}" if noarch else f"py{python}h{digest[:4].hex()[:7]}_0"
        minor = int(python[1:])
        depends = [f"python >=3.{minor}" + ("" if noarch else f",<3.{minor + 1}.0a0")]
        depends += [f"{need} >=0.{place}" for place, need in enumerate(needs)]
        if not noarch:
            depends += ["__glibc >=2.17,<3.0.a0", "libgcc >=13", f"python_abi 3.{minor}.* *_cp{python}"]
        record: _Record = {
            "build": build, "build_number": 0, "depends": depends, "license": "BSD-3-Clause", "license_family": "BSD",
            "md5": digest[:16].hex(), "name": name, "sha256": digest[16:].hex(),
            "size": chance.randrange(10_000, 9_000_000), "subdir": self._name,
            "timestamp": 1_600_000_000_000 + chance.randrange(180_000_000_000), "version": version,
        }  # fmt: skip
        if noarch:
            record["noarch"] = "python"
        if chance.random() < _OLD_FORMAT:
            return record, "packages", ".tar.bz2"
        return record, "packages.conda", ".conda"


def _names() -> list[str]:
    """Return names of packages, none twice; the same ones, in the same families, for all platforms."""
    every = [f"{first}{one}-{two}" for first in _FIRST for one in _WORDS for two in _WORDS if one != two]
    return random.Random(NAMES).sample(every, NAMES)


def _binary(record: _Record) -> _Record:
    return {kind: bytes.fromhex(str(record[kind])) for kind in ("md5", "sha256") if kind in record}


def _json(content: object) -> bytes:
    return msgspec.json.encode(content)
