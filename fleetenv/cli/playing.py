"""What `apply` and `drift` share: reading a playbook and an inventory, and playing the one to the other."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from fleetenv.cli.options import read_defaults, read_extra_variables, read_inventory
from fleetenv.engine import Fleet, Options
from fleetenv.engine.fleet import Inquire
from fleetenv.events import Event, Sink
from fleetenv.shell import Connect, Defaults


class Relay(Sink):
    """Hands events on to several sinks."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    def __call__(self, event: Event) -> None:
        """Take one event."""
        for sink in self._sinks:
            sink(event)

    def close(self) -> None:
        """Close all."""
        for sink in self._sinks:
            sink.close()


def make_fleet(
    options: argparse.Namespace,
    sink: Sink,
    connect: Connect,
    *,
    check_mode: bool,
    survey: bool = False,
    diff: bool = False,
    relock: bool = False,
    inquire: Inquire | None = None,
    seal: Callable[[bytes], str] | None = None,
    defaults: Defaults | None = None,
) -> Fleet:
    """Read everything that the command line names; nothing is checked yet beyond that it can be read.

    Raises:
        InputError: something cannot be right.
    """
    path: Path = options.playbook
    inventory = read_inventory(options, playbook_folder=path.parent)
    defaults = defaults or read_defaults(options)
    choices = Options(
        check_mode=check_mode,
        survey=survey,
        diff=diff,
        forks=options.forks,
        limit=options.limit,
        tags=_words(options.tags) or frozenset({"all"}),
        skip_tags=_words(options.skip_tags),
        extra_vars=read_extra_variables(options),
        task_timeout=options.task_timeout,
        verbosity=options.verbose,
        relock=relock,
        seal=seal,
    )
    return Fleet(path, inventory, choices, defaults, connect, sink, inquire)


def play(fleet: Fleet, sink: Sink, prepared: Callable[[], None] = lambda: None) -> None:
    """Check all that can be checked, then run; Ctrl-C and SIGTERM end it cleanly, and the sinks are always closed.

    Args:
        fleet: The run.
        sink: Who is told of it.
        prepared: Called in between: what else may be wrong with the input is found there.

    Raises:
        InputError: something is wrong; no host was touched.
    """
    fleet.prepare()
    prepared()
    gc.freeze()  # what there is now stays: there is no use in looking through it again and again
    try:
        asyncio.run(_until_terminated(fleet))
    except (KeyboardInterrupt, asyncio.CancelledError):
        pass  # the sinks were told: the run finished, interrupted
    finally:
        sink.close()


async def _until_terminated(fleet: Fleet) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await fleet.run()


def _words(texts: Sequence[str]) -> frozenset[str]:
    return frozenset(word.strip() for text in texts for word in text.split(",") if word.strip())
