/**
 * The database: what must outlive the daemon.
 * Enters: values of the domain. Leaves: the same values at the next start.
 * Keeps: <root>/kobako.db (SQLite, WAL), one writer, numbered migrations.
 * Never: decides; never holds secrets; never syncs on the event loop, unless it was opened on a full disk.
 *
 * Two classes of durability (docs/architecture.md, State): rows of pods are written with
 * synchronous=NORMAL, because a power cut ends the pods anyway; an image is answered for only after
 * `syncLog` has brought the write-ahead log to the disk.
 */
import { existsSync, renameSync, statfsSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import { errorText, RuntimeError } from "../errors/runtime-error.ts";
import { fromJson, toJson } from "./json.ts";
import { migrations } from "./schema.ts";
import { sqlite, sqliteCode } from "./sqlite-code.ts";

/**
 * WAL size at which it is folded back into the database, in bytes: after some hundred pods. A fold costs a thread of
 * its own, 50 ms of processor time.
 */
const checkpointBytes = 8 << 20;

/**
 * With less room than this the log's index is kept in memory: it is a mapped file, and a mapped page for which the disk
 * has no block ends the process (SIGBUS).
 */
const indexRoomBytes = 1 << 20;

/** Columns that are their own value in a row; everything else of the value goes to `detail`. */
interface RowOf<T> {
  /** "id" first. */
  readonly columns: readonly string[];
  toRow(value: T): readonly (string | number | bigint | null)[];
  fromRow(row: Record<string, unknown>): T;
}

/** One table of values with an id: put (insert or replace), remove, all. */
export class Table<T> {
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #all: StatementSync;
  readonly #codec: RowOf<T>;

  constructor(db: DatabaseSync, name: string, codec: RowOf<T>) {
    const marks = codec.columns.map(() => "?").join(", ");
    const update = codec.columns.slice(1).map((column) => `${column} = excluded.${column}`);
    this.#codec = codec;
    // Not "INSERT OR REPLACE": that makes a new row, which writes the pages of the indexes too.
    this.#put = db.prepare(
      `INSERT INTO ${name} (${codec.columns.join(", ")}) VALUES (${marks})
       ON CONFLICT (id) DO UPDATE SET ${update.join(", ")}`,
    );
    this.#remove = db.prepare(`DELETE FROM ${name} WHERE id = ?`);
    this.#all = db.prepare(`SELECT ${codec.columns.join(", ")} FROM ${name}`);
    this.#all.setReadBigInts(true);
  }

  put(value: T): void {
    this.#put.run(...this.#codec.toRow(value));
  }

  remove(id: string): void {
    this.#remove.run(id);
  }

  /** Every row that can be read; the others are given to `bad` (row id, error) and left where they are. */
  all(bad: (id: string, error: unknown) => void): T[] {
    const values: T[] = [];
    for (const row of this.#rows()) {
      try {
        values.push(this.#codec.fromRow(row));
      } catch (error) {
        bad(String(row.id), error);
      }
    }
    return values;
  }

  #rows(): Record<string, unknown>[] {
    try {
      return this.#all.all();
    } catch (error) {
      throw storeError(error);
    }
  }
}

/** A table whose rows are one JSON document each. */
export function documentCodec<T extends { readonly id: string }>(): RowOf<T> {
  return {
    columns: ["id", "record"],
    toRow: (value) => [value.id, toJson(value)],
    fromRow: (row) => fromJson<T>(String(row.record)),
  };
}

export class Store {
  readonly path: string;
  readonly #db: DatabaseSync;
  readonly #indexInMemory: boolean;
  #checkpoint: Promise<void> | undefined;

  private constructor(path: string, db: DatabaseSync) {
    this.path = path;
    this.#db = db;
    this.#indexInMemory = db.prepare("PRAGMA locking_mode").get()?.locking_mode === "exclusive";
  }

  /**
   * Opens or makes the database at `path` and brings it to the newest schema.
   * A file that SQLite finds damaged is set aside as `<path>.broken-<time>` and told to `report`: the daemon then
   * starts without rows. A full disk prevents no start as long as the rows can be read.
   * @throws RuntimeError `failed-precondition` when a newer kobako wrote it, `resource-exhausted` or `unavailable` when
   * the machine does not give it. All files are then left as they are.
   */
  static async open(path: string, report: (message: string) => void): Promise<Store> {
    let db: DatabaseSync;
    try {
      db = openDatabase(path, report);
    } catch (error) {
      if (!isDamage(error)) throw openError(path, error);
      const aside = `${path}.broken-${Date.now()}`;
      for (const suffix of ["", "-wal", "-shm"]) {
        if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
      }
      report(
        `database is unreadable (${errorText(error)}): set aside as ${aside}, its pods end and its images are pulled again`,
      );
      db = openDatabase(path, report);
    }
    const store = new Store(path, db);
    // The names of database and log must be on disk before the first record is answered for.
    const folder = await open(dirname(path), "r");
    await folder.sync().finally(() => folder.close());
    return store;
  }

  table<T>(name: string, codec: RowOf<T>): Table<T> {
    return new Table(this.#db, name, codec);
  }

  /** Runs `work` as one transaction. Short and synchronous: nothing else runs inside it. */
  transaction<R>(work: () => R): R {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#db.exec("COMMIT");
      this.#foldLog();
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw storeError(error);
    }
  }

  /** Brings every committed row to the disk. The sync runs in the thread pool. */
  async syncLog(): Promise<void> {
    const log = await open(`${this.path}-wal`, "r+");
    await log.datasync().finally(() => log.close());
  }

  async close(): Promise<void> {
    await this.#checkpoint;
    this.#db.close();
  }

  /** Folds a grown log into the database and empties it, in a thread of its own: it syncs twice. */
  #foldLog(): void {
    if (this.#checkpoint !== undefined) return;
    const size = statSync(`${this.path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    if (size < checkpointBytes) return;
    if (this.#indexInMemory) {
      // No other thread can see that index. Rare enough, and better than a log that grows until the next start.
      fold(this.#db);
      return;
    }
    this.#checkpoint = new Promise<void>((done) => {
      const worker = new Worker(checkpointScript, { eval: true, workerData: this.path });
      // A checkpoint that does not happen costs disk only: the next transaction tries again.
      worker.on("error", () => done());
      worker.on("exit", () => done());
    }).finally(() => {
      this.#checkpoint = undefined;
    });
  }
}

const checkpointScript = `
const { DatabaseSync } = require("node:sqlite");
const db = new DatabaseSync(require("node:worker_threads").workerData, { timeout: 1000 });
db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
db.close();
`;

function openDatabase(path: string, report: (message: string) => void): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: 5000 });
  try {
    // Not bfree: of that ext4 keeps a part from root too.
    const { bavail, bsize } = statfsSync(dirname(path));
    if (bavail * bsize < indexRoomBytes) db.exec("PRAGMA locking_mode = EXCLUSIVE");
    db.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;
      PRAGMA wal_autocheckpoint = 0;
      PRAGMA cache_size = -256;
    `);
    migrate(db, path);
    readAll(db);
    const error = fold(db);
    if (isDamage(error)) throw error;
    if (error !== undefined)
      report(`the log of the database stays as it is (${errorText(error)}): it is folded once that works`);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Folds the log into the database and empties it. Returns what prevented it: that costs disk only, no row. */
function fold(db: DatabaseSync): unknown {
  try {
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Reads every row once, some milliseconds for 500 pods: a page that can't be read would end each start later, at its rows. */
function readAll(db: DatabaseSync): void {
  for (const { name } of db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()) {
    const rows = db.prepare(`SELECT * FROM ${String(name)}`);
    rows.setReadBigInts(true);
    rows.all();
  }
}

function migrate(db: DatabaseSync, path: string): void {
  const row = db.prepare("PRAGMA user_version").get() as { user_version: number };
  if (row.user_version > migrations.length) {
    throw new RuntimeError(
      "failed-precondition",
      `${path} was written by a newer kobako (schema ${row.user_version}, this one knows ${migrations.length}): upgrade kobako, or remove the file with all pods`,
    );
  }
  for (const [index, migration] of migrations.entries()) {
    if (index < row.user_version) continue;
    db.exec(`BEGIN IMMEDIATE; ${migration} PRAGMA user_version = ${index + 1}; COMMIT`);
  }
}

/** Whether the file itself is to blame. `error`: its tables are not those that its version says. */
function isDamage(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === sqlite.corrupt || code === sqlite.notDatabase || code === sqlite.error;
}

/** SQLITE_FULL and friends have a meaning to the caller; the others are ours. */
function storeError(cause: unknown): unknown {
  const code = sqliteCode(cause);
  if (code === sqlite.full)
    return new RuntimeError("resource-exhausted", "the disk of the database is full: free space below root", {
      cause,
    });
  if (code === sqlite.ioError)
    return new RuntimeError("unavailable", "the disk of the database gives I/O errors", { cause });
  return cause;
}

function openError(path: string, error: unknown): unknown {
  if (error instanceof RuntimeError) return error;
  const cause = storeError(error);
  return new RuntimeError(
    cause instanceof RuntimeError ? cause.kind : "unavailable",
    `${path} can't be opened, and is left as it is: ${errorText(cause)}`,
    { cause },
  );
}
