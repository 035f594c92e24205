"""Measure how fast `fleetenv serve` answers, over a history that is there.

Each page is asked for once by a server that was just started, and then five times more; shown are the first time, the
median of the others, and the page's size. The server runs as a process of its own, as users start it.

Examples:
  python -m benchmarks.history --hosts 500 --runs 1000 --file /tmp/history.db
  python -m benchmarks.dashboard /tmp/history.db
"""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

_AGAIN = 5


def main() -> None:
    """Measure all pages of the file that is named."""
    if len(sys.argv) != 2:
        sys.exit(str(__doc__))
    file = sys.argv[1]
    with _serving(file) as port:
        runs, environments = _json(port, "/runs"), _json(port, "/environments")
        host = _json(port, "/?sort=host")["rows"][0]["host"]
    run = next(each["number"] for each in runs["runs"] if each["tally"]["hosts"])
    environment = next((quote(each["name"], safe="") for each in environments["rows"]), None)
    pages = ["/", "/?columns=all", "/findings", "/findings?by=host&state=all", f"/hosts/{host}"]
    pages += [f"/environments/{environment}", f"/environments/{environment}?show=all"] if environment else []
    pages += [
        "/environments",
        "/gpus",
        "/gpus?by=gpu",
        "/runs",
        f"/runs?host={host}",
        f"/runs/{run}",
        f"/runs/{run}/{host}",
    ]
    pages += [f"/compare?left={host}&left_run=1&right={host}&show=all"]
    for page in pages:
        with _serving(file) as port:
            first, size = _timed(port, page)
            again = statistics.median(_timed(port, page)[0] for _ in range(_AGAIN))
        print(f"{page:<48}{first * 1000:8.0f} ms{again * 1000:8.0f} ms again{size / 1000:8.0f} kB")


@contextmanager
def _serving(file: str) -> Iterator[int]:
    """Start a server, give its port, and end it."""
    command = [sys.executable, "-m", "fleetenv", "serve", "--port", "0", "--history", file]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            said = process.stdout.readline().split()
            if not said:
                sys.exit("the server did not start")
            yield urlsplit(said[0]).port or 0
        finally:
            process.terminate()


def _timed(port: int, page: str) -> tuple[float, int]:
    """Return how many seconds a page took, and its size in bytes."""
    begun = time.perf_counter()
    size = len(_ask(port, page, "text/html"))
    return time.perf_counter() - begun, size


def _json(port: int, page: str) -> Any:
    return json.loads(_ask(port, page, "application/json"))


def _ask(port: int, page: str, kind: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", page, headers={"Accept": kind})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        sys.exit(f"{page}: {answer.status} {body[:300]!r}")
    return body


if __name__ == "__main__":
    main()
