"""ansible-inventory, imported once and then forked for each call: that is most of what a call takes.

Reads a line of JSON for each call (words, folder, file for its output, file for its errors), answers its exit status.
"""

import json
import os
import sys

from ansible.cli.inventory import InventoryCLI


def call(words: list[str], folder: str, output: str, errors: str) -> int:
    """Be ansible-inventory, as its program is."""
    os.chdir(folder)
    for number, file in ((1, output), (2, errors)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    try:
        InventoryCLI.cli_executor(["ansible-inventory", *words])
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os._exit(call(*json.loads(line)))
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
