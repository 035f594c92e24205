"""What locked packages say of CUDA: as conda-forge, NVIDIA's and PyTorch's channels and the package index write it."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetenv.gpu.needs import Needs, Reason, floor, needs
from fleetenv.gpu.version import parse_version


@dataclass(frozen=True)
class Package:
    """A locked package, with what is looked at."""

    name: str
    version: str = "1.0"
    build: str = "0"
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()


def conda(*packages: Package) -> Needs:
    return needs(packages, ())


def pip(**versions: str) -> Needs:
    return needs((), [Package(name.replace("_", "-"), version) for name, version in versions.items()])


@pytest.mark.parametrize(
    ("package", "cuda"),
    [
        (Package("cuda-version", "12.4"), "12.4"),
        (Package("cudatoolkit", "11.8.0"), "11.8"),
        (Package("pytorch-cuda", "12.1"), "12.1"),
        (Package("cuda-cudart", "12.6.77"), "12.6"),
        (Package("pytorch", "2.4.0", "cuda118_py311h4e39ce5_303"), "11.8"),
        (Package("pytorch_scatter", "2.1.2", "cuda118py311h4e39ce5_6"), "11.8"),
        (Package("libtorch", "2.6.0", "cuda126_generic_h48a7f0d_200"), "12.6"),
        (Package("pytorch", "1.13.1", "py3.10_cuda11.7_cudnn8.5.0_0"), "11.7"),
        (Package("jaxlib", "0.4.23", "cuda120py310h8c47008_201"), "12.0"),
        (Package("libastra", "2.3.0", "cuda_11.8_0"), "11.8"),
        (Package("cupy", "9.0", "py39_cuda92h0"), "9.2"),
        (Package("magma", "2.7", "cuda_0"), None),
        (Package("numpy", "1.26.4", "py311h64a7726_0"), None),
        (Package("cuda-python", "12.4.0"), None),
    ],
)
def test_conda_packages(package, cuda):
    assert conda(package).cuda == cuda


@pytest.mark.parametrize(
    ("wheels", "cuda"),
    [
        ({"torch": "2.4.1+cu124"}, "12.4"),
        ({"torch_scatter": "2.1.2+pt21cu121"}, "12.1"),
        ({"flash_attn": "2.5.8+cu122torch2.3cxx11abifalse"}, "12.2"),
        ({"jaxlib": "0.4.13+cuda12.cudnn89"}, "12"),
        ({"torch": "2.4.1", "nvidia_cuda_runtime_cu12": "12.1.105", "nvidia_cudnn_cu12": "9.1.0.70"}, "12.1"),
        ({"torch": "2.9.0", "nvidia_cuda_runtime": "13.0.96", "nvidia_cudnn_cu13": "9.13.0.50"}, "13.0"),
        (
            {"torch": "2.15.0", "cuda_toolkit": "13.2.2", "cuda_bindings": "13.5.0", "nvidia_nvjitlink": "13.5.37"},
            "13.2",
        ),
        ({"tensorflow": "2.17.0", "nvidia_cuda_nvrtc_cu12": "12.3.107"}, "12.3"),
        ({"jax_cuda12_plugin": "0.4.30"}, "12"),
        ({"cupy_cuda12x": "13.3.0"}, "12"),
        ({"cupy_cuda117": "10.6.0"}, "11.7"),
        ({"mxnet_cu112": "1.9.1"}, "11.2"),
        ({"cupy_cuda92": "8.6.0"}, "9.2"),
        ({"torch": "2.4.1+cpu"}, None),
        ({"tensorflow": "2.17.0"}, None),
        ({"cutlass": "3.5", "cucim": "24.8", "acub": "1.0"}, None),
    ],
)
def test_pip_packages(wheels, cuda):
    assert pip(**wheels).cuda == cuda
    assert pip(**wheels).cpu_only is (cuda is None)


def test_the_newest_toolkit_counts_and_every_reason_is_named():
    mixed = needs(
        [Package("cuda-version", "12.4"), Package("pytorch", "2.5.1", "cuda124_py311h0_300")],
        [Package("torchvision", "0.20.1+cu118"), Package("onnxruntime-gpu", "1.20.0")],
    )
    assert mixed.cuda == "12.4"
    assert mixed.reasons == (
        Reason("cuda-version", "version 12.4", "12.4"),
        Reason("pytorch", "build cuda124_py311h0_300", "12.4"),
        Reason("torchvision", "version 0.20.1+cu118", "11.8"),
        Reason("onnxruntime-gpu", "name onnxruntime-gpu", None),
    )


def test_a_package_for_gpus_that_names_no_cuda_still_needs_one():
    assert pip(tensorflow_gpu="2.10.0").cuda is None
    assert not pip(tensorflow_gpu="2.10.0").cpu_only
    assert conda(Package("onnxruntime-gpu", build="cpu_py311_0")).cpu_only


def test_what_merely_restricts_cuda_does_not_need_it():
    """conda-forge's openmpi says `constrains __cuda >=12.0`, and is in many environments that never see a GPU."""
    openmpi = conda(Package("openmpi", "5.0.6", constrains=("__cuda >=12.0", "ucx >=1.17")))
    assert openmpi.cpu_only
    assert [(each.spec, each.required) for each in openmpi.virtual] == [(">=12.0", False)]
    assert not conda(Package("fleet-cuda", depends=("python", "__cuda >=12.4"))).cpu_only


def test_packages_for_amd_are_told_apart():
    rocm = pip(torch="2.4.1+rocm6.1")
    assert (rocm.rocm, rocm.cuda, rocm.cpu_only) == ("6.1", None, False)


@pytest.mark.parametrize(
    ("spec", "lowest"),
    [
        (">=12.4", "12.4"),
        (">=11.2,<13", "11.2"),
        ("<13,>=12.0", "12.0"),
        ("12.4.*", "12.4"),
        ("12", "12"),
        ("12.4 0", "12.4"),
        ("*", None),
        ("<12", None),
        (">=11.8|>=12", None),
    ],
)
def test_the_lowest_version_of_a_spec(spec, lowest):
    assert floor(spec) == lowest


words = st.text(st.sampled_from("abcu12389._-+ >=x\u0661"), max_size=20)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.builds(Package, words, words, words, st.lists(words).map(tuple), st.lists(words).map(tuple))))
def test_whatever_packages_say_is_a_version_or_nothing(packages):
    found = needs(packages, packages)
    for reason in found.reasons:
        assert reason.cuda is None or parse_version(reason.cuda)
    for each in found.virtual:
        lowest = floor(each.spec)
        assert lowest is None or parse_version(lowest)
