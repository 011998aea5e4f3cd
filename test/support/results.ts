/**
 * A vitest reporter that leaves its counts, failures and skips (with their reasons) in the JSON file
 * named by KOBAKO_RESULTS, for hack/test to sum up. Silent without it.
 * A test that is skipped without a reason has failed; of those that -t leaves out nothing is told.
 */
import { writeFileSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import type { Reporter, TestModule, Vitest } from "vitest/node";

export interface TestResults {
  passed: number;
  /** Name and first line of the error; a file that cannot be loaded and an error outside of any test count as one each. */
  failed: string[];
  skipped: { name: string; reason: string }[];
}

/** The end of a long run's output is all that some see of it. */
function firstLine(message = ""): string {
  const [line = ""] = stripVTControlCharacters(message).trim().split("\n");
  return line === "" ? "" : `: ${line.slice(0, 300)}`;
}

export class Results implements Reporter {
  #leavesOut = false;

  onInit({ config }: Vitest): void {
    this.#leavesOut = config.testNamePattern !== undefined;
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const file = process.env.KOBAKO_RESULTS;
    if (file === undefined) return;
    const results: TestResults = {
      passed: 0,
      failed: errors.map(() => "error outside of any test"),
      skipped: [],
    };
    for (const module of modules) {
      const path = module.relativeModuleId;
      const tests = [...module.children.allTests()];
      if (module.errors().length > 0 || (tests.length === 0 && module.state() === "failed"))
        results.failed.push(path);
      for (const test of tests) {
        const name = `${path} > ${test.fullName}`;
        const result = test.result();
        if (result.state === "passed") results.passed++;
        else if (result.state === "skipped" && result.note !== undefined)
          results.skipped.push({ name, reason: result.note });
        else if (result.state === "skipped" && !this.#leavesOut)
          results.failed.push(`${name}: skipped without a reason`);
        else if (result.state !== "skipped")
          results.failed.push(name + firstLine(result.errors?.[0]?.message));
      }
    }
    writeFileSync(file, JSON.stringify(results));
  }
}
