"""docs/findings.md and the code agree about every finding's code."""

import re
from pathlib import Path

from fleetenv.drift.codes import CODES, every_code, is_known
from fleetenv.gpu.problem import DRIVER_CODES, HEALTH_CODES

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r"^\| `([a-z-]+)` \| ([a-z, ]+) \| (.+?) \| (.+?) \|$", (ROOT / "docs/findings.md").read_text(), re.MULTILINE
)


def test_the_page_lists_every_code_once_with_its_severity_and_meaning():
    listed = {code: (severity, meaning) for code, severity, meaning, _ in ROWS}
    assert len(listed) == len(ROWS)
    assert listed == {
        code: (", ".join(filter(None, (str(kind.severity), kind.milder and str(kind.milder)))), kind.meaning)
        for code, kind in CODES.items()
    }


def test_every_code_in_the_code_is_a_known_one():
    """Codes are written where findings are made: a mistyped one would be in no table."""
    sources = [path.read_text() for path in (ROOT / "fleetenv/drift").glob("*.py") if path.name != "codes.py"]
    made = {code for text in sources for code in re.findall(r'about\.finding\(\s*"([a-z-]+)"', text)}
    assert made <= CODES.keys()
    assert {"extra-environment", "stale-kernel", "not-surveyed"} <= made


def test_codes_of_gpus_are_known_by_pattern_too():
    assert is_known("gpu-*")
    assert is_known("gpu-mismatch")
    assert not is_known("gpu-mismatched")
    assert set(every_code()) >= {f"gpu-{code}" for code in (*DRIVER_CODES, *HEALTH_CODES)}
