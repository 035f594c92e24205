"""Measures mirrors from this host, one after the other. Runs on any Python from 3.6 on, which is all that it needs.

Arguments: most bytes, most seconds. Standard input: lines `NUMBER URL`. Standard output: for each a line `speed NUMBER
LATENCY BYTES SECONDS` (seconds until the answer began, bytes, seconds in all) or `error NUMBER TEXT`.
"""

import base64
import sys
import time
import urllib.parse
import urllib.request


def measure(url: str, most_bytes: int, most_seconds: float) -> "tuple[float, int, float]":
    """Fetch the beginning of a file; returns latency, bytes, seconds."""
    parts = urllib.parse.urlsplit(url)
    account, _, site = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=site).geturl())  # noqa: S310  # a mirror's URL
    request.add_header("User-Agent", "fleetenv")
    request.add_header("Range", f"bytes=0-{most_bytes - 1}")
    if account:
        word = base64.b64encode(urllib.parse.unquote(account).encode()).decode()
        request.add_unredirected_header("Authorization", "Basic " + word)
    begun = time.monotonic()
    count = 0
    with urllib.request.urlopen(request, timeout=most_seconds) as answer:  # noqa: S310  # as above
        latency = time.monotonic() - begun
        while count < most_bytes and time.monotonic() - begun < most_seconds:
            piece = answer.read1(65536)
            if not piece:
                break
            count += len(piece)
    return latency, count, time.monotonic() - begun


for line in sys.stdin:
    number, _, url = line.strip().partition(" ")
    try:
        latency, count, seconds = measure(url, int(sys.argv[1]), float(sys.argv[2]))
        print(f"speed {number} {latency:.4f} {count} {seconds:.4f}", flush=True)
    except Exception as error:  # whatever it is, the next mirror is measured, too
        reason = getattr(error, "reason", None) or error
        status = f"HTTP {error.code} " if hasattr(error, "code") else ""
        text = getattr(reason, "strerror", None) or str(reason) or type(error).__name__
        print("error", number, status + " ".join(text.split()), flush=True)
