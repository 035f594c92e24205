"""AMD's GPUs: the JSON of `amd-smi static|metric|version --json` (ROCm 5.7 to 7), and of `rocm-smi -a --json` before.

`amd-smi` prints a list of GPUs, or `{"gpu_data": [...]}` since ROCm 7; a value is a number, a text, or
`{"value": 196592, "unit": "MB"}`; what it cannot tell is `N/A`. Sections move between versions, so each value is
looked for where any of them has it. `rocm-smi` prints `{"card0": {"Card series": ...}, "system": {...}}`, all values
texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import msgspec

from fleetenv.gpu.hardware import EccErrors, Gpu, Link, Memory, Power, Temperatures
from fleetenv.gpu.smi import normal_bus_id
from fleetenv.gpu.values import MAX_TEXT, UNKNOWN, first

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"

_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,6})?", re.ASCII)
_VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){1,5}", re.ASCII)
_PER_MIB = {"B": 2**-20, "KB": 2**-10, "MB": 1.0, "GB": 1024.0, "MIB": 1.0, "GIB": 1024.0}
_GENERATIONS = {2.5: 1, 5.0: 2, 8.0: 3, 16.0: 4, 32.0: 5, 64.0: 6}  # GT/s
_THROTTLES = ("prochot", "ppt", "socket_thermal", "vr_thermal", "hbm_thermal")
_USAGE = {"memory": ("usage", "umc_activity"), "fan": ("fan", "usage")}
_CARD = re.compile(r"card(?P<index>[0-9]{1,3})", re.ASCII)
_MAX_GPUS = 256
_MAX_BLOCKS = 100


class AmdLog(msgspec.Struct, frozen=True, kw_only=True):
    """What AMD's tool told of a host."""

    driver: str | None
    gpus: tuple[Gpu, ...]


def parse_amd_smi(static: str, metric: str, version: str) -> AmdLog:
    """Read what `amd-smi` printed for `static`, `metric` and `version`; the last two may be empty.

    Raises:
        ValueError: `static` is not such JSON.
    """
    fixed = _by_index(_document(static))
    if not fixed:
        raise ValueError("amd-smi told of no GPU")
    moving = _by_index(_document(metric)) if metric.strip() else {}
    told = next(_objects(_document(version)), {}) if version.strip() else {}
    drivers = [_version(_at(gpu, "driver", name)) for gpu in fixed.values() for name in ("version", "driver_version")]
    return AmdLog(
        driver=_version(_at(told, "amdgpu_version")) or next(filter(None, drivers), None),
        gpus=tuple(_gpu(index, gpu, moving.get(index, {})) for index, gpu in sorted(fixed.items())),
    )


def parse_rocm_smi(output: str) -> AmdLog:
    """Read what `rocm-smi -a --json` printed.

    Raises:
        ValueError: it is not such JSON.
    """
    document = _document(output)
    if not isinstance(document, dict):
        raise ValueError("rocm-smi printed no JSON object")
    cards = {
        int(found["index"]): {key.lower().rstrip(":"): value for key, value in card.items()}
        for name, card in document.items()
        if isinstance(card, dict) and (found := _CARD.fullmatch(name))
    }
    if not cards or len(cards) > _MAX_GPUS:
        raise ValueError(f"rocm-smi told of {len(cards)} GPUs")
    return AmdLog(
        driver=_version(_at(document, "system", "Driver version")),
        gpus=tuple(_rocm_gpu(index, card) for index, card in sorted(cards.items())),
    )


def _gpu(index: int, static: Plain, metric: Plain) -> Gpu:
    asic, limit = _at(static, "asic"), _at(static, "limit")
    power = _power(limit, _at(metric, "power"))
    return Gpu(
        index=index,
        bus_id=normal_bus_id(_text(_at(static, "bus", "bdf")) or ""),
        model=_text(_at(asic, "market_name")) or _text(_at(static, "board", "product_name")) or "unknown model",
        uuid=_text(_at(asic, "asic_serial")),
        serial=_text(_at(static, "board", "product_serial")),
        architecture=_text(_at(asic, "target_graphics_version")),
        vbios=_first_text(static, ("vbios", "version"), ("ifwi", "version"), ("vbios", "part_number")),
        memory_mib=_mib(_at(static, "vram", "size")) or _mib(_at(metric, "mem_usage", "total_vram")),
        memory_used_mib=_mib(_at(metric, "mem_usage", "used_vram")),
        utilization=_integer(_at(metric, "usage", "gfx_activity")),
        memory=_memory(static, metric),
        link=_link(_at(static, "bus"), _at(metric, "pcie")),
        temperature_c=first(_number(_at(metric, "temperature", name)) for name in ("hotspot", "edge")),
        temperatures=_temperatures(limit, _at(metric, "temperature")),
        power_w=power.draw,
        power_limit_w=power.limit,
        power=power,
        clocks=_numbers(metric, {"graphics": ("clock", "gfx_0", "clk"), "memory": ("clock", "mem_0", "clk")}),
        usage={name: int(value) for name, value in _numbers(metric, _USAGE).items()},
        slowdowns=_slowdowns(metric),
        board=_board(asic),
        modes={
            name: text
            for name in ("process_isolation", "compute_partition", "memory_partition")
            if (text := _text(_at(static, name)) or _text(_at(static, "partition", name)))
        },
    )


def _memory(static: Plain, metric: Plain) -> Memory:
    blocks = _at(metric, "ecc_blocks")
    named = list(blocks.items())[:_MAX_BLOCKS] if isinstance(blocks, dict) else []

    def counted(kind: str) -> dict[str, int]:
        counts = {name[:MAX_TEXT]: _integer(_at(block, kind)) for name, block in named}
        return {name: count for name, count in counts.items() if count is not None}

    states = _at(static, "ras", "ecc_block_state")
    exceeded = _text(_at(static, "ras", "bad_page_threshold_exceeded"))
    return Memory(
        ecc=_text(_at(states, "UMC")) == "ENABLED" if isinstance(states, dict) else None,
        volatile=EccErrors(
            corrected=_integer(_at(metric, "ecc", "total_correctable_count")),
            uncorrected=_integer(_at(metric, "ecc", "total_uncorrectable_count")),
            corrected_at=counted("correctable_count"),
            uncorrected_at=counted("uncorrectable_count"),
        ),
        unrepairable=None if exceeded is None else exceeded.lower() in ("true", "yes", "enabled", "exceeded"),
    )


def _link(bus: Plain, pcie: Plain) -> Link:
    return Link(
        generation=_generation(_at(pcie, "speed")) or _generation(_at(pcie, "current_speed")),
        max_generation=_generation(_at(bus, "max_pcie_speed")),
        width=_integer(_at(pcie, "width")) or _integer(_at(pcie, "current_lanes")),
        max_width=_integer(_at(bus, "max_pcie_width")) or _integer(_at(bus, "max_pcie_lanes")),
        replays=_integer(_at(pcie, "replay_count")),
    )


def _generation(speed: Plain) -> int | None:
    number = _number(speed)
    return None if number is None else _GENERATIONS.get(number)


def _power(limit: Plain, power: Plain) -> Power:
    draws = ("socket_power", "current_socket_power", "average_socket_power")
    return Power(
        draw=first(_number(_at(power, name)) for name in draws),
        limit=first(
            (_number(_at(limit, "socket_power")), _number(_at(limit, "ppt0", "socket_power_limit")),
             _number(_at(limit, "current_power"))),
        ),
        min=first((_number(_at(limit, "min_power")), _number(_at(limit, "ppt0", "min_power_limit")))),
        max=first((_number(_at(limit, "max_power")), _number(_at(limit, "ppt0", "max_power_limit")))),
    )  # fmt: skip


def _temperatures(limit: Plain, now: Plain) -> Temperatures:
    return Temperatures(
        memory=_number(_at(now, "mem")),
        slowdown=first(_number(_at(limit, f"slowdown_{place}_temperature")) for place in ("hotspot", "edge")),
        shutdown=first(_number(_at(limit, f"shutdown_{place}_temperature")) for place in ("hotspot", "edge")),
        memory_operating=first(_number(_at(limit, f"slowdown_{place}_temperature")) for place in ("vram", "mem")),
    )


def _slowdowns(metric: Plain) -> tuple[str, ...]:
    """What holds the clocks down: told one by one since MI300, before as one word.

    `amd_throttled` and `amd_ppt` are no illness: a busy GPU that is at its power limit has them.
    """
    reasons = [
        f"amd_{name}"
        for name in _THROTTLES
        if (_text(_at(metric, "throttle", f"{name}_violation_status")) or "").upper() == "ACTIVE"
    ]
    throttled = (_text(_at(metric, "power", "throttle_status")) or "").upper() == "THROTTLED"
    return tuple(reasons) or (("amd_throttled",) if throttled else ())


def _board(asic: Plain) -> dict[str, str]:
    names = ("vendor_name", "device_id", "subsystem_id", "rev_id", "oam_id")
    found = {name: _text(_at(asic, name)) for name in names}
    return {name: text for name, text in found.items() if text}


def _rocm_gpu(index: int, card: Mapping[str, Plain]) -> Gpu:
    def text(*names: str) -> str | None:
        return next(filter(None, (_text(card.get(name)) for name in names)), None)

    def number(*names: str) -> float | None:
        return first(_number(card.get(name)) for name in names)

    draw = number("average graphics package power (w)", "current socket graphics package power (w)")
    limit = number("max graphics package power (w)")
    total, used = number("vram total memory (b)"), number("vram total used memory (b)")
    return Gpu(
        index=index,
        bus_id=normal_bus_id((text("pci bus") or "").partition(" ")[0]),
        model=text("card series", "card model", "device name") or "unknown model",
        uuid=text("unique id"),
        serial=text("serial number"),
        architecture=text("gfx version"),
        vbios=text("vbios version"),
        memory_mib=None if total is None else int(total) // 2**20,
        memory_used_mib=None if used is None else int(used) // 2**20,
        utilization=_integer(card.get("gpu use (%)")),
        link=Link(replays=_integer(card.get("pcie replay count"))),
        temperature_c=number("temperature (sensor junction) (c)", "temperature (sensor edge) (c)"),
        temperatures=Temperatures(memory=number("temperature (sensor memory) (c)", "temperature (sensor mem) (c)")),
        power_w=draw,
        power_limit_w=limit,
        power=Power(draw=draw, limit=limit),
    )


def _document(output: str) -> Plain:
    """Read JSON; warnings may stand before it."""
    starts = [at for at in (output.find("{"), output.find("[")) if at >= 0]
    try:
        document: Plain = msgspec.json.decode(output[min(starts, default=0) :])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    return document


def _objects(document: Plain) -> Iterator[dict[str, Plain]]:
    if isinstance(document, dict):
        inner = document.get("gpu_data")
        document = inner if isinstance(inner, list) else [document]
    if isinstance(document, list):
        yield from (each for each in document[:_MAX_GPUS] if isinstance(each, dict))


def _by_index(document: Plain) -> dict[int, dict[str, Plain]]:
    return {index: gpu for gpu in _objects(document) if (index := _integer(gpu.get("gpu"))) is not None}


def _at(value: Plain, *path: str) -> Plain:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(value: Plain) -> str | None:
    if isinstance(value, dict):
        value = value.get("value")
    if not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    return None if not text or text.lower() in UNKNOWN else text[:MAX_TEXT]


def _first_text(value: Plain, *paths: tuple[str, ...]) -> str | None:
    return next(filter(None, (_text(_at(value, *path)) for path in paths)), None)


def _number(value: Plain) -> float | None:
    """Read `{"value": 16, "unit": "GT/s"}`, `16`, `"16"`, `"16 GT/s"`."""
    found = _NUMBER.match(_text(value) or "")
    return float(found[0]) if found else None


def _numbers(value: Plain, table: Mapping[str, tuple[str, ...]]) -> dict[str, float]:
    found = {name: _number(_at(value, *path)) for name, path in table.items()}
    return {name: number for name, number in found.items() if number is not None}


def _integer(value: Plain) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _mib(value: Plain) -> int | None:
    number = _number(value)
    if number is None:
        return None
    unit = _text(_at(value, "unit")) or (_text(value) or "").partition(" ")[2] or "MB"
    return int(number * _PER_MIB.get(unit.upper(), 1.0))


def _version(value: Plain) -> str | None:
    """Return the version in `6.10.5`, and in `Linuxversion6.14.0-24-generic(...)` of a driver that came with Linux."""
    found = _VERSION.search(_text(value) or "")
    return found[0] if found else None
