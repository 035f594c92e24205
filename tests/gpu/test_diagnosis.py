import pytest

from fleetenv.gpu.diagnosis import driver_problem, health_problems
from fleetenv.gpu.model import is_model
from fleetenv.gpu.probe import parse_answer
from fleetenv.remote import Completed
from fleetenv.severity import Severity

from .documents import Card, healthy, smi


def codes(document: bytes, head: str = "") -> list[tuple[str, Severity]]:
    host = parse_answer(Completed(0, head.encode() + b"smi 0\n" + document))
    return [(problem.code, problem.severity) for problem in health_problems(host)]


def test_a_healthy_gpu_has_no_problem():
    assert codes(healthy(Card(), Card(bus="00000000:86:00.0"))) == []


@pytest.mark.parametrize(
    ("card", "code", "severity"),
    [
        (Card(ecc_uncorrected=2), "ecc-uncorrected", Severity.ERROR),
        (Card(remapping="Yes"), "remapping-pending", Severity.WARNING),
        (Card(extra="<gpu_recovery_action>Reboot</gpu_recovery_action>"), "recovery", Severity.ERROR),
        (Card(extra="<fabric><state>In Progress</state></fabric>"), "fabric", Severity.ERROR),
        (
            Card(extra="<retired_pages><pending_retirement>Yes</pending_retirement></retired_pages>"),
            "retirement-pending",
            Severity.WARNING,
        ),
    ],
)
def test_each_illness_is_found_and_nothing_else(card, code, severity):
    assert codes(healthy(card, Card(bus="00000000:86:00.0"))) == [(code, severity)]


def test_heat_is_a_warning_and_names_its_gpu():
    host = parse_answer(Completed(0, b"smi 0\n" + smi(Card())))
    (problem,) = health_problems(host)
    assert str(problem) == "GPU 0 is slowed down: too hot; check fans, air flow and dust"
    assert problem.gpu == 0


def test_a_gpu_that_is_lost_since_is_told_though_it_is_listed():
    lost = healthy(Card(), Card(bus="00000000:86:00.0", memory="GPU is lost")).replace(
        b"<gpu_temp>39 C", b"<gpu_temp>GPU is lost"
    )
    problem = driver_problem(parse_answer(Completed(0, b"smi 0\n" + lost)))
    assert problem is not None
    assert problem.code == "lost"
    assert "0000:86:00.0" in problem.text


def test_mixed_models_are_a_warning():
    document = healthy(Card(), Card(model="NVIDIA A40", memory="46068 MiB"))
    assert codes(document) == [("mixed-models", Severity.WARNING)]


def test_an_upgrade_that_waits_for_a_reboot_is_a_warning():
    assert codes(healthy(Card()), "module 535.104.05\ndisk 550.54.15\n") == [("reboot-pending", Severity.WARNING)]


@pytest.mark.parametrize("wanted", ["A100", "a100-sxm4", "A100 SXM4 80GB", "NVIDIA A100-SXM4-80GB"])
def test_a_model_is_named_by_its_words(wanted):
    assert is_model(wanted, "NVIDIA A100-SXM4-80GB")


@pytest.mark.parametrize("wanted", ["A10", "A1000", "100", "A100 80GB", "", "-"])
def test_a_part_of_a_word_is_another_model(wanted):
    assert not is_model(wanted, "NVIDIA A100-SXM4-80GB")
