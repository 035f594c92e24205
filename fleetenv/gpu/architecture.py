"""GPU architectures: which one a GPU has, and from which toolkit and driver to which it is supported.

Sources, NVIDIA's: "Deprecated Architectures" in the CUDA Toolkit Release Notes (12.0 dropped Kepler, 13.0 Maxwell,
Pascal and Volta); "Application Compatibility" in the architectures' own compatibility guides (the first toolkit whose
machine code runs on one: code of 8.0 runs on all of 8.x); "UNIX graphics feature deprecation schedule" (last driver
branches).
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from fleetenv.gpu.states import Gpu


class Architecture(msgspec.Struct, frozen=True):
    """A generation of GPUs."""

    name: str
    first_cuda: str  # the oldest toolkit that makes machine code for it
    last_cuda: int | None = None  # the last major version of the toolkit that supports it; None: none has dropped it
    last_branch: int | None = None  # the last driver branch that supports it


ARCHITECTURES: tuple[tuple[Architecture, re.Pattern[str]], ...] = tuple(
    (architecture, re.compile(rf"\b(?:{models})\b", re.IGNORECASE | re.ASCII))
    for architecture, models in (
        (Architecture("Blackwell", "12.8"), r"Blackwell|G?B[23]00|B100|GB10|RTX 50[5-9]0"),
        (Architecture("Hopper", "11.8"), r"Hopper|G?H[12]00|H800|H20"),
        (Architecture("Ada Lovelace", "11.0"), r"Ada|L4|L40S?|L20|L2|RTX 40[5-9]0"),
        (
            Architecture("Ampere", "11.0"),
            r"Ampere|A100X?|A800|A30X?|A40|A10[GM]?|A16|A2|RTX A\d{3,4}|RTX 30[5-9]0",
        ),
        (
            Architecture("Turing", "9.0"),  # code of 7.0, Volta's, runs on it
            r"Turing|T4G?|T10|T40|T[46]00|T1[02]00|Quadro RTX|TITAN RTX|RTX 20[678]0|GTX 16[356]0",
        ),
        (Architecture("Volta", "9.0", 12, 580), r"Volta|V100S?|GV100|TITAN V"),
        (
            Architecture("Pascal", "8.0", 12, 580),
            r"Pascal|P100|P40|P4|P6|GP100|Quadro P\d+|TITAN Xp|GTX 10[1-8]0|GT 10[13]0",
        ),
        (
            Architecture("Maxwell", "6.5", 12, 580),
            r"Maxwell|M40|M60|M4|M6|M10|Quadro M\d+|GTX TITAN X|GTX 9[5-8]0|GTX 7[45][05]|MX1[13]0",
        ),
        (
            Architecture("Kepler", "5.0", 11, 470),
            r"Kepler|K80|K40[a-z]*|K20[a-z]*|K10|GRID K[12]|Quadro K\d+|GTX TITAN|GTX 7[678]0|GTX 6[5-9]0|GT 7[1-4]0",
        ),
    )
)
"""Each architecture with the models that have it, the newest first."""

_DATA_CENTRE = re.compile(
    r"\b(?:Tesla|G?B[123]00|GB[23]00|G?H[12]00|H800|H20|L40S?|L4|L20|L2|A100X?|A800|A30X?|A40|A10[GM]?|A16|A2|T4G?|V100S?)\b",
    re.IGNORECASE | re.ASCII,
)


def architecture_of(gpu: Gpu) -> Architecture | None:
    """Return a GPU's architecture, as nvidia-smi names it, else by its model; None: it is not known here.

    Drivers before 515 name no architecture.
    """
    return (_named(gpu.architecture) if gpu.architecture else None) or _named(gpu.model)


@lru_cache(maxsize=1000)
def _named(text: str) -> Architecture | None:
    return next((architecture for architecture, models in ARCHITECTURES if models.search(text)), None)


def is_data_centre(gpu: Gpu) -> bool:
    """Whether a GPU is one of NVIDIA's data centre models, for which alone forward compatibility packages are."""
    return _DATA_CENTRE.search(gpu.model) is not None
