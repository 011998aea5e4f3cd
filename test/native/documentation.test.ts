/** docs/oci-runtime.md says what the program does. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { optionsPage, optionsPart, optionsReference } from "../../hack/oci-options.ts";
import { Bundle } from "../integration/oci/bundle.ts";

const page = readFileSync(optionsPage, "utf8");

it("its options are those of --help (hack/differences writes them)", () => {
  const [, part] = page.split(new RegExp(`<!-- (?:begin|end): ${optionsPart} -->`));
  expect(part?.trim()).toBe(optionsReference());
});

it("its members of state.json are those that are written", async () => {
  const section = /### state\.json\n([\s\S]*?)\n## /.exec(page)?.[1] ?? "";
  const told = section
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .flatMap((line) => [...(line.split("|")[1] ?? "").matchAll(/`(\w+)`/g)].map((m) => m[1]));
  await using b = new Bundle((s) => {
    s.process.args = ["/bin/sleep", "1000"];
    s.annotations = { "org.example.key": "value" };
  });
  b.create();
  const state = JSON.parse(readFileSync(join(b.state, b.id, "state.json"), "utf8")) as object;
  expect(told.toSorted()).toEqual(Object.keys(state).sort());
});
