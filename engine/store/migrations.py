"""The schema, as the list of steps that led to it. A step that was released is never edited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.store.first_migrations import VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5

# The folder of a job's files. NULL means `<id>-<nonce>`, which no other job can have, whatever happens to the store.
# Jobs that had begun before this step keep the folder that they wrote to, which was named by the number only.
VERSION_6 = """
ALTER TABLE jobs ADD COLUMN folder TEXT;
UPDATE jobs SET folder = CAST(id AS TEXT) WHERE started_at IS NOT NULL;
"""

# The nonces of jobs that were deleted with their experiments: what they left on a service is still this home's.
VERSION_7 = """
CREATE TABLE deleted_jobs (
    nonce TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
"""

# A number is never given twice, not even after a delete: ids name folders, requests and files. Jobs may be cancelling
# on the service, and the seconds that they worked are counted, without pauses and without waiting. Foreign keys are
# off while a step runs (see `Database`), so that a table can be dropped that others refer to.
VERSION_8 = """
DROP TRIGGER images_frozen;
DROP TRIGGER images_kept;
DROP TRIGGER images_complete;
CREATE TABLE new_datasets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    root TEXT NOT NULL,
    split TEXT NOT NULL,
    seed INTEGER,
    digest TEXT NOT NULL,
    created_at REAL NOT NULL
) STRICT;
INSERT INTO new_datasets SELECT id, name, source, root, split, seed, digest, created_at FROM datasets;
DROP TABLE datasets;
ALTER TABLE new_datasets RENAME TO datasets;
CREATE TABLE new_images (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
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
INSERT INTO new_images SELECT id, dataset_id, path, label, split, bytes, width, height, sha256 FROM images ORDER BY id;
DROP TABLE images;
ALTER TABLE new_images RENAME TO images;
CREATE INDEX images_by_split ON images (dataset_id, split, id);
CREATE TABLE new_experiments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    dataset_id INTEGER REFERENCES datasets,
    profile TEXT NOT NULL,
    spec TEXT NOT NULL,
    created_at REAL NOT NULL
) STRICT;
INSERT INTO new_experiments SELECT id, name, dataset_id, profile, spec, created_at FROM experiments;
DROP TABLE experiments;
ALTER TABLE new_experiments RENAME TO experiments;
CREATE TABLE new_contestants (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
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
INSERT INTO new_contestants
    SELECT id, experiment_id, name, kind, model, emulated, prompt, answer_format, train_seconds FROM contestants;
DROP TABLE contestants;
ALTER TABLE new_contestants RENAME TO contestants;
CREATE TABLE new_jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    experiment_id INTEGER NOT NULL REFERENCES experiments ON DELETE CASCADE,
    contestant_id INTEGER REFERENCES contestants ON DELETE CASCADE,
    kind TEXT NOT NULL,
    nonce TEXT NOT NULL UNIQUE,
    parameters TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'queued', 'running', 'paused', 'cancelling',
        'succeeded', 'failed', 'cancelled', 'interrupted')),
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
    finished_at REAL,
    folder TEXT,
    attempt_started_at REAL,
    attempt_seconds REAL,
    worked_seconds REAL NOT NULL DEFAULT 0
) STRICT;
INSERT INTO new_jobs
    SELECT id, experiment_id, contestant_id, kind, nonce, parameters, state, attempt, request, pid, pid_started,
        heartbeat_at, done, total, note, error, result, created_at, started_at, finished_at, folder, NULL, NULL, 0
    FROM jobs;
DROP TABLE jobs;
ALTER TABLE new_jobs RENAME TO jobs;
CREATE INDEX jobs_by_experiment ON jobs (experiment_id);
CREATE TEMP TABLE attempts AS
    SELECT e.job_id, e.attempt, e.attempt = j.attempt AND j.state = 'running' AS runs,
        MIN(e.at) FILTER (WHERE e.message GLOB 'started (attempt *') AS began,
        MAX(e.at) FILTER (WHERE e.message NOT GLOB 'resumed*' AND e.message NOT GLOB 'the worker is gone*'
            AND e.message NOT GLOB '*before it ran on') AS ended
    FROM job_events e JOIN jobs j ON j.id = e.job_id GROUP BY e.job_id, e.attempt;
UPDATE jobs SET worked_seconds = COALESCE(
    (SELECT SUM(MAX(0, ended - began)) FROM temp.attempts WHERE job_id = jobs.id AND NOT runs),
    MAX(0, finished_at - started_at), 0);
UPDATE jobs SET attempt_started_at = COALESCE(
    (SELECT began FROM temp.attempts WHERE job_id = jobs.id AND runs), heartbeat_at) WHERE state = 'running';
DROP TABLE temp.attempts;
CREATE TRIGGER images_frozen BEFORE UPDATE ON images
BEGIN SELECT RAISE(ABORT, 'a catalogued image never changes'); END;
CREATE TRIGGER images_kept BEFORE DELETE ON images
WHEN EXISTS (SELECT 1 FROM experiments WHERE dataset_id = OLD.dataset_id)
BEGIN SELECT RAISE(ABORT, 'an experiment looks at these images'); END;
CREATE TRIGGER images_complete BEFORE INSERT ON images
WHEN EXISTS (SELECT 1 FROM experiments WHERE dataset_id = NEW.dataset_id)
BEGIN SELECT RAISE(ABORT, 'an experiment looks at these images'); END;
"""

# The model that the service names in a contestant's answers: answers of two models are never one contestant's.
VERSION_9 = """
ALTER TABLE contestants ADD COLUMN served TEXT;
"""

# The ledger of what was paid; `costs` is its sum by job and item.
VERSION_10 = """
CREATE TABLE charges (
    id INTEGER PRIMARY KEY,
    job_id INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    contestant_id INTEGER REFERENCES contestants ON DELETE CASCADE,
    item TEXT NOT NULL CHECK (item IN ('training', 'hosting', 'inference')),
    key TEXT NOT NULL,
    usd REAL,
    prompt_tokens INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    training_tokens INTEGER NOT NULL DEFAULT 0,
    seconds REAL NOT NULL DEFAULT 0,
    estimated INTEGER NOT NULL DEFAULT 0,
    at REAL NOT NULL,
    UNIQUE (job_id, item, key)
) STRICT;
CREATE INDEX charges_by_contestant ON charges (contestant_id);
INSERT INTO charges (job_id, contestant_id, item, key, usd, at)
    SELECT c.job_id, c.contestant_id, c.item, 'before', c.usd, j.created_at FROM costs c JOIN jobs j ON j.id = c.job_id;
DROP TABLE costs;
CREATE VIEW costs AS SELECT job_id, MAX(contestant_id) AS contestant_id, item, SUM(usd) AS usd
    FROM charges GROUP BY job_id, item;
"""

# What a job has on the service is open until it has ended there; and a job that was cancelled because of another one
# names it. Of jobs before this step that have succeeded nothing runs any more but deployments that were kept.
VERSION_11 = """
ALTER TABLE remote_calls ADD COLUMN ended_at REAL;
ALTER TABLE jobs ADD COLUMN cancelled_with INTEGER;
UPDATE remote_calls SET ended_at = intent_at WHERE operation != 'deployment'
    AND (SELECT state FROM jobs WHERE id = job_id) = 'succeeded';
UPDATE remote_calls SET ended_at = intent_at WHERE operation = 'deployment' AND EXISTS (
    SELECT 1 FROM needs n JOIN jobs s ON s.id = n.job_id WHERE n.needs_id = remote_calls.job_id
    AND s.state = 'succeeded' AND COALESCE(json_extract(s.parameters, '$.keep_deployment'), 0) = 0);
UPDATE jobs SET cancelled_with = (SELECT MIN(needs_id) FROM needs WHERE job_id = jobs.id)
    WHERE state = 'cancelled' AND error GLOB 'needs job *';
"""

# By which measure an experiment's contestants are judged (JSON; NULL is accuracy), and the costs of mistakes as TOML.
VERSION_12 = """
ALTER TABLE experiments ADD COLUMN measure TEXT;
ALTER TABLE experiments ADD COLUMN costs TEXT;
"""

MIGRATIONS: tuple[str, ...] = (
    VERSION_1,
    VERSION_2,
    VERSION_3,
    VERSION_4,
    VERSION_5,
    VERSION_6,
    VERSION_7,
    VERSION_8,
    VERSION_9,
    VERSION_10,
    VERSION_11,
    VERSION_12,
)


def statements(steps: Sequence[str]) -> Iterator[str]:
    """Yield the statements of some steps one by one, so that they can be run inside a transaction."""
    for step in steps:
        yield from (statement for statement in step.split(";\n") if statement.strip())
