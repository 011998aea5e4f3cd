import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Collection } from "./collection.ts";
import { lockFolder } from "./lock.ts";
import { documentCodec, Store } from "./store.ts";

interface Item {
  readonly id: string;
  readonly size: bigint;
}

let folder: string;
let path: string;
const never = (message: string) => {
  throw new Error(message);
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kobako-store-"));
  path = join(folder, "kobako.db");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const items = (store: Store) => new Collection<Item>(store, store.table("image", documentCodec<Item>()));

it("what was put is read by the next daemon, exactly", async () => {
  const first = await Store.open(path, never);
  items(first).put({ id: "a", size: 2n ** 63n - 1n });
  await first.syncLog();
  await first.close();
  const second = await Store.open(path, never);
  const again = items(second);
  again.load(never);
  expect(again.find("a")).toEqual({ id: "a", size: 2n ** 63n - 1n });
  await second.close();
});

it("a row that can't be read is told and left, the others are read", async () => {
  const first = await Store.open(path, never);
  items(first).put({ id: "good", size: 1n });
  await first.close();
  const raw = new DatabaseSync(path);
  raw.exec("INSERT INTO image (id, record) VALUES ('bad', '{')");
  raw.close();
  const second = await Store.open(path, never);
  const bad: string[] = [];
  const again = items(second);
  again.load((id) => bad.push(id));
  expect(bad).toEqual(["bad"]);
  expect([...again.values()].map(({ id }) => id)).toEqual(["good"]);
  await second.close();
});

describe("a database that is not one", () => {
  it.each([
    ["garbage", Buffer.alloc(8192, 0x5a)],
    ["cut inside its header", Buffer.from("SQLite format 3\0")],
  ])("%s: is set aside, and the daemon starts", async (_name, bytes) => {
    await writeFile(path, bytes);
    const reports: string[] = [];
    const store = await Store.open(path, (message) => reports.push(message));
    items(store).put({ id: "new", size: 1n });
    await store.close();
    expect(reports).toEqual([expect.stringContaining("set aside")]);
    expect((await readdir(folder)).some((name) => name.startsWith("kobako.db.broken-"))).toBe(true);
  });

  it("with a page inside that can't be read: is set aside, and the daemon starts", async () => {
    const first = await Store.open(path, never);
    const table = first.table("image", documentCodec<Item>());
    first.transaction(() => {
      for (let i = 0; i < 1000; i++) table.put({ id: `i${i}`, size: 1n });
    });
    await first.close();
    const bytes = await readFile(path);
    const page = Math.floor(bytes.lastIndexOf('"id"') / 4096); // one of the rows, not of an index
    await writeFile(path, bytes.fill(0x5a, page * 4096, (page + 1) * 4096));
    const reports: string[] = [];
    const store = await Store.open(path, (message) => reports.push(message));
    expect(store.table("image", documentCodec<Item>()).all(never)).toEqual([]);
    await store.close();
    expect(reports).toEqual([expect.stringContaining("set aside")]);
  });

  it("with tables that are not those of its version: is set aside", async () => {
    const raw = new DatabaseSync(path);
    raw.exec("CREATE TABLE sandbox (id TEXT)");
    raw.close();
    const reports: string[] = [];
    const store = await Store.open(path, (message) => reports.push(message));
    await store.close();
    expect(reports).toEqual([expect.stringContaining("set aside")]);
  });

  it("of a newer kobako: is refused and not changed", async () => {
    const raw = new DatabaseSync(path);
    raw.exec("PRAGMA user_version = 999");
    raw.close();
    await expect(Store.open(path, never)).rejects.toMatchObject({
      kind: "failed-precondition",
      message: expect.stringContaining("newer kobako"),
    });
    expect(await readdir(folder)).not.toContainEqual(expect.stringContaining("broken"));
  });
});

it("a database that can't be opened is refused, and left where it is", async () => {
  await mkdir(path);
  await expect(Store.open(path, never)).rejects.toMatchObject({
    kind: "unavailable",
    message: expect.stringMatching(/kobako\.db can't be opened, and is left as it is/),
  });
  expect(await readdir(folder)).toEqual(["kobako.db"]);
});

it("a transaction that throws leaves nothing", async () => {
  const store = await Store.open(path, never);
  const table = store.table("image", documentCodec<Item>());
  expect(() =>
    store.transaction(() => {
      table.put({ id: "a", size: 1n });
      throw new Error("second half");
    }),
  ).toThrow("second half");
  expect(table.all(never)).toEqual([]);
  await store.close();
});

it("a grown log is folded back into the database while the store is in use", async () => {
  const store = await Store.open(path, never);
  const table = store.table("image", documentCodec<Item & { text: string }>());
  for (let i = 0; i < 6; i++)
    store.transaction(() => table.put({ id: `i${i}`, size: 0n, text: "x".repeat(1 << 20) }));
  await store.close();
  const again = await Store.open(path, never);
  expect(again.table("image", documentCodec<Item>()).all(never)).toHaveLength(6);
  await again.close();
});

it("a prefix finds the one id that begins with it, and no other", async () => {
  const store = await Store.open(path, never);
  const all = items(store);
  for (const id of ["abc1", "abc2", "d"]) all.put({ id, size: 0n });
  expect(all.findByPrefix("d")?.id).toBe("d");
  expect(all.findByPrefix("abc1")?.id).toBe("abc1");
  expect(all.findByPrefix("x")).toBeUndefined();
  expect(all.findByPrefix("")).toBeUndefined();
  expect(() => all.findByPrefix("abc")).toThrow(/ambiguous/);
  await store.close();
});

it("a folder belongs to one daemon at a time", async () => {
  const lock = lockFolder(folder, "state");
  expect(() => lockFolder(folder, "state")).toThrow(
    `another kobako daemon uses state ${folder}: stop it, or choose another state`,
  );
  lock[Symbol.dispose]();
  lockFolder(folder, "state")[Symbol.dispose]();
  await writeFile(join(folder, "lock"), "x".repeat(1000));
  expect(() => lockFolder(folder, "state")).toThrow(`${folder}/lock can't be locked`);
});
