"""What a process can be given to compute on: a GPU, or, in MIG mode, a part of one."""

from __future__ import annotations

import msgspec

from fleetenv.gpu.states import Gpu, GpuHost


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU, or a part of one."""

    index: int  # the GPU's
    mig: int | None = None  # the part's index; None: the whole GPU
    uuid: str | None = None  # the part's own where there are parts
    bus_id: str
    kind: str  # model, memory, and the part's profile: NVIDIA A100-SXM4-80GB 3g.40gb

    @property
    def visible(self) -> str:
        """What CUDA_VISIBLE_DEVICES must be for a process to see this one only."""
        return self.uuid or str(self.index)

    def __str__(self) -> str:
        part = "" if self.mig is None else f" MIG {self.mig}"
        return f"GPU {self.index}{part}  {self.uuid or 'no UUID'}  {self.bus_id}"


def devices(host: GpuHost) -> list[Device]:
    """Return the devices of a host; of a GPU in MIG mode its parts, if the driver names them."""
    return [device for gpu in host.gpus for device in _devices(gpu)]


def _devices(gpu: Gpu) -> list[Device]:
    parts = [
        Device(
            index=gpu.index, mig=part.index, uuid=part.uuid, bus_id=gpu.bus_id,
            kind=f"{gpu.kind} {part.profile or 'MIG'}",
        )
        for part in gpu.mig_layout
        if gpu.mig and part.uuid
    ]  # fmt: skip
    return parts or [Device(index=gpu.index, uuid=gpu.uuid, bus_id=gpu.bus_id, kind=gpu.kind)]
