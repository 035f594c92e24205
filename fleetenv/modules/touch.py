"""`file` with `state: touch`: a file whose times are set."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, ClassVar

from fleetenv.modules.base import ActionModule, Outcome
from fleetenv.modules.filestate import ansible_keys, look_up, refuse_denied, wished
from fleetenv.modules.filesteps import attributes
from fleetenv.modules.hostpath import quoted
from fleetenv.remote import Completed, Run, Step, sh
from fleetenv.state import compare

if TYPE_CHECKING:
    from fleetenv.modules.file import File


class Touch(ActionModule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make an empty file, or set the times of one that is there: a change each time, unless both are preserved."""

    name: ClassVar[str] = "file"

    file: File

    def act(self, *, check: bool) -> Generator[Step, Completed, Outcome]:
        """Look, then touch; in check mode only look."""
        file = self.file
        question = look_up(file.path, follow=True)
        look = f"{sh('set', '--', question.subject)}\n{question.script}"
        found = question.parse((yield Run(look)))[question.subject]
        refuse_denied(found, file.path)
        kind = "file" if found is None or not isinstance(found.kind, str) else found.kind
        diff = compare(wished(found, file.path, kind=kind, mode=file.mode, owner=file.owner, group=file.group), found)
        options = [
            option
            for option, time in (("-a", file.access_time), ("-m", file.modification_time))
            if found is None or time != "preserve"
        ]
        word = quoted(file.path)
        commands = [f"touch {' '.join(options)} -- {word}"] if options else []
        commands += attributes(word, diff)
        if commands and not check:
            done = yield Run(f"{{ {' && '.join(commands)}; }} || exit\n{look}")
            if done.status != 0:
                return Outcome(failed=True, msg=done.error_text.strip()[:1000])
            found = question.parse(done)[question.subject]
        return Outcome(changed=bool(commands), values={"dest": file.path, **ansible_keys(found)})
