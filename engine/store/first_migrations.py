"""The schema of the first releases: the steps 1 to 5, which are never edited."""

from __future__ import annotations

VERSION_1 = """
CREATE TABLE datasets (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    root TEXT NOT NULL,
    split TEXT NOT NULL,
    seed INTEGER,
    digest TEXT NOT NULL,
    created_at REAL NOT NULL
) STRICT;
CREATE TABLE labels (
    dataset_id INTEGER NOT NULL REFERENCES datasets ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (dataset_id, position),
    UNIQUE (dataset_id, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE images (
    id INTEGER PRIMARY KEY,
    dataset_id INTEGER NOT NULL REFERENCES datasets ON DELETE CASCADE,
    path TEXT NOT NULL,
    label INTEGER NOT NULL,
    split TEXT NOT NULL CHECK (split IN ('train', 'val', 'test')),
    bytes INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    UNIQUE (dataset_id, path),
    FOREIGN KEY (dataset_id, label) REFERENCES labels (dataset_id, position)
) STRICT;
CREATE INDEX images_by_split ON images (dataset_id, split, id);

CREATE TABLE experiments (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    dataset_id INTEGER REFERENCES datasets,
    profile TEXT NOT NULL,
    spec TEXT NOT NULL,
    created_at REAL NOT NULL
) STRICT;
CREATE TABLE contestants (
    id INTEGER PRIMARY KEY,
    experiment_id INTEGER NOT NULL REFERENCES experiments ON DELETE CASCADE,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('zero-shot', 'fine-tuned', 'cnn')),
    model TEXT NOT NULL,
    emulated INTEGER NOT NULL,
    prompt TEXT NOT NULL,
    answer_format TEXT NOT NULL,
    train_seconds REAL,
    UNIQUE (experiment_id, name)
) STRICT;

CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    experiment_id INTEGER NOT NULL REFERENCES experiments ON DELETE CASCADE,
    contestant_id INTEGER REFERENCES contestants ON DELETE CASCADE,
    kind TEXT NOT NULL,
    nonce TEXT NOT NULL UNIQUE,
    parameters TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN
        ('waiting', 'queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled', 'interrupted')),
    attempt INTEGER NOT NULL DEFAULT 0,
    request TEXT CHECK (request IN ('cancel', 'pause')),
    pid INTEGER,
    pid_started REAL,
    heartbeat_at REAL,
    done INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0,
    note TEXT NOT NULL DEFAULT '',
    error TEXT,
    result TEXT,
    created_at REAL NOT NULL,
    started_at REAL,
    finished_at REAL
) STRICT;
CREATE INDEX jobs_by_experiment ON jobs (experiment_id);
CREATE TABLE needs (
    job_id INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    needs_id INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    PRIMARY KEY (job_id, needs_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE job_events (
    id INTEGER PRIMARY KEY,
    job_id INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    at REAL NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL,
    remote_id TEXT,
    UNIQUE (job_id, remote_id)
) STRICT;
CREATE INDEX job_events_by_job ON job_events (job_id, id);
CREATE TABLE job_metrics (
    job_id INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    name TEXT NOT NULL,
    step INTEGER NOT NULL,
    epoch REAL,
    value REAL NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (job_id, name, step)
) STRICT, WITHOUT ROWID;
CREATE TABLE remote_calls (
    id INTEGER PRIMARY KEY,
    job_id INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    remote_id TEXT,
    intent_at REAL NOT NULL,
    done_at REAL,
    UNIQUE (job_id, operation, key)
) STRICT;

CREATE TABLE predictions (
    contestant_id INTEGER NOT NULL REFERENCES contestants ON DELETE CASCADE,
    image_id INTEGER NOT NULL REFERENCES images ON DELETE CASCADE,
    raw TEXT,
    label INTEGER,
    outcome TEXT NOT NULL CHECK (outcome IN ('answered', 'unknown_label', 'filtered', 'failed', 'missing')),
    latency_ms REAL,
    prompt_tokens INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    at REAL NOT NULL,
    PRIMARY KEY (contestant_id, image_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE latencies (
    contestant_id INTEGER NOT NULL REFERENCES contestants ON DELETE CASCADE,
    image_id INTEGER NOT NULL REFERENCES images ON DELETE CASCADE,
    ms REAL NOT NULL,
    prompt_tokens INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (contestant_id, image_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE costs (
    job_id INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    contestant_id INTEGER REFERENCES contestants ON DELETE CASCADE,
    item TEXT NOT NULL CHECK (item IN ('training', 'hosting', 'inference')),
    usd REAL NOT NULL,
    PRIMARY KEY (job_id, item)
) STRICT, WITHOUT ROWID;
"""

# Only real-time requests have these: NULL and 0 say that a prediction came another way, or from before this step.
VERSION_2 = """
ALTER TABLE predictions ADD COLUMN first_ms REAL;
ALTER TABLE predictions ADD COLUMN total_ms REAL;
ALTER TABLE predictions ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE latencies ADD COLUMN total_ms REAL;
ALTER TABLE latencies ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
"""

# What each contestant was expected to cost when it was started.
VERSION_3 = """
CREATE TABLE estimates (
    contestant_id INTEGER NOT NULL REFERENCES contestants ON DELETE CASCADE,
    item TEXT NOT NULL,
    usd REAL NOT NULL,
    PRIMARY KEY (contestant_id, item)
) STRICT, WITHOUT ROWID;
"""

# What a local network gave each label: of test images the first few with their probabilities (JSON, best first),
# of validation images what the last look at them said.
VERSION_4 = """
ALTER TABLE predictions ADD COLUMN ranking TEXT;
CREATE TABLE validations (
    job_id INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    image_id INTEGER NOT NULL REFERENCES images ON DELETE CASCADE,
    label INTEGER NOT NULL,
    probability REAL NOT NULL,
    truth_probability REAL NOT NULL,
    PRIMARY KEY (job_id, image_id)
) STRICT, WITHOUT ROWID;
"""

# What the last check of a dataset found; and what is catalogued stays as it is: an image or a label is never another
# one, and none comes or goes once an experiment looks at the set, so that all contestants see the same.
VERSION_5 = """
CREATE TABLE checks (
    dataset_id INTEGER PRIMARY KEY REFERENCES datasets ON DELETE CASCADE,
    at REAL NOT NULL,
    images INTEGER NOT NULL,
    seconds REAL NOT NULL
) STRICT;
CREATE TABLE findings (
    id INTEGER PRIMARY KEY,
    dataset_id INTEGER NOT NULL REFERENCES datasets ON DELETE CASCADE,
    kind TEXT NOT NULL,
    level TEXT NOT NULL CHECK (level IN ('error', 'warning', 'note')),
    what TEXT NOT NULL,
    cure TEXT NOT NULL,
    files INTEGER NOT NULL
) STRICT;
CREATE INDEX findings_by_dataset ON findings (dataset_id, id);
CREATE TABLE finding_files (
    finding_id INTEGER NOT NULL REFERENCES findings ON DELETE CASCADE,
    position INTEGER NOT NULL,
    path TEXT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (finding_id, position)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER images_frozen BEFORE UPDATE ON images
BEGIN SELECT RAISE(ABORT, 'a catalogued image never changes'); END;
CREATE TRIGGER labels_frozen BEFORE UPDATE ON labels
BEGIN SELECT RAISE(ABORT, 'a catalogued label never changes'); END;
CREATE TRIGGER images_kept BEFORE DELETE ON images
WHEN EXISTS (SELECT 1 FROM experiments WHERE dataset_id = OLD.dataset_id)
BEGIN SELECT RAISE(ABORT, 'an experiment looks at these images'); END;
CREATE TRIGGER images_complete BEFORE INSERT ON images
WHEN EXISTS (SELECT 1 FROM experiments WHERE dataset_id = NEW.dataset_id)
BEGIN SELECT RAISE(ABORT, 'an experiment looks at these images'); END;
"""
