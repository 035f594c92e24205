"""The tables of the history, and how an older file becomes a newer one.

What hosts share, or what does not change from run to run, is kept once: `blob` holds compressed JSON by its sha256, and
a visit (one host in one run) is a row of numbers that point there. A snapshot is a list of parts (`facts`, each
environment, ...), as git's trees are: 500 hosts with the same environment hold its packages once.
"""

from __future__ import annotations

APPLICATION = 0x666C656E
"""SQLite's application_id: says that a file is a history of fleetenv's ("flen")."""

_FIRST = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again, also when the run is pruned
    kind TEXT NOT NULL,
    playbook TEXT NOT NULL,
    started REAL NOT NULL,  -- seconds since 1970, as all times here
    finished REAL,
    seconds REAL,
    exit_status INTEGER,
    interrupted INTEGER NOT NULL DEFAULT 0,
    process TEXT NOT NULL,  -- which process of which boot of the controller
    errand TEXT NOT NULL,  -- JSON
    warnings TEXT NOT NULL DEFAULT '[]',  -- JSON
    hosts INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    changed INTEGER NOT NULL DEFAULT 0,
    same INTEGER NOT NULL DEFAULT 0,
    error_findings INTEGER NOT NULL DEFAULT 0,
    warning_findings INTEGER NOT NULL DEFAULT 0,
    note_findings INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX run_started ON run (started);

CREATE TABLE host (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

CREATE TABLE blob (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, data BLOB NOT NULL);

CREATE TABLE snapshot (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE);
CREATE TABLE part (
    snapshot INTEGER NOT NULL REFERENCES snapshot (id) ON DELETE CASCADE,
    section TEXT NOT NULL,
    name TEXT NOT NULL,  -- '' where a section is one part
    blob INTEGER NOT NULL REFERENCES blob (id),
    PRIMARY KEY (snapshot, section, name)
) WITHOUT ROWID;
CREATE INDEX part_blob ON part (blob);

CREATE TABLE visit (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    host INTEGER NOT NULL REFERENCES host (id),
    standing TEXT NOT NULL,
    ok INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    rescued INTEGER NOT NULL,
    ignored INTEGER NOT NULL,
    lost TEXT,
    seconds REAL NOT NULL,
    groups INTEGER NOT NULL REFERENCES blob (id),
    tasks INTEGER REFERENCES blob (id),
    results INTEGER REFERENCES blob (id),
    findings INTEGER REFERENCES blob (id),  -- NULL: the run looked for none
    errors INTEGER NOT NULL,
    warnings INTEGER NOT NULL,
    notes INTEGER NOT NULL,
    snapshot INTEGER REFERENCES snapshot (id),
    whole INTEGER NOT NULL,  -- whether the run looked for all findings
    PRIMARY KEY (run, host)
) WITHOUT ROWID;
CREATE INDEX visit_host ON visit (host, run);
CREATE INDEX visit_snapshot ON visit (host, run, snapshot) WHERE snapshot IS NOT NULL;
CREATE INDEX visit_changed ON visit (host, run) WHERE changed > 0;
CREATE INDEX visit_findings ON visit (host, whole, run) WHERE findings IS NOT NULL;

CREATE TABLE streak (
    id INTEGER PRIMARY KEY,
    host INTEGER NOT NULL REFERENCES host (id),
    code TEXT NOT NULL,
    subject TEXT NOT NULL,
    playbook TEXT NOT NULL,  -- the one whose look ends it
    first_seen REAL NOT NULL,
    gone REAL
);
CREATE UNIQUE INDEX streak_open ON streak (host, code, subject) WHERE gone IS NULL;
CREATE INDEX streak_host ON streak (host, first_seen);
"""

MIGRATIONS: tuple[str, ...] = (_FIRST,)
"""The n-th makes version n of version n-1; 0 is an empty file. One that was released is never edited."""

VERSION = len(MIGRATIONS)
