"""What is said to a host, and what it answers: plain data, written by modules and carried by the shell."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from msgspec import Struct, field

if TYPE_CHECKING:
    from concurrent.futures import Future

T_co = TypeVar("T_co", covariant=True)


def sh(*words: str | int) -> str:
    """Quote words into one POSIX shell command. The only place where anything is quoted for a host."""
    return shlex.join(str(word) for word in words)


def on_host(name: str) -> str:
    """Return a file of `fleetenv/onhost`, to be sent to a host; importing `importlib.resources` would take 5 ms."""
    return (Path(__file__).parent / "onhost" / name).read_text(encoding="utf-8")


class Completed(Struct, frozen=True):
    """What a script left behind: exit status, and all that it wrote."""

    status: int
    stdout: bytes = b""
    stderr: bytes = b""
    dropped: int = 0  # bytes of output beyond what is kept of one step; a probe's answer is then not whole

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are not UTF-8 become U+FFFD."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        """Standard error as text, as in [`text`][]."""
        return self.stderr.decode("utf-8", "replace")


class Offer(Struct, frozen=True):
    """A file of the controller's that a step may fetch, known by the sha256 of what is in it."""

    sha256: str
    obtain: Callable[[], Future[Path]]
    """Begins to get the file, or joins in if that has begun; may be called often. It fails with a `FleetenvError`."""
    notes: Callable[[], Sequence[str]] = tuple
    """What is worth telling with the task of a step that has fetched it: of sources that were left for others."""


WANTS_FILES = 69
"""EX_UNAVAILABLE of sysexits.h: the exit status of a step that its offers cannot reach, see [`Run`][]."""


class Run(Struct, frozen=True):
    """Run POSIX sh text on the host; a non-zero exit status fails the step, and what was to follow is not done.

    `stdin` is where secrets and file contents travel: never in `script`, which other users of the host may see.
    A script reports progress by writing lines `fleetenv-progress DONE TOTAL TEXT` to standard error; they are taken
    out of what [`Completed`][] holds. What it writes to standard output as `fleetenv-note TEXT` is told with the task.

    While it runs, `GET $FLEETENV_FILES/SHA256` on the host gives each file of `offers` (HTTP, with ranges), and no
    other. Where the host's sshd forwards nothing, that variable is empty: then the script may end with the status
    [`WANTS_FILES`][] and lines `fleetenv-wants SHA256` on standard output. Those files are put into the folder
    `arrivals`, under their sha256, and it is run again.

    A `kit` defines functions, and does nothing else; `script` is then one line that calls them, and is not put into a
    subshell: its functions leave nothing behind but variables whose names begin with `fe_`, and never end the shell.
    A kit goes to each shell once.
    """

    script: str
    stdin: bytes = b""
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None  # seconds; None: the task's own
    may_fail: bool = False  # a non-zero exit status does not stop what follows it in the same message
    offers: tuple[Offer, ...] = ()
    arrivals: str = ""
    kit: str = ""

    def __repr__(self) -> str:
        return f"Run({self.script!r})"  # the rest may be secret


class Send(Struct, frozen=True):
    """Put a file on the host: written beside `path`, given its mode and owner, then renamed over it.

    Bytes travel in the message itself. A `Path` is a file on the controller that may be large: it is streamed, and a
    transfer that was cut off is resumed from what the host already has.
    """

    content: bytes | Path
    path: str
    mode: int | None = None  # None: as the file was, else 0644 less the umask
    owner: str | None = None
    group: str | None = None

    def __repr__(self) -> str:
        return f"Send({self.path!r})"  # the content may be secret


Step: TypeAlias = Run | Send


class Probe(Struct, Generic[T_co], frozen=True):
    """A question to a host that changes nothing there. Pure data: equal probes are asked once.

    `parse` must accept whatever a host may print, and raise [`ValueError`][] for what it cannot understand.
    """

    script: str
    parse: Callable[[Completed], T_co]  # does not count: equal scripts are equal probes
    stdin: bytes = b""
    timeout: float | None = None  # seconds; None: the task's own

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Probe) and (other.script, other.stdin) == (self.script, self.stdin)

    def __hash__(self) -> int:
        return hash((self.script, self.stdin))


class Kit(Struct, frozen=True):
    """Functions that a shell keeps, see [`Run`][]: once it knows them, a question is no more than a call of one."""

    functions: str
    asked: str  # the name of the function that is called with the subjects

    @property
    def script(self) -> str:
        """All of it, for a shell that knows nothing yet."""
        return f'{self.functions}{self.asked} "$@"\n'


class Lookup(Struct, Generic[T_co], frozen=True):
    """A probe about one of many subjects: all lookups of equal `script` are asked as one, with one parse.

    The script gets the subjects as `"$@"`; `parse` gets its whole output, and maps each subject to what was found, as
    does the `parse` of each other lookup of that script.
    """

    script: str
    parse: Callable[[Completed], Mapping[str, T_co]]
    subject: str
    kit: Kit | None = None  # what the script consists of, where a shell can keep it

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lookup) and (other.script, other.subject) == (self.script, self.subject)

    def __hash__(self) -> int:
        return hash((self.script, self.subject))
