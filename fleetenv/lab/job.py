"""A job that runs on a lab host for a while, as a training does: the demo's proof that a switch disturbs nobody."""

from __future__ import annotations

import json
from dataclasses import dataclass

from fleetenv.errors import TaskFailed
from fleetenv.lab.fleet import Host
from fleetenv.remote import sh

# Each beat looks the package up anew, so a job whose environment was changed under it would show that. It ends by
# itself after ten minutes, in case nobody is left to stop it.
_PROGRAM = """
import importlib.metadata, json, sys, time
for number in range(3000):
    version = importlib.metadata.version(sys.argv[1])
    print(json.dumps([number, sys.prefix, version]), flush=True)
    time.sleep(0.2)
"""


@dataclass(frozen=True, slots=True)
class Beat:
    """One sign of life."""

    number: int
    prefix: str  # the job's own sys.prefix
    version: str  # of the package that it watches


@dataclass(frozen=True, slots=True)
class Job:
    """A running job; its lines are in `log` on the host."""

    host: Host
    process: int  # its id on the host
    log: str

    @classmethod
    def start(cls, host: Host, prefix: str, package: str, log: str = "job.log") -> Job:
        """Start a job with the environment's interpreter, in a session of its own, that watches one package.

        Raises:
            TaskFailed: it did not come to its first beat.
        """
        python = sh("setsid", f"{prefix}/bin/python", "-u", "-c", _PROGRAM, package)
        done = host.run(
            f"rm -f {sh(log)}; {python} >{sh(log)} 2>&1 </dev/null & job=$!\n"
            f"until [ -s {sh(log)} ]; do kill -0 $job || exit 1; sleep 0.05; done; echo $job"
        )
        if done.status != 0 or not done.text.strip().isdigit():
            raise TaskFailed(f"{host.name}: the job did not start: {done.error_text.strip()}")
        job = cls(host, int(done.text), log)
        if not job.beats():
            raise TaskFailed(f"{host.name}: the job did not start: {host.run(sh('cat', log)).text.strip()[-300:]}")
        return job

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self.host.run(sh("kill", "-0", self.process)).status == 0

    def beats(self) -> list[Beat]:
        """Return all beats so far; lines that are none end the list."""
        beats = []
        for line in self.host.run(sh("cat", self.log)).text.splitlines():
            try:
                number, prefix, version = json.loads(line)
            except ValueError:
                break
            beats.append(Beat(int(number), str(prefix), str(version)))
        return beats

    def next_beat(self) -> Beat:
        """Wait for a beat that is not there yet, and return it.

        Raises:
            TaskFailed: the job has ended.
        """
        seen = len(self.beats())
        log, alive = sh(self.log), sh("kill", "-0", self.process)
        done = self.host.run(f"until [ $(wc -l <{log}) -gt {seen} ]; do {alive} || exit 1; sleep 0.05; done")
        if done.status != 0:
            raise TaskFailed(f"{self.host.name}: the job has ended: {self.host.run(sh('tail', '-3', self.log)).text}")
        return self.beats()[-1]

    def stop(self) -> None:
        """End it; it may have ended already."""
        self.host.run(sh("kill", self.process))
