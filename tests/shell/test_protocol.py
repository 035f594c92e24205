"""The protocol without any host: whatever is printed, in whatever pieces it arrives, each item gets its own."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetenv.remote import Completed
from fleetenv.shell.answer import NOISE, Answer, ProtocolError, parse_progress
from fleetenv.shell.message import Item, message, start

NONCE = "0123456789abcdef" * 2
outputs = st.binary(max_size=200) | st.sampled_from(
    [NONCE.encode()[:-1], b"0123456789", b"\n", b"fleetenv-progress", b"fleet"]
)
statuses = st.integers(0, 255)
items = st.lists(st.tuples(outputs, outputs, statuses), max_size=5)


def mark(status: int) -> bytes:
    return f"{NONCE} {status}\n".encode()


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


@given(outputs, outputs, items, st.lists(st.integers(0, 2000)), st.randoms())
def test_each_item_gets_its_own_output_however_it_is_cut(noise, errors, said, cuts, random) -> None:  # type: ignore[no-untyped-def]
    out = noise + mark(77) + b"".join(stdout + mark(status) for stdout, _, status in said)
    err = errors + mark(0) + b"".join(stderr + mark(status) for _, stderr, status in said)
    queues = {False: pieces(out, cuts), True: pieces(err, cuts[::2])}
    answer = Answer(NONCE)
    completed: list[Completed] = []
    while any(queues.values()):
        error = random.choice([each for each, queue in queues.items() if queue])
        completed += answer.feed(queues[error].pop(0), error=error)
    assert answer.session == 77
    assert completed == [Completed(status, stdout, stderr) for stdout, stderr, status in said]


@given(st.lists(st.binary(max_size=60) | st.just(NONCE.encode()) | st.just(mark(3)), max_size=30), st.booleans())
def test_a_hostile_host_gets_an_error_or_waits_never_a_crash(chunks: list[bytes], error: bool) -> None:
    answer = Answer(NONCE)
    try:
        for number, chunk in enumerate(chunks):
            answer.feed(chunk, error=error ^ (number % 3 == 0))
    except ProtocolError:
        pass


@given(st.integers(0, 300), st.integers(0, 300), st.lists(st.integers(0, 600), max_size=9))
def test_what_is_kept_is_bounded_and_what_is_dropped_is_counted(first: int, second: int, cuts: list[int]) -> None:
    answer = Answer(NONCE, keep=100, keep_in_all=150)
    answer.feed(mark(1), error=False)
    answer.feed(mark(0), error=True)
    answer.begin()
    answer.feed(mark(0) * 2, error=True)
    done = [
        each
        for piece in pieces(b"x" * first + mark(0) + b"y" * second + mark(0), cuts)
        for each in answer.feed(piece, error=False)
    ]
    assert [len(each.stdout) + each.dropped for each in done] == [first, second]
    assert len(done[0].stdout) == min(first, 100)
    assert len(done[1].stdout) == min(second, 100, 150 - len(done[0].stdout))


def test_noise_before_the_greeting_is_bounded() -> None:
    answer = Answer(NONCE)
    for _ in range(NOISE // 1000):
        answer.feed(b"m" * 1000, error=False)
    with pytest.raises(ProtocolError):
        answer.feed(b"m" * 1000, error=True)


@given(st.binary(max_size=80))
def test_only_a_whole_progress_line_is_one(rest: bytes) -> None:
    told = parse_progress(b"fleetenv-progress " + rest)
    assert told is None or (math.isfinite(told[0]) and math.isfinite(told[1]))
    assert parse_progress(b" fleetenv-progress 1 2 x\n") is None
    assert parse_progress(b"fleetenv-progress 1 2 x y\n") == (1, 2, "x y")
    assert parse_progress(b"fleetenv-progress nan 2 x\n") is None


@given(st.lists(outputs | st.just(b"fleetenv-progress 1 2 x\n"), max_size=8), st.lists(st.integers(0, 900)))
def test_progress_lines_and_nothing_else_are_taken_out(parts: list[bytes], cuts: list[int]) -> None:
    told: list[tuple[float, float, str]] = []
    stream = b"".join(parts)
    answer = Answer(NONCE)
    answer.feed(mark(1), error=False)
    answer.feed(mark(0), error=True)
    answer.begin(lambda *what: told.append(what))
    answer.feed(mark(0), error=False)
    (done,) = [each for piece in pieces(stream + mark(0), cuts) for each in answer.feed(piece, error=True)]
    lines = stream.split(b"\n")
    expected = [line for line in lines if parse_progress(line)]
    assert len(told) == len(expected)
    assert done.stderr == b"\n".join(line for line in lines if not parse_progress(line))[: len(done.stderr)]
    assert done.stderr.count(b"\n") == len(lines) - 1 - len(expected) + (lines[-1] in expected and bool(expected))


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(texts, st.binary(max_size=300), st.integers(0, 255), st.booleans(), st.booleans()),
        min_size=1,
        max_size=5,
    )
)
def test_a_real_sh_does_what_the_message_says(wanted: list[tuple[str, bytes, int, bool, bool]]) -> None:
    steps = [
        Item(f'printf %s "$V";{"cat;" if reads else ""}exit {status}', data, {"V": text}, may_fail)
        for text, data, status, reads, may_fail in wanted
    ]
    said = b"".join(part for part in message(steps, NONCE) if isinstance(part, bytes))
    after = b"".join(part for part in message([Item("echo after")]) if isinstance(part, bytes))
    ran = subprocess.run(start("sh", feeds=True), input=said + after, capture_output=True, check=False)
    answer = Answer(NONCE)
    completed = answer.feed(ran.stdout, error=False) + answer.feed(ran.stderr, error=True)
    expected = []
    for text, data, status, reads, may_fail in wanted:
        expected.append(Completed(status, text.encode() + (data if reads else b"")))
        if status and not may_fail:
            break
    assert completed == [*expected, Completed(0, b"after\n")]


def test_variables_of_the_user_are_left_alone() -> None:
    names = "abdlmnpst"
    script = ";".join(f"printf '%s,' \"${name}\"" for name in names) + ";m 2>/dev/null||:"
    said = b"".join(part for part in message([Item(script)], NONCE) if isinstance(part, bytes))
    environment = {**os.environ, **{name: f"mine {name}" for name in names}}
    ran = subprocess.run(start("sh", feeds=True), input=said, capture_output=True, check=True, env=environment)
    assert "".join(f"mine {name}," for name in names).encode() + mark(0) in ran.stdout


def test_a_message_that_is_cut_does_nothing(tmp_path: Path) -> None:
    """A connection that is lost in the middle of a script must not run the half of it."""
    touching = [Item(f"touch {tmp_path}/{n}") for n in range(3)]
    (greeting,) = message([], NONCE)
    for before, (said,) in ((b"", message(touching, NONCE)), (greeting, message(touching))):
        assert isinstance(before, bytes)
        assert isinstance(said, bytes)
        for length in range(said.index(b"touch"), len(said) - 1):  # but for the last newline it is whole
            subprocess.run(start("sh", feeds=True), input=before + said[:length], capture_output=True, check=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "item", [Item("a\0b"), Item("true", environment={"A=B": "x"}), Item("true", environment={"A": "\0"})]
)
def test_what_sh_cannot_say_is_refused(item: Item) -> None:
    with pytest.raises(ValueError, match=r"NUL|name of an environment variable"):
        message([item])


SHELLS = [each for each in ("dash", "bash", "busybox") if shutil.which(each)]


@pytest.mark.parametrize("size", [10, 100_000])
@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_reads_its_first_message_by_itself(shell: str, size: int) -> None:
    """Also one that is larger than what it reads at once; what comes after the answer is for the loop."""
    items = [Item(f"printf '%s' {'x' * size}"), Item("cat;echo end"), Item("exit 3", may_fail=True)]
    (first,) = message(items, NONCE, feeds=False)
    after = message([Item(f"printf '%s' {'y' * 3000}"), Item("cat", b"data"), Item("echo after")])
    assert isinstance(first, bytes)
    words = ["busybox", "sh"] if shell == "busybox" else start(shell, feeds=False)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(first)
        process.stdin.flush()
        out = b""
        while out.count(NONCE.encode()) < 1 + len(items):
            said = os.read(process.stdout.fileno(), 65536)
            assert said
            out += said
        more, errors = process.communicate(b"".join(part for part in after if isinstance(part, bytes)))
    answer = Answer(NONCE)
    done = answer.feed(out + more, error=False) + answer.feed(errors, error=True)
    assert [each.text for each in done] == ["x" * size, "end\n", "", "y" * 3000, "data", "after\n"]
    assert [each.status for each in done] == [0, 0, 3, 0, 0, 0]
    assert not any(each.stderr for each in done)


def test_a_first_message_that_is_cut_does_nothing(tmp_path: Path) -> None:
    (said,) = message([Item(f"touch {tmp_path}/{n}") for n in range(3)], NONCE, feeds=False)
    assert isinstance(said, bytes)
    for length in range(said.index(b"touch"), len(said) - 1):
        subprocess.run(start("sh", feeds=False), input=said[:length], capture_output=True, check=False)
    assert not list(tmp_path.iterdir())


def short(items: list[Item], known: set[str] | None = None) -> bytes:
    (said,) = message(items, known=known or set())
    assert isinstance(said, bytes)
    assert said.startswith(b"0 0 ")  # no `head` is started for it
    assert said.count(b"\n") == 1
    return said


def long(items: list[Item], known: set[str] | None = None) -> bytes:
    (said,) = message(items, known=known or set())
    assert isinstance(said, bytes)
    assert not said.startswith(b"0 ")
    return said


@pytest.mark.parametrize("shell", [each for each in SHELLS if each != "busybox"])
def test_short_and_long_messages_and_kits_follow_each_other(shell: str) -> None:
    """A kit is defined once, and runs in the shell itself; what an account exports holds for one item only."""
    kit = 'fe_count() { fe_k=$((fe_k+1)); printf "%s %s|" "$fe_k" "$V$*"; [ "$1" != fail ]; }\n'
    greeting, *_ = message([Item("fe_count first", kit=kit, may_fail=True)], NONCE)
    assert isinstance(greeting, bytes)
    said = greeting + b"".join(
        [
            short([Item("fe_count 'a  \\ $V'", kit=kit, may_fail=True), Item(" printf '%s' '  \\t\\\\  ' ")], {kit}),
            short([Item("fe_count", kit=kit, environment={"V": "of one "}), Item("fe_count", kit=kit)], {kit}),
            long([Item("fe_count 'a\nb'", kit=kit)], {kit}),
            long([Item("printf ü")]),
            long([Item(f"printf '{'x' * 3000}'")]),
            short([Item("fe_count fail", kit=kit), Item("echo never")], {kit}),
            short([Item("fe_count last </dev/stdin", kit=kit)], {kit}),
        ]
    )
    ran = subprocess.run(start(shell, feeds=True), input=said, capture_output=True, check=False)
    answer = Answer(NONCE)
    done = answer.feed(ran.stdout, error=False) + answer.feed(ran.stderr, error=True)
    told = [each.stdout.decode() for each in done]
    assert told == [
        *("1 first|", "2 a  \\ $V|", r"  \t\\  ", "3 of one |", "3 |"),
        *("4 a\nb|", "ü", "x" * 3000, "5 fail|", "6 last|"),
    ]
    assert [each.status for each in done] == [*[0] * 8, 1, 0]


def test_a_short_message_that_is_cut_does_nothing(tmp_path: Path) -> None:
    (greeting,) = message([], NONCE)
    assert isinstance(greeting, bytes)
    said = short([Item(f"touch {tmp_path}/{n}") for n in range(3)])
    for length in (*range(len(said) - 30, len(said)), said.index(b"break")):
        subprocess.run(start("sh", feeds=True), input=greeting + said[:length], capture_output=True, check=False)
    assert not list(tmp_path.iterdir())
