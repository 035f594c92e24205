"""One matrix product on one GPU with the driver alone: libcuda through ctypes. For Python 3.7 and newer.

Names and types are those of the CUDA Driver API, https://docs.nvidia.com/cuda/cuda-driver-api/ . The kernel is PTX,
which the driver compiles for the GPU that it finds: Kepler and all that came later.
"""

from __future__ import annotations

import ctypes
from array import array
from operator import mul
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

KERNEL = b"""\
.version 6.0
.target sm_30
.address_size 64
.visible .entry multiply(.param .u64 left, .param .u64 right, .param .u64 product, .param .u32 size)
{
  .reg .pred %p<3>;
  .reg .f32 %f<4>;
  .reg .b32 %r<9>;
  .reg .b64 %d<8>;
  ld.param.u64 %d1, [left];
  ld.param.u64 %d2, [right];
  ld.param.u64 %d3, [product];
  ld.param.u32 %r1, [size];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.u32 %r5, %r2, %r3, %r4;
  mov.u32 %r2, %ctaid.y;
  mov.u32 %r3, %ntid.y;
  mov.u32 %r4, %tid.y;
  mad.lo.u32 %r6, %r2, %r3, %r4;
  setp.ge.u32 %p1, %r5, %r1;
  @%p1 bra DONE;
  setp.ge.u32 %p1, %r6, %r1;
  @%p1 bra DONE;
  cvta.to.global.u64 %d1, %d1;
  cvta.to.global.u64 %d2, %d2;
  cvta.to.global.u64 %d3, %d3;
  mul.lo.u32 %r7, %r6, %r1;
  mul.wide.u32 %d4, %r7, 4;
  add.u64 %d4, %d1, %d4;
  mul.wide.u32 %d5, %r5, 4;
  add.u64 %d5, %d2, %d5;
  mul.wide.u32 %d6, %r1, 4;
  mov.f32 %f1, 0f00000000;
  mov.u32 %r8, 0;
LOOP:
  ld.global.f32 %f2, [%d4];
  ld.global.f32 %f3, [%d5];
  fma.rn.f32 %f1, %f2, %f3, %f1;
  add.u64 %d4, %d4, 4;
  add.u64 %d5, %d5, %d6;
  add.u32 %r8, %r8, 1;
  setp.lt.u32 %p2, %r8, %r1;
  @%p2 bra LOOP;
  add.u32 %r7, %r7, %r5;
  mul.wide.u32 %d7, %r7, 4;
  add.u64 %d7, %d3, %d7;
  st.global.f32 [%d7], %f1;
DONE:
  ret;
}
\0"""
"""A thread for each element of the product: column x, row y."""

_BLOCK = 16  # threads in each direction
_MEMORY = 32 << 20  # bytes that are written and read back
_PATTERN = 0xA5C3965A


class CudaError(Exception):
    """A call of the driver failed."""


class Driver:
    """The driver itself; a trial as those of the frameworks are. Its version is the CUDA that it supports."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libcuda.so.1")
        self._call("cuInit", 0)
        self.version = self._version()
        self.device = ""

    def prepare(self, size: int, device: str) -> None:
        """Check the GPU's memory, and put two matrices and the kernel there."""
        self._use_first_gpu()
        self._check_memory()
        self._size = size
        numbers = Random(0)  # noqa: S311  nothing secret
        self._left = numbers.choices(range(-4, 5), k=size * size)
        self._right = numbers.choices(range(-4, 5), k=size * size)
        self._weights = numbers.choices(range(1, 9), k=size)
        self._operands = self._sent(self._left), self._sent(self._right), self._sent([0] * (size * size))
        module = ctypes.c_void_p()
        self._call("cuModuleLoadData", ctypes.byref(module), KERNEL)
        self._kernel = ctypes.c_void_p()
        self._call("cuModuleGetFunction", ctypes.byref(self._kernel), module, b"multiply")

    def multiply(self) -> None:
        """Multiply, and wait for the product."""
        size = ctypes.c_uint(self._size)
        values = [*self._operands, size]
        pointers = (ctypes.c_void_p * 4)(*(ctypes.addressof(value) for value in values))
        blocks = (self._size + _BLOCK - 1) // _BLOCK
        self._call("cuLaunchKernel", self._kernel, blocks, blocks, 1, _BLOCK, _BLOCK, 1, 0, None, pointers, None)
        self._call("cuCtxSynchronize")

    def is_right(self) -> bool:
        """Compare the product with the CPU's."""
        bits = (ctypes.c_float * (self._size * self._size))()
        self._call("cuMemcpyDtoH_v2", bits, self._operands[2], ctypes.c_size_t(ctypes.sizeof(bits)))
        expected = self._times(self._left, self._times(self._right, self._weights))
        return self._times(bits[:], self._weights) == expected

    def _times(self, matrix: Sequence[float], vector: Sequence[float]) -> list[float]:
        size = self._size
        return [sum(map(mul, matrix[row * size : (row + 1) * size], vector)) for row in range(size)]

    def _version(self) -> str:
        number = ctypes.c_int()
        self._call("cuDriverGetVersion", ctypes.byref(number))
        return f"{number.value // 1000}.{number.value % 1000 // 10}"

    def _use_first_gpu(self) -> None:
        count, device, context = ctypes.c_int(), ctypes.c_int(), ctypes.c_void_p()
        self._call("cuDeviceGetCount", ctypes.byref(count))
        if not count.value:
            raise CudaError("the driver sees no GPU")
        self._call("cuDeviceGet", ctypes.byref(device), 0)
        name = ctypes.create_string_buffer(256)
        self._call("cuDeviceGetName", name, len(name), device)
        self.device = name.value.decode("utf-8", "replace")
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._call("cuCtxSetCurrent", context)

    def _check_memory(self) -> None:
        """Fill memory of the GPU with a pattern, and read it back."""
        memory = self._allocated(_MEMORY)
        self._call("cuMemsetD32_v2", memory, ctypes.c_uint(_PATTERN), ctypes.c_size_t(_MEMORY // 4))
        found = ctypes.create_string_buffer(_MEMORY)
        self._call("cuMemcpyDtoH_v2", found, memory, ctypes.c_size_t(_MEMORY))
        self._call("cuMemFree_v2", memory)
        if found.raw != _PATTERN.to_bytes(4, "little") * (_MEMORY // 4):
            raise CudaError("memory does not keep what was written to it")

    def _sent(self, numbers: list[int]) -> ctypes.c_uint64:
        data = array("f", numbers).tobytes()
        memory = self._allocated(len(data))
        self._call("cuMemcpyHtoD_v2", memory, data, ctypes.c_size_t(len(data)))
        return memory

    def _allocated(self, size: int) -> ctypes.c_uint64:
        memory = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(size))
        return memory

    def _call(self, name: str, *arguments: object) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            text = ctypes.c_char_p()
            self._library.cuGetErrorName(status, ctypes.byref(text))
            raise CudaError(f"{name}: {(text.value or b'').decode('ascii', 'replace') or f'error {status}'}")
