"""What the files of CI systems have in common: YAML whose scripts can be read, and the key of the cache."""

from __future__ import annotations

import yaml

from fleetenv.conda.export import Locked
from fleetenv.source import Value


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as such."""

    def ignore_aliases(self, data: object) -> bool:
        """Write a value twice rather than refer to it."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def as_yaml(document: dict[str, Value], locked: Locked) -> str:
    """Return a document as YAML."""
    heading = f"# {locked.title}. Written by 'fleetenv export': do not edit.\n"
    return heading + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


def cache_key(locked: Locked) -> str:
    """Return a key that changes when any package does."""
    return f"{locked.name}-{locked.platform.platform}-{locked.platform.digest[:16]}"


def checks(locked: Locked, prefix: str) -> list[str]:
    """Return the commands that see whether the environment works; `prefix` is a word of sh as it stands."""
    if not any(each.name == "python" for each in locked.platform.conda):
        return [f"test -d {prefix}/conda-meta"]
    program = f"{prefix}/bin/python -I"
    added = bool(locked.platform.pip) and locked.has_pip  # what conda alone says of its packages is conda's
    return [f"{program} -m pip check" if added else f"{program} -c 'import encodings, site'"]
