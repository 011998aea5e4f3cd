import { describe, expect, it } from "vitest";
import { LayerKeeper } from "./layer-keeper.ts";

/** The two questions that the keeper asks a layer store. */
function store(...keys: string[]) {
  const here = new Set(keys);
  return {
    here,
    list: () => [...here].map((key) => ({ key, path: `/${key}`, sizeBytes: 1 })),
    remove: async (gone: readonly string[]) => {
      for (const key of gone) here.delete(key);
    },
  };
}

describe("a layer", () => {
  it("of an image or of a pull stays", async () => {
    const layers = store("image", "pull", "orphan");
    const keeper = new LayerKeeper({ layers, referenced: () => ["image"], graceMs: 0 });
    const held = keeper.hold();
    held.add(["pull", "pull"]);
    await keeper.collect(new Set(["image", "pull", "orphan"]));
    expect([...layers.here]).toEqual(["image", "pull"]);
    held[Symbol.dispose]();
    held[Symbol.dispose]();
    await keeper.collect(new Set());
    expect([...layers.here]).toEqual(["image"]);
  });

  it("held by two pulls stays until both have ended", async () => {
    const layers = store("x");
    const keeper = new LayerKeeper({ layers, referenced: () => [], graceMs: 0 });
    const pulls = [keeper.hold(), keeper.hold()];
    for (const pull of pulls) pull.add(["x"]);
    pulls[0]?.[Symbol.dispose]();
    await keeper.collect(new Set());
    expect(layers.here.size).toBe(1);
    pulls[1]?.[Symbol.dispose]();
    await keeper.collect(new Set());
    expect(layers.here.size).toBe(0);
  });

  it("without an owner waits for its time of grace, unless its image was removed", async () => {
    const layers = store("failed pull", "removed image");
    const keeper = new LayerKeeper({ layers, referenced: () => [], graceMs: 60_000 });
    expect(await keeper.collect(new Set(["removed image"]))).toBeGreaterThan(59_000);
    expect([...layers.here]).toEqual(["failed pull"]);
  });

  it("that finds an owner again in time starts anew", async () => {
    const layers = store("x");
    let owned = false;
    const keeper = new LayerKeeper({ layers, referenced: () => (owned ? ["x"] : []), graceMs: 60_000 });
    await keeper.collect(new Set());
    owned = true;
    expect(await keeper.collect(new Set())).toBeUndefined();
    owned = false;
    expect(await keeper.collect(new Set())).toBeGreaterThan(59_000);
  });
});
