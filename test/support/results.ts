/**
 * A vitest reporter that leaves its counts, failures and skips (with their reasons) in the JSON file
 * named by KOBAKO_RESULTS, for hack/test to sum up. Silent without it.
 */
import { writeFileSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

export interface TestResults {
  passed: number;
  /** Names; a file that cannot be loaded and an error outside of any test count as one each. */
  failed: string[];
  skipped: { name: string; reason: string }[];
}

export class Results implements Reporter {
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
        else if (result.state === "skipped")
          results.skipped.push({ name, reason: result.note ?? "no reason given" });
        else results.failed.push(name);
      }
    }
    writeFileSync(file, JSON.stringify(results));
  }
}
