/**
 * What is on disk, as numbered migrations. A released migration is never edited: the database
 * outlives an upgrade. Tables are STRICT; nested values are JSON without secrets (environment
 * variables and credentials never enter the database).
 */

/** Each entry brings the database from version index to index + 1. */
export const migrations: readonly string[] = [
  `
  CREATE TABLE sandbox (
    id          TEXT PRIMARY KEY,
    state       TEXT NOT NULL,
    handler     TEXT NOT NULL,
    created_ns  INTEGER NOT NULL,
    boot_id     TEXT NOT NULL,      -- kernel's, of the boot in which it was made
    folder      TEXT NOT NULL,      -- volatile, holds the monitor's socket
    netns       TEXT,               -- pin; NULL with the host's network
    monitor     TEXT,               -- {"pid","startTime","pausePid"}
    network     TEXT,               -- {"ips","networkName","interfaceName"}
    reason      TEXT NOT NULL,      -- why it is not ready
    detail      TEXT NOT NULL,      -- facts of the lifecycle that nothing queries
    fingerprint TEXT NOT NULL,      -- keyed hashes of the request's fields
    config      TEXT NOT NULL
  ) STRICT;
  CREATE TABLE container (
    id          TEXT PRIMARY KEY,
    sandbox_id  TEXT NOT NULL,
    state       TEXT NOT NULL,
    created_ns  INTEGER NOT NULL,
    started_ns  INTEGER NOT NULL,   -- 0: never
    finished_ns INTEGER NOT NULL,   -- 0: not yet
    exit_code   INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    message     TEXT NOT NULL,
    image_id    TEXT NOT NULL,
    pid         INTEGER NOT NULL,   -- of init, 0: none
    start_time  TEXT NOT NULL,      -- of that pid, /proc/PID/stat field 22
    cgroup      TEXT NOT NULL,
    detail      TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    config      TEXT NOT NULL
  ) STRICT;
  CREATE INDEX container_sandbox ON container (sandbox_id);
  CREATE TABLE image (
    id     TEXT PRIMARY KEY,
    record TEXT NOT NULL
  ) STRICT;
  `,
];
