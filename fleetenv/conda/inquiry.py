"""What is asked of a host about its environments: a program that travels with the question, and the answer as data.

The program is a few modules of fleetenv.onhost, sent as source on standard input to Miniconda's own Python. So one
message asks and answers, and nothing is left on the host.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Generic, TypeVar

import msgspec

from fleetenv.errors import TaskFailed
from fleetenv.onhost import gpu_packages
from fleetenv.onhost.cleaning import Cleaning
from fleetenv.onhost.listing import Listing
from fleetenv.onhost.rollback import Rollback
from fleetenv.onhost.smoke import Smoke
from fleetenv.onhost.verification import Verifications
from fleetenv.remote import Completed, Run, sh

T = TypeVar("T")

PROGRAM = """\
import sys
if sys.version_info < (3, 10):
    sys.exit("fleetenv needs Python 3.10 or newer in Miniconda: upgrade it (here is %d.%d)" % sys.version_info[:2])
import json
from importlib.machinery import ModuleSpec
asked = json.load(sys.stdin)
class Sent:
    def find_spec(name, path=None, target=None):
        if name in asked["modules"]:
            return ModuleSpec(name, Sent, is_package=name in asked["packages"])
    def create_module(spec):
        return None
    def exec_module(module):
        exec(compile(asked["modules"][module.__name__], module.__name__, "exec"), module.__dict__)
sys.meta_path.insert(0, Sent)
from fleetenv.onhost.answering import main
sys.exit(main(asked["subject"], asked["arguments"]))
"""
"""What Miniconda's Python is given as its command; what it is asked, and what answers, stands on standard input."""

_PACKAGES = ("fleetenv", "fleetenv.conda", "fleetenv.onhost")
_GENERATIONS = ("answering", "generations", "lock", "processes", "report")
LAYERS = (*_GENERATIONS, "census_layers", "layers", "places")


@dataclass(frozen=True)
class Inquiry(Generic[T]):
    """A kind of question: the module of fleetenv.onhost that answers it, what that imports, and the answer's type.

    What it imports is named as below fleetenv.onhost; or, `fleetenv.` and all, from elsewhere.
    """

    subject: str
    modules: tuple[str, ...]
    answer: type[T]

    def ask(self, prefix: str, **arguments: object) -> Run:
        """Return the step that asks about a Miniconda prefix; arguments as the module's `answer` takes them."""
        python = f"{prefix}/bin/python"
        absent = f"there is no Miniconda in {prefix}: --prefix, or the host's variable conda_prefix, says where it is"
        script = f"[ -x {sh(python)} ] || {{ {sh('echo', absent)} >&2; exit 1; }}\n"
        script += sh("exec", python, "-I", "-S", "-c", PROGRAM)
        return Run(script, stdin=self.asked(prefix=prefix, **arguments), may_fail=True)

    def asked(self, **arguments: object) -> bytes:
        """Return what [`PROGRAM`][] reads: the modules that answer, and the arguments."""
        asked = {
            "subject": self.subject,
            "arguments": arguments,
            "modules": _sources(self.modules),
            "packages": _PACKAGES,
        }
        return json.dumps(asked).encode()

    def read(self, completed: Completed) -> T:
        """Return the answer.

        Raises:
            TaskFailed: the host could not give one, or what it said is none.
        """
        if completed.status != 0:
            lines = [line for line in completed.error_text.splitlines() if line.strip()]
            raise TaskFailed(lines[-1] if lines else f"Miniconda's Python ended with exit status {completed.status}")
        if completed.dropped:
            raise TaskFailed("the host's answer is too long")
        try:
            return msgspec.json.decode(completed.stdout, type=self.answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise TaskFailed(f"the host's answer is not understood: {error}") from error


ROLLBACK = Inquiry("rollback", (*LAYERS, "interpreter", "rollback"), Rollback)
LISTING = Inquiry("listing", (*LAYERS, "disk", "listing", "records"), Listing)
CLEANING = Inquiry("cleaning", (*LAYERS, "arrivals", "cleaning", "disk", "wheelcache"), Cleaning)
VERIFICATION = Inquiry(
    "verification", (*_GENERATIONS, "contents", "interpreter", "places", "records", "verification"), Verifications
)
GPU_PACKAGES = Inquiry("gpu_packages", (*_GENERATIONS, "gpu_packages", "places", "records"), gpu_packages.Environments)
SMOKE = Inquiry("smoke", ("answering", "report", "smoke"), Smoke)


def ask_smoke(prefix: str, name: str, devices: Sequence[str], seconds: int) -> Run:
    """Return the step that tries GPUs with an environment; arguments as the module `smoke` takes them."""
    program = _sources(("frameworks", "cuda_driver", "multiply"))
    return SMOKE.ask(prefix, name=name, devices=devices, program=program, seconds=seconds)


@cache
def _sources(modules: tuple[str, ...]) -> Mapping[str, str]:
    sources = dict.fromkeys(_PACKAGES, "")
    for name in modules:
        whole = name if name.startswith("fleetenv.") else f"fleetenv.onhost.{name}"
        package, _, module = whole.rpartition(".")
        sources[whole] = files(package).joinpath(f"{module}.py").read_text(encoding="utf-8")
    return sources
