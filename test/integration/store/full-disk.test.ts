/** A start on a full disk: the rows are read, and nothing is set aside. */
import { copyFileSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { documentCodec, Store } from "../../../src/store/store.ts";
import { type LoopDisk, loopDisk } from "../../support/loop-disk.ts";
import { tempDir } from "../../support/temp-dir.ts";

interface Item {
  readonly id: string;
  readonly text: string;
}

const rows = 300;
const never = (message: string) => {
  throw new Error(message);
};
const itemsOf = (store: Store) => store.table<Item>("image", documentCodec<Item>());

/** What a store with `rows` rows leaves on `disk` when its process is killed: those of its files that end in `suffixes`. */
async function killedStore(disk: LoopDisk, suffixes: readonly string[]): Promise<string> {
  await using folder = await tempDir("store");
  const path = join(folder.path, "kobako.db");
  const store = await Store.open(path, never);
  const items = itemsOf(store);
  store.transaction(() => {
    for (let i = 0; i < rows; i++) items.put({ id: `${i}`, text: "x".repeat(1000) });
  });
  const root = join(disk.path, "root");
  mkdirSync(root);
  for (const suffix of suffixes) copyFileSync(path + suffix, join(root, `kobako.db${suffix}`));
  await store.close();
  return join(root, "kobako.db");
}

describe("a store whose daemon was killed, on a disk that is full", () => {
  it.each([
    ["with its index", ["", "-wal", "-shm"]],
    ["without its index, for which there is no room", ["", "-wal"]],
  ])("%s: is read, refuses what is new, and takes it once there is room", async (_name, suffixes) => {
    await using disk = await loopDisk({ sizeMib: 96 });
    const path = await killedStore(disk, suffixes);
    const free = disk.fill();
    const reports: string[] = [];
    const store = await Store.open(path, (message) => reports.push(message));
    const items = itemsOf(store);
    expect(items.all(never)).toHaveLength(rows);
    expect(reports).toEqual([expect.stringMatching(/log .* stays as it is.*full/)]);
    const large = { id: "large", text: "x".repeat(12 << 20) };
    expect(() => store.transaction(() => items.put(large))).toThrow(/disk of the database is full/);
    free();
    store.transaction(() => items.put(large));
    expect(statSync(`${path}-wal`).size).toBe(0);
    store.transaction(() => items.put({ id: "after", text: "" }));
    await store.close();
    expect(readdirSync(dirname(path))).not.toContainEqual(expect.stringContaining("broken"));
    const again = await Store.open(path, never);
    expect(itemsOf(again).all(never)).toHaveLength(rows + 2);
    await again.close();
  });
});
