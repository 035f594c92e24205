"""One matrix product on one GPU, with each framework that an environment may hold. For Python 3.7 and newer.

Making a trial loads the framework; `prepare()` takes a GPU and puts two matrices on it; `multiply()` ends when their
product is there; `is_right()` compares it with the CPU's. Elements are small whole numbers: every sum of their products
is exact in single precision, also with TF32, so that the check needs no tolerance. It is Freivalds': `product @ w ==
left @ (right @ w)`, which costs a vector instead of a matrix. No weight is zero: no single wrong element escapes.
"""

from __future__ import annotations

import os
import pkgutil
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Protocol

    class Trial(Protocol):
        """What there is to be tried of a framework."""

        version: str
        device: str  # the GPU's name, or what the framework calls it

        def prepare(self, size: int, device: str) -> None: ...  # noqa: D102
        def multiply(self) -> None: ...  # noqa: D102
        def is_right(self) -> bool: ...  # noqa: D102


_LEAST, _MOST = -4, 4  # of the elements


class CpuBuild(Exception):
    """The framework was built without support for GPUs."""


class _Torch:
    """PyTorch."""

    def __init__(self) -> None:
        self._torch: Any = import_module("torch")
        self.version = str(self._torch.__version__)
        self.device = ""

    def prepare(self, size: int, device: str) -> None:
        torch = self._torch
        self._on_gpu = device == "gpu"
        if self._on_gpu:
            if torch.version.cuda is None and getattr(torch.version, "hip", None) is None:
                raise CpuBuild("it is a build for the CPU")
            torch.cuda.init()  # says why it sees no GPU
            self.device = str(torch.cuda.get_device_name(0))
        place = torch.device("cuda:0" if self._on_gpu else "cpu")
        self.device = self.device or str(place)
        self._left = torch.randint(_LEAST, _MOST + 1, (size, size)).float()
        self._right = torch.randint(_LEAST, _MOST + 1, (size, size)).float()
        self._weights = torch.randint(1, 9, (size, 1)).double()
        self._operands = self._left.to(place), self._right.to(place)

    def multiply(self) -> None:
        self._product = self._operands[0] @ self._operands[1]
        if self._on_gpu:
            self._torch.cuda.synchronize()

    def is_right(self) -> bool:
        expected = self._left.double() @ (self._right.double() @ self._weights)
        return bool(self._torch.equal(self._product.cpu().double() @ self._weights, expected))


class _WithNumpy:
    """What the frameworks share that bring NumPy."""

    def __init__(self, size: int) -> None:
        self.numpy: Any = import_module("numpy")
        numbers = self.numpy.random.RandomState(0)
        self.left = numbers.randint(_LEAST, _MOST + 1, (size, size)).astype("float32")
        self.right = numbers.randint(_LEAST, _MOST + 1, (size, size)).astype("float32")
        self._weights = numbers.randint(1, 9, (size,)).astype("float64")

    def agrees(self, product: object) -> bool:
        expected = self.left.astype("float64") @ (self.right.astype("float64") @ self._weights)
        found = self.numpy.asarray(product, dtype="float64") @ self._weights
        return bool(self.numpy.array_equal(found, expected))


class _TensorFlow:
    """TensorFlow 2."""

    def __init__(self) -> None:
        self._tensorflow: Any = import_module("tensorflow")
        self.version = str(self._tensorflow.__version__)
        self.device = ""

    def prepare(self, size: int, device: str) -> None:
        tensorflow = self._tensorflow
        if device == "gpu":
            if not tensorflow.test.is_built_with_cuda() and not tensorflow.test.is_built_with_rocm():
                raise CpuBuild("it is a build for the CPU")
            if not tensorflow.config.list_physical_devices("GPU"):
                raise RuntimeError("tensorflow sees no GPU; CUDA's libraries, of tensorflow[and-cuda], may be missing")
        self._place = self.device = "/GPU:0" if device == "gpu" else "/CPU:0"
        self._both = _WithNumpy(size)
        with tensorflow.device(self._place):
            self._operands = tensorflow.constant(self._both.left), tensorflow.constant(self._both.right)

    def multiply(self) -> None:
        with self._tensorflow.device(self._place):
            self._product = self._tensorflow.linalg.matmul(*self._operands)
        self._product[0, 0].numpy()  # this one element is there when the product is: a GPU works in order

    def is_right(self) -> bool:
        return self._both.agrees(self._product.numpy())


class _Jax:
    """JAX."""

    def __init__(self) -> None:
        self._jax: Any = import_module("jax")
        self.version = str(self._jax.__version__)
        self.device = ""

    def prepare(self, size: int, device: str) -> None:
        jax = self._jax
        if device == "gpu" and not _jax_has_gpus():
            raise CpuBuild("it has no plugin for GPUs")
        place = jax.devices(device)[0]
        self.device = str(place.device_kind)
        self._both = _WithNumpy(size)
        self._operands = jax.device_put(self._both.left, place), jax.device_put(self._both.right, place)
        self._multiply = jax.jit(lambda left, right: left @ right)

    def multiply(self) -> None:
        self._product = self._multiply(*self._operands).block_until_ready()

    def is_right(self) -> bool:
        return self._both.agrees(self._product)


def _jax_has_gpus() -> bool:
    """Whether JAX was installed for GPUs: as a plugin, or, until 0.4.29 and in conda-forge's builds, within jaxlib."""
    jaxlib: Any = import_module("jaxlib")
    within = any(os.path.isdir(os.path.join(folder, kind)) for folder in jaxlib.__path__ for kind in ("cuda", "rocm"))  # noqa: PTH112, PTH118
    plugins = (each.name for each in pkgutil.iter_modules())
    return within or any(re.match(r"jax_(?:cuda|rocm)\d*_plugin", name) for name in plugins)


class _Cupy:
    """CuPy."""

    def __init__(self) -> None:
        self._cupy: Any = import_module("cupy")
        self.version = str(self._cupy.__version__)
        self.device = ""

    def prepare(self, size: int, device: str) -> None:
        cupy = self._cupy
        properties = cupy.cuda.runtime.getDeviceProperties(0)
        self.device = properties["name"].decode("utf-8", "replace")
        self._both = _WithNumpy(size)
        self._operands = cupy.asarray(self._both.left), cupy.asarray(self._both.right)

    def multiply(self) -> None:
        self._product = self._operands[0] @ self._operands[1]
        self._cupy.cuda.Device().synchronize()

    def is_right(self) -> bool:
        return self._both.agrees(self._cupy.asnumpy(self._product))


FRAMEWORKS: dict[str, type[Trial]] = {"torch": _Torch, "tensorflow": _TensorFlow, "jax": _Jax, "cupy": _Cupy}
"""By the name that is imported."""
