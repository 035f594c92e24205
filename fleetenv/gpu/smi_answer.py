"""How nvidia-smi answered: its document, or why there is none."""

from __future__ import annotations

import re

from fleetenv.gpu.smi import SmiLog, parse_smi
from fleetenv.gpu.states import Answer

MAX_BYTES = 4 * 1024 * 1024
"""How much of nvidia-smi's document a host sends: without lists of clocks 16 GPUs are 0.5 MiB."""

SIMULATED_MARK = b"<!-- fleetenv lab: simulated -->"
"""The comment that the lab's nvidia-smi and dmesg write, so that nothing they say is taken for real."""

_ANSWERS = {
    6: Answer.NO_DEVICES,
    9: Answer.NOT_LOADED,
    12: Answer.NO_LIBRARY,
    15: Answer.GPU_LOST,
    18: Answer.MISMATCH,
    124: Answer.HUNG,
    137: Answer.HUNG,
}
_SAID = {  # some builds exit with another status than NVML's, or 255 for all
    "driver/library version mismatch": Answer.MISMATCH,
    "couldn't communicate with the nvidia driver": Answer.NOT_LOADED,
    "no devices were found": Answer.NO_DEVICES,
    "gpu is lost": Answer.GPU_LOST,
}
_ENDED = re.compile(rb"\n?\nended [0-9]{1,5}\s*\Z")
_TAIL = 40  # bytes at the end, in which probe.sh's own last line stands
_NOT_FOUND = "127"  # of a shell: a script stands where nvidia-smi should be, and does not find it either
_CUT = "cut"  # of probe.sh: there was more than MAX_BYTES
_MAX_MESSAGE = 400


def read_smi(status: str, output: bytes) -> tuple[Answer, SmiLog | None, str]:
    """Return how nvidia-smi answered, its document if there is one, and what else it said."""
    if status in ("absent", _NOT_FOUND):
        return Answer.ABSENT, None, ""
    if status == _CUT:
        return Answer.UNREADABLE, None, f"it wrote more than {MAX_BYTES // 1024 // 1024} MiB"
    words, document = _part_document(output[:-_TAIL] + _ENDED.sub(b"", output[-_TAIL:]))
    message = " ".join(words[: 10 * _MAX_MESSAGE].decode("utf-8", "replace").split())[:_MAX_MESSAGE]
    log: SmiLog | None = None
    if document:
        try:
            log = parse_smi(document)
        except ValueError as error:
            return Answer.UNREADABLE, None, f"{error}; {message}".rstrip("; ")
    said = next((answer for words_, answer in _SAID.items() if words_ in message.lower()), None)
    if status == "0":
        answer = said or (Answer.OK if log else Answer.UNREADABLE)
    else:
        answer = _ANSWERS.get(int(status) if status.isascii() and status.isdigit() else -1) or said or Answer.FAILED
    return answer, log, message


def _part_document(output: bytes) -> tuple[bytes, bytes]:
    """Part messages, which nvidia-smi may write before and after, from the XML."""
    starts = [at for at in (output.find(b"<?xml"), output.find(b"<nvidia_smi_log")) if at >= 0]
    if not starts:
        return output.replace(SIMULATED_MARK, b""), b""
    start = min(starts)
    end_tag = b"</nvidia_smi_log>"
    end = output.rfind(end_tag)
    end = len(output) if end < 0 else end + len(end_tag)
    return (output[:start] + b" " + output[end:]).replace(SIMULATED_MARK, b""), output[start:end]
