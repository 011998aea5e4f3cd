import { existsSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { hostileLayers } from "../../corpus/layers/hostile.ts";
import { makeCanary } from "../../support/canary.ts";
import { layerOfTar, tarOf } from "../../support/image-builder.ts";
import { never, sourceOf, testStore, xattrs } from "./store.ts";

/** Also without following the last part, which may be a link that leads nowhere. */
const isThere = (path: string) => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

it("no hostile layer reaches the canary: each is refused, or what it names lies inside (L1-L5, L7, L9, L13)", async () => {
  await using canary = await makeCanary();
  const wrong: string[] = [];
  for (const { row, what, tar, outcome } of await hostileLayers(canary.path)) {
    await using s = await testStore();
    const result = await s.store.unpack(sourceOf(layerOfTar(tar)), never).then(
      (layer) => layer,
      (error: unknown) => error as Error & { kind?: string },
    );
    const note = (text: string) => wrong.push(`${row} ${what}: ${text}`);
    if ("key" in result) {
      if (outcome === "refused") note(`was taken: ${readdirSync(result.path)}`);
      else for (const name of outcome) if (!isThere(join(result.path, name))) note(`${name} is not there`);
      const marks = isThere(join(result.path, "d")) && row === "L9" ? xattrs(join(result.path, "d")) : [];
      if (marks.length > 0) note(`has attributes ${marks}`);
    } else {
      if (outcome !== "refused") note(`was refused: ${result.message}`);
      if (result.kind !== "invalid-argument") note(`is ${result.kind}: ${result.message}`);
      await s.store.freed();
      if (readdirSync(join(s.root, "tmp")).length + readdirSync(join(s.root, "trash")).length > 0)
        note("left something");
    }
    if (JSON.stringify(canary.listing()) !== JSON.stringify(canary.before)) note("the canary is hurt");
  }
  expect(wrong).toEqual([]);
});

it("a hostile layer above a hostile layer reaches nothing either: links of lower layers stay inside (L2)", async () => {
  await using canary = await makeCanary();
  await using s = await testStore();
  const below = layerOfTar(await tarOf([{ name: "d", type: "symlink", linkname: canary.path }]));
  const above = layerOfTar(
    await tarOf([{ name: "d/etc/passwd", content: "hostile" }, { name: "d/.wh.setuid" }]),
  );
  await s.store.unpack(sourceOf(below), never);
  const layer = await s.store.unpack(sourceOf(above, [below.diffId]), never);
  expect(existsSync(join(layer.path, canary.path, "etc/passwd"))).toBe(true);
  expect(lstatSync(join(layer.path, canary.path, "setuid")).isCharacterDevice()).toBe(true);
  expect(canary.listing()).toEqual(canary.before);
});
