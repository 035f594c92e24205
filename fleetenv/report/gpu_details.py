"""Each GPU of each host, one a line: what is in use, by whom, how warm, and in which mode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fleetenv.errors import HostError
from fleetenv.gpu.hardware import Gpu
from fleetenv.gpu.states import GpuHost
from fleetenv.report.text import visible_line

_COLUMNS = ("GPU", "BUS", "MEMORY", "LOAD", "°C", "WATTS", "ECC", "PCIE", "NVLINK", "MIG", "MODE", "USED BY")
_MIB_PER_GIB = 1024
_MODES = {"exclusive_process": "exclusive", "prohibited": "none"}


def print_details(answers: Mapping[str, GpuHost | HostError], console: Console) -> None:
    """Print a heading and a table for each host that answered and has GPUs."""
    with console.capture() as captured:
        for name, answer in answers.items():
            if isinstance(answer, GpuHost) and answer.gpus:
                console.print(_heading(name, answer))
                console.print(_table(answer))
                console.print()
    for row in captured.get().splitlines():
        encoded = row.rstrip().encode(console.encoding, "backslashreplace")
        console.file.write(encoded.decode(console.encoding) + "\n")


def _heading(name: str, host: GpuHost) -> Text:
    words = []
    if host.driver:
        words.append(f"driver {host.driver.version}" + (f" ({host.driver.flavour})" if host.driver.flavour else ""))
    words += [f"CUDA {host.cuda}"] if host.cuda else []
    words += [", ".join(f"{count} {kind}" for kind, count in host.kinds.items())]
    if host.fabric_manager and host.switches:
        manager = host.fabric_manager
        words.append(f"Fabric Manager {manager.version or ''} {manager.service or 'not installed'}")
    text = Text(visible_line(name), "bold").append(visible_line(f"  {'; '.join(words)}"), "not bold")
    return text.append(" (simulated)", "magenta") if host.simulated else text


def _table(host: GpuHost) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    rows = [list(_cells(gpu)) for gpu in host.gpus]
    used = [any(row[place] != "-" for row in rows) for place in range(len(_COLUMNS))]
    for name, shown in zip(_COLUMNS, used, strict=True):
        if shown:
            table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible_line(cell)) for cell, shown in zip(row, used, strict=True) if shown))
    return table


def _cells(gpu: Gpu) -> Iterator[str]:
    yield str(gpu.index)
    yield gpu.bus_id or "-"
    yield "-" if gpu.memory_mib is None else f"{_gib(gpu.memory_used_mib)}/{_gib(gpu.memory_mib)} GiB"
    yield "-" if gpu.utilization is None else f"{gpu.utilization} %"
    yield _of(gpu.temperature_c, gpu.temperatures.slowdown)
    yield _of(gpu.power_w, gpu.power_limit_w)
    yield _ecc(gpu)
    link = gpu.link
    yield "-" if link.width is None else f"{link.generation or '?'}x{link.width}"
    yield f"{sum(link.active for link in gpu.nvlinks)}/{len(gpu.nvlinks)}" if gpu.nvlinks else "-"
    yield _mig(gpu)
    yield _MODES.get((gpu.compute_mode or "").lower(), "-")
    yield ", ".join(f"{process.user or '?'}:{process.name.rpartition('/')[2]}" for process in gpu.processes) or "-"


def _gib(mib: int | None) -> str:
    return "?" if mib is None else f"{mib / _MIB_PER_GIB:.0f}"


def _of(now: float | None, limit: float | None) -> str:
    if now is None:
        return "-"
    return f"{now:.0f}/{limit:.0f}" if limit is not None else f"{now:.0f}"


def _ecc(gpu: Gpu) -> str:
    """`off`, or how many errors were corrected and not corrected since the driver was loaded."""
    errors = gpu.memory.volatile
    if errors.corrected is None and errors.uncorrected is None:
        return "-" if gpu.memory.ecc is None else "on" if gpu.memory.ecc else "off"
    return f"{errors.corrected or 0}+{errors.uncorrected or 0}"


def _mig(gpu: Gpu) -> str:
    if gpu.mig is None:
        return "-"
    return " ".join(device.profile or "?" for device in gpu.mig_layout) or "on" if gpu.mig else "off"
