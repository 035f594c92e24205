"""One SSH session on an embedded host: a real process, its pipes joined to the channel without a detour."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal as signals
import subprocess
import termios
from collections.abc import Callable, Mapping
from typing import ClassVar

import asyncssh

from fleetenv.lab.embedded import HostFolder

_GRACE = 1.0  # seconds between SIGHUP and SIGKILL when a client goes away
_MOST_UNWRITTEN = 1 << 20  # bytes of stdin kept for a process that does not read, before the client has to wait
_BLOCK = 1 << 18  # bytes read at once

Channel = asyncssh.SSHServerChannel[bytes]


class Session(asyncssh.SSHServerSession[bytes]):
    """Runs what the client asks for with `sh -c`, or a shell, with a terminal if it wants one."""

    running: ClassVar[set[int]] = set()
    """The processes that sessions wait for themselves."""

    def __init__(self, folder: HostFolder) -> None:
        self._folder = folder
        self._words: list[str] = []
        self._channel: Channel
        self._process: subprocess.Popen[bytes] | None = None
        self._input: _Input
        self._outputs: list[_Output] = []

    def connection_made(self, chan: Channel) -> None:
        """The channel is open."""
        self._channel = chan

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Mapping[int, int]
    ) -> bool:
        """Terminals are given."""
        return True

    def shell_requested(self) -> bool:
        """An interactive shell."""
        self._words = ["/bin/sh"]
        return True

    def exec_requested(self, command: str) -> bool:
        """One command, run as sshd does: by the user's shell."""
        self._words = ["/bin/sh", "-c", command]
        return True

    def session_started(self) -> None:
        """Start the process."""
        try:
            self._start()
        except OSError as error:
            self._channel.write(f"cannot start a process: {error}\n".encode(), asyncssh.EXTENDED_DATA_STDERR)
            self._channel.exit(126)

    def _start(self) -> None:
        environment = self._folder.environment | dict(self._channel.get_environment())
        terminal = self._channel.get_terminal_type()
        if terminal is None:
            (inner_in, outer_in), (outer_out, inner_out), (outer_err, inner_err) = os.pipe(), os.pipe(), os.pipe()
        else:
            environment["TERM"] = terminal
            outer_in, inner_in = _terminal(self._channel)
            inner_out = inner_err = inner_in
            outer_out, outer_err = os.dup(outer_in), None
        try:
            self._process = subprocess.Popen(
                self._words,
                stdin=inner_in,
                stdout=inner_out,
                stderr=inner_err,
                cwd=self._folder.home,
                env=environment,
                start_new_session=True,
                preexec_fn=_control_terminal if terminal is not None else None,
            )
        finally:
            for inner in {inner_in, inner_out, inner_err}:
                os.close(inner)
        Session.running.add(self._process.pid)
        self._input = _Input(outer_in, self._channel)
        self._outputs = [_Output(outer_out, self._channel, None, self._ended)]
        if outer_err is not None:
            self._outputs.append(_Output(outer_err, self._channel, asyncssh.EXTENDED_DATA_STDERR, self._ended))
        descriptor = os.pidfd_open(self._process.pid)
        asyncio.get_running_loop().add_reader(descriptor, self._exited, descriptor)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """The client wrote to stdin."""
        if self._process is not None:
            self._input.write(data)

    def eof_received(self) -> bool:
        """The client's stdin ended; the other direction stays open."""
        if self._process is not None:
            self._input.end()
        return True

    def signal_received(self, signal: str) -> None:
        """The client sends a signal, by its name without SIG."""
        number = getattr(signals, f"SIG{signal}", None)
        if isinstance(number, signals.Signals):
            self._signal(number)

    def pause_writing(self) -> None:
        """The client reads slower than the process writes."""
        for output in self._outputs:
            output.pause()

    def resume_writing(self) -> None:
        """The client caught up."""
        for output in self._outputs:
            output.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: so is what it ran, after a moment to end by itself."""
        if self._process is None:
            return
        self._input.close()
        for output in self._outputs:
            output.close()
        if self._process.returncode is None:
            self._signal(signals.SIGHUP)
            asyncio.get_running_loop().call_later(_GRACE, self._signal, signals.SIGKILL)

    def _signal(self, number: signals.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            os.killpg(self._process.pid, number)

    def _exited(self, descriptor: int) -> None:
        assert self._process is not None
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        self._process.wait()
        Session.running.discard(self._process.pid)
        self._input.close()
        self._ended()

    def _ended(self) -> None:
        """As with sshd, the channel closes when the process ended and nobody holds its outputs open any more."""
        assert self._process is not None
        status = self._process.returncode
        if status is None or self._channel.is_closing() or not all(output.closed for output in self._outputs):
            return
        if status < 0:
            self._channel.exit_with_signal(signals.Signals(-status).name.removeprefix("SIG"))
        else:
            self._channel.exit(status)


class _Input:
    """Takes what the client writes to a process's stdin, without ever waiting for the process."""

    def __init__(self, descriptor: int, channel: Channel) -> None:
        self._descriptor = descriptor
        self._channel = channel
        self._unwritten = bytearray()
        self._paused = False
        self._ending = False
        self._closed = False
        os.set_blocking(descriptor, False)

    def write(self, data: bytes) -> None:
        if self._closed or self._ending:
            return
        waiting = bool(self._unwritten)
        self._unwritten += data
        if waiting:
            self._hold()
        else:
            self._flush()

    def end(self) -> None:
        self._ending = True
        if not self._unwritten:
            self.close()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        asyncio.get_running_loop().remove_writer(self._descriptor)
        os.close(self._descriptor)
        self._unwritten.clear()
        self._release()

    def _flush(self) -> None:
        try:
            del self._unwritten[: os.write(self._descriptor, self._unwritten)]
        except BlockingIOError:
            pass
        except OSError:  # the process closed its stdin: what comes is for nobody
            self.close()
            return
        loop = asyncio.get_running_loop()
        if self._unwritten:
            loop.add_writer(self._descriptor, self._flush)
            self._hold()
            return
        loop.remove_writer(self._descriptor)
        if self._ending:
            self.close()
        else:
            self._release()  # last: it may bring more data, and the end, before it returns

    def _hold(self) -> None:
        if not self._paused and len(self._unwritten) > _MOST_UNWRITTEN:
            self._paused = True
            self._channel.pause_reading()

    def _release(self) -> None:
        if self._paused:
            self._paused = False
            self._channel.resume_reading()


class _Output:
    """Sends what a process writes to the client, as fast as the client takes it."""

    def __init__(self, descriptor: int, channel: Channel, kind: int | None, ended: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._channel = channel
        self._kind = kind
        self._ended = ended
        self.closed = False
        os.set_blocking(descriptor, False)
        self.resume()

    def pause(self) -> None:
        if not self.closed:
            asyncio.get_running_loop().remove_reader(self._descriptor)

    def resume(self) -> None:
        if not self.closed:
            asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def close(self) -> None:
        self.pause()
        if not self.closed:
            self.closed = True
            os.close(self._descriptor)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, _BLOCK)
        except BlockingIOError:
            return
        except OSError:  # EIO: nobody holds the terminal any more
            data = b""
        if data:
            self._channel.write(data, self._kind)
        else:
            self.close()
            self._ended()


def _terminal(channel: Channel) -> tuple[int, int]:
    """Open a pseudo-terminal of the client's size: our end, and the process's."""
    outer, inner = os.openpty()
    columns, rows, _, _ = channel.get_terminal_size()
    if columns and rows:
        termios.tcsetwinsize(inner, (rows, columns))
    return outer, inner


def _control_terminal() -> None:
    """In the new process: make its stdin its controlling terminal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
