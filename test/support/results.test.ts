import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import type { TestResults } from "./results.ts";
import { tempDir } from "./temp-dir.ts";

const vitest = new URL("../../node_modules/vitest/vitest.mjs", import.meta.url).pathname;
const results = new URL("results.ts", import.meta.url).pathname;

/** What a run of vitest over one file of tests leaves for hack/test. */
async function resultsOf(tests: string, ...args: string[]): Promise<TestResults> {
  await using folder = await tempDir("results");
  const file = join(folder.path, "results.json");
  writeFileSync(
    join(folder.path, "vitest.config.ts"),
    `import { Results } from ${JSON.stringify(results)};
export default { test: { globals: true, reporters: [new Results()] } };`,
  );
  writeFileSync(join(folder.path, "a.test.ts"), tests);
  const run = [vitest, "run", "--root", folder.path, "--passWithNoTests", ...args];
  await promisify(execFile)(process.execPath, run, { env: { ...process.env, KOBAKO_RESULTS: file } }).catch(
    () => undefined, // exit code 1: a test failed
  );
  return JSON.parse(readFileSync(file, "utf8")) as TestResults;
}

const tests = `
it("passes", () => {});
it("fails", () => { throw new Error("no\\nmore"); });
it("has a reason", ({ skip }) => skip("not here"));
it("has none", ({ skip }) => skip());
it.skipIf(true)("is never begun", () => {});
`;

describe("the results of a stage", () => {
  it("are what passed, what failed, and what was skipped with a reason: without one it failed", async () => {
    expect(await resultsOf(tests)).toEqual({
      passed: 1,
      failed: [
        "a.test.ts > fails: no",
        "a.test.ts > has none: skipped without a reason",
        "a.test.ts > is never begun: skipped without a reason",
      ],
      skipped: [{ name: "a.test.ts > has a reason", reason: "not here" }],
    });
  });

  it("do not tell of tests that were not asked for", async () => {
    expect(await resultsOf(tests, "-t", "passes|has a reason")).toEqual({
      passed: 1,
      failed: [],
      skipped: [{ name: "a.test.ts > has a reason", reason: "not here" }],
    });
  });
});
