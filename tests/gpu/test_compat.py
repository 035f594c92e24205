import pytest

from fleetenv.gpu.compat import TOOLKIT_DRIVERS, max_cuda, min_driver
from fleetenv.gpu.version import is_branch_of, parse_version


@pytest.mark.parametrize(
    ("driver", "cuda"),
    [
        ("470.82.01", "11.4"),
        ("418.43", "10.1"),
        ("515.105.01", "11.7"),
        ("535.54.03", "12.2"),
        ("535.54.02", "12.1"),
        ("570.124.04", "12.8"),
        ("595.84", "13.2"),
        ("610.43.02", "13.3"),
        ("999.1", "13.4"),
        ("340.108", None),
    ],
)
def test_what_a_driver_supports(driver, cuda):
    assert max_cuda(driver) == cuda


@pytest.mark.parametrize(
    ("cuda", "driver"),
    [("12.4", "550.54.14"), ("12.4.1", "550.54.14"), ("12.7", "570.26"), ("12", "525.60.13"), ("99.0", None)],
)
def test_which_driver_a_cuda_needs(cuda, driver):
    assert min_driver(cuda) == driver


@pytest.mark.parametrize("cuda", TOOLKIT_DRIVERS)
def test_a_toolkit_runs_on_its_own_driver(cuda):
    assert max_cuda(min_driver(cuda)) == cuda


def test_the_table_is_in_order_on_both_sides():
    assert sorted(TOOLKIT_DRIVERS, key=parse_version) == list(TOOLKIT_DRIVERS)
    assert sorted(TOOLKIT_DRIVERS.values(), key=parse_version) == list(TOOLKIT_DRIVERS.values())


def test_a_branch_takes_in_its_versions():
    assert is_branch_of("550", "550.54.15")
    assert is_branch_of("550.54.15", "550.54.15")
    assert not is_branch_of("550.5", "550.54.15")
    assert not is_branch_of("550.54.15", "550.54")


@pytest.mark.parametrize("text", ["", "1.", "a.b", "1..2", "٣", "1.2.3.4.5.6.7", "9" * 100])
def test_what_is_no_version_is_refused(text):
    with pytest.raises(ValueError, match="is not a version"):
        parse_version(text)
