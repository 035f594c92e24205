"""Answers of scripts that are asked about many subjects at once: pairs of words, each word ended by NUL."""

from __future__ import annotations

from fleetenv.remote import Completed


def by_subject(completed: Completed, what: str, *, bars: int) -> dict[str, list[tuple[str, str]]]:
    """Return what was said of each subject, in pairs of key and value.

    Args:
        completed: What the script printed.
        what: What it was asked about, for messages.
        bars: How many `|` a subject has at least.

    Raises:
        ValueError: it is no such answer.
    """
    words = completed.text.split("\0")
    if completed.dropped or len(words) % 2 == 0:
        raise ValueError(f"the answer about {what} is not understood")
    answers: dict[str, list[tuple[str, str]]] = {}
    answer: list[tuple[str, str]] | None = None
    for key, value in zip(words[0:-1:2], words[1:-1:2], strict=True):
        if key == "subject" and value.count("|") >= bars:
            answer = answers[value] = []
        elif answer is not None:
            answer.append((key, value))
    return answers
