"""The history stays fast: no question goes through all hosts of all runs, and what hosts share is kept once."""

import pytest

from benchmarks.history import HOST, QUERIES, fill
from fleetenv.history.store import open_history

_WHOLE_TABLES = ("visit", "part", "blob", "streak")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A history of the benchmark's simulated fleet, small."""
    file = tmp_path_factory.mktemp("history") / "history.db"
    fill(file, hosts=30, runs=12)
    return file


@pytest.mark.parametrize("name", QUERIES)
def test_no_question_goes_through_a_whole_table(file, name):
    asked: list[str] = []
    with open_history(file) as history:
        assert history.runs.host(1, HOST) is not None
        history.connection.set_trace_callback(asked.append)
        QUERIES[name](history)
        history.connection.set_trace_callback(None)
        plans = {
            sql: [row[3] for row in history.connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
            for sql in dict.fromkeys(asked)
            if sql.lstrip().startswith("SELECT")
        }
    assert plans
    for sql, steps in plans.items():
        for step in steps:
            assert not any(step.startswith(f"SCAN {table}") for table in _WHOLE_TABLES), f"{step} in {sql}"
