/** hack/check: runs the checks side by side, prints a line per check and the output of those that fail. */
import { existsSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { TestResults } from "../test/support/results.ts";
import { run } from "./run.ts";

const root = join(import.meta.dirname, "..");
const node = process.execPath;
const quiet = "--disable-warning=ExperimentalWarning";
const tool = (path: string) => join(root, "node_modules", path);

interface Check {
  readonly name: string;
  readonly command: readonly string[];
}

const generate = join(root, "hack/generate");
const checks: readonly Check[] = [
  { name: "unit tests", command: [node, tool("vitest/vitest.mjs"), "run", "--project=unit"] },
  { name: "types", command: [node, tool("typescript/bin/tsc"), "--noEmit", "-p", root] },
  {
    name: "format, lint",
    command: [node, tool("@biomejs/biome/bin/biome"), "check", "--error-on-warnings", root],
  },
  { name: "import direction", command: [node, quiet, join(root, "hack/import-direction.ts")] },
  ...(existsSync(generate) ? [{ name: "generated files", command: [generate, "--check"] }] : []),
];

const queue = [...checks];
let unitFailed = false;
const results: TestResults = { passed: 0, failed: [], skipped: [] };
async function worker(): Promise<void> {
  for (let check = queue.shift(); check; check = queue.shift()) {
    const started = performance.now();
    const { code, output } = await run(check.command, { cwd: root });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    if (check.name !== "unit tests") {
      // The unit tests count themselves, one by one.
      if (code === 0) results.passed++;
      else results.failed.push(`check: ${check.name}`);
    } else if (code !== 0) unitFailed = true;
    console.log(`${code === 0 ? "ok  " : "FAIL"} ${check.name.padEnd(18)} ${seconds} s`);
    if (code !== 0) console.log(output.trimEnd());
  }
}
await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, worker));
const { KOBAKO_CHECK_RESULTS: resultsFile } = process.env; // hack/test asks for it
if (resultsFile !== undefined) writeFileSync(resultsFile, JSON.stringify(results));
const failed = results.failed.length + (unitFailed ? 1 : 0);
if (failed > 0) console.log(`check: ${failed} of ${checks.length} failed`);
process.exitCode = failed > 0 ? 1 : 0;
