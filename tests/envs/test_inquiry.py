"""What hosts answer is data: whatever it is, it is read or refused, and shown without steering the terminal."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fleetenv.conda.inquiry import CLEANING, LISTING, ROLLBACK, VERIFICATION, Inquiry
from fleetenv.errors import HostError, TaskFailed, Unreachable
from fleetenv.onhost.cleaning import Cleaning, Item
from fleetenv.onhost.contents import Finding
from fleetenv.onhost.listing import Environment, Generation, Listing, Virtualenv
from fleetenv.onhost.processes import Process
from fleetenv.onhost.rollback import Above, Rollback
from fleetenv.onhost.verification import Verification, Verifications
from fleetenv.remote import Completed
from fleetenv.report.cleaning import print_cleaning
from fleetenv.report.environments import environments_json, print_environments
from fleetenv.report.rollbacks import rollback_text
from fleetenv.report.verification import print_verification, verification_json

EVIL = "[red]\x1b[31m\n\u202eevil"
ANSWERS: dict[Inquiry[Any], Any] = {
    LISTING: Listing(
        environments=[
            Environment(
                name=EVIL,
                managed=True,
                generation=EVIL,
                conda=-1,
                pip=10**30,
                size=-5,
                shared=2**80,
                switched=1e300,
                processes=[Process(1, EVIL, EVIL, certain=True)],
                generations=[Generation(EVIL, True, True, 1, -1e300, [])],
            )
        ],
        cache=1,
        total=2,
        busy=EVIL,
        virtualenvs=[Virtualenv(EVIL, True, EVIL, EVIL, EVIL, True, True, 10**30, -5, 1e300, [], [])],
    ),
    ROLLBACK: Rollback(EVIL, EVIL, True, [EVIL], EVIL, [Above(EVIL, EVIL, EVIL), Above(EVIL, EVIL)]),
    CLEANING: Cleaning([Item(EVIL, EVIL, 1), Item("package", EVIL, 1, EVIL)], [EVIL]),
    VERIFICATION: Verifications([Verification(EVIL, EVIL, 1, [Finding(EVIL, EVIL, EVIL, EVIL)], 3)]),
}


@pytest.mark.parametrize("inquiry", ANSWERS, ids=lambda inquiry: inquiry.subject)
@given(answer=st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9),
    lambda each: st.lists(each, max_size=3)
    | st.dictionaries(st.sampled_from(["environments", "items", "notes", "before", "after", "switched"]), each),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_answer_is_read_or_refused(inquiry: Inquiry[Any], answer: bytes) -> None:
    with suppress(TaskFailed):
        assert isinstance(inquiry.read(Completed(0, answer)), inquiry.answer)


@pytest.mark.parametrize("inquiry", ANSWERS, ids=lambda inquiry: inquiry.subject)
def test_a_host_cannot_steer_the_terminal(inquiry: Inquiry[Any]) -> None:
    said = inquiry.read(Completed(0, json.dumps(asdict(ANSWERS[inquiry])).encode()))
    assert said == ANSWERS[inquiry]
    answers: dict[str, Any] = {"gpu01": said, "gpu02": TaskFailed(EVIL), "gpu03": Unreachable(EVIL)}
    shown = shown_by(inquiry, answers)
    assert "[red]" in shown
    assert "evil" in shown
    assert not {"\x1b", "\u202e"} & set(shown)
    assert "\nevil" not in shown


def shown_by(inquiry: Inquiry[Any], answers: dict[str, Any | HostError]) -> str:
    console = Console(file=io.StringIO(), width=300)
    if inquiry is LISTING:
        print_environments(answers, console, 1e9)
        json.loads(environments_json(answers))
    elif inquiry is CLEANING:
        print_cleaning(answers, console, check=True)
    elif inquiry is VERIFICATION:
        print_verification(answers, console)
        json.loads(verification_json(answers, deep=True))
    else:
        return rollback_text("nlp_train", answers, check=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_an_answer_that_was_cut_off_or_none_says_so() -> None:
    with pytest.raises(TaskFailed, match="the host's answer is too long"):
        ROLLBACK.read(Completed(0, b"{", dropped=1))
    with pytest.raises(TaskFailed, match=r"^the disk is gone$"):
        ROLLBACK.read(Completed(1, b"", b"Traceback\nthe disk is gone\n"))
    with pytest.raises(TaskFailed, match="Python ended with exit status 139"):
        ROLLBACK.read(Completed(139))
