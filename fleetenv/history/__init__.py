"""What fleetenv remembers: runs, each host's results, snapshots and findings, in one SQLite file.

Writing: `recorder` (a sink for a run's events). Reading: `store.open_history`, whose parts are `runs`, `snapshots`,
`findings`, `changes` and `series`. `sqlite3` is imported by what opens the file, and by nothing before.
"""
