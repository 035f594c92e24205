"""Names of GPU models, as users write them and as drivers do."""

from __future__ import annotations

import re

_WORD = re.compile(r"[0-9a-z]+")


def is_model(wanted: str, model: str) -> bool:
    """Whether `model` is the wanted one: its words in a row, whatever their case.

    `A100`, `a100-sxm4` and `A100 SXM4 80GB` are all `NVIDIA A100-SXM4-80GB`; `A10` is not.
    """
    words, names = _WORD.findall(wanted.lower()), _WORD.findall(model.lower())
    return bool(words) and any(names[at : at + len(words)] == words for at in range(len(names)))
