/** hack/ignored: the tests of docs/oci-support.md against a kobako-oci that never sees the field. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Row, supportRows } from "./oci-support.ts";
import { run } from "./run.ts";

const root = join(import.meta.dirname, "..");
const folder = mkdtempSync(join(tmpdir(), "kobako-ignored-"));

const quoted = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** A runtime that takes the field out of config.json first. */
function runtimeWithout(field: string): string {
  const file = join(folder, `kobako-oci-${field.replaceAll(/\W/g, "-")}`);
  const strip = `"${process.execPath}" --disable-warning=ExperimentalWarning "${join(root, "hack/without-field.ts")}"`;
  const binary = join(root, "build/bin/kobako-oci");
  writeFileSync(file, `#!/bin/sh\n${strip} '${field}' "$@" || exit 99\nexec "${binary}" "$@"\n`, {
    mode: 0o755,
  });
  return file;
}

interface Outcome {
  readonly passed: number;
  readonly failed: number;
}

async function outcome({ file, name }: Row, field: string): Promise<Outcome> {
  const results = join(folder, "results.json");
  rmSync(results, { force: true });
  const project = file.startsWith("test/native/") ? "native" : "integration";
  const pattern = name.length > 1 ? `^${quoted(name.join(" > "))}` : quoted(name[0] ?? "");
  await run(
    [
      process.execPath,
      join(root, "node_modules/vitest/vitest.mjs"),
      ...["run", `--project=${project}`, "--reporter=json", `--outputFile=${results}`, file, "-t", pattern],
    ],
    { cwd: root, env: { KOBAKO_OCI: runtimeWithout(field) } },
  );
  const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(results, "utf8")) as {
    numPassedTests: number;
    numFailedTests: number;
  };
  return { passed: numPassedTests, failed: numFailedTests };
}

const asked = process.argv.slice(2);
const rows = supportRows().filter(
  ({ field }) => asked.length === 0 || asked.some((wanted) => field === wanted || field.startsWith(wanted)),
);
const found: string[] = [];
try {
  const usual = new Map<string, boolean>();
  for (const row of rows) {
    const test = `${row.file}: ${row.name.join(" > ")}`;
    // What config.json has no part in: unit tests in C, a field of update's.
    if (!row.file.endsWith(".ts") || row.how.startsWith("update:")) {
      console.log(`not asked  ${row.field}  (${test})`);
      continue;
    }
    // What fails with every field seen says nothing.
    const known = usual.get(test);
    const plain = known === undefined ? await outcome(row, "no.such.field") : undefined;
    if (plain !== undefined) usual.set(test, plain.failed === 0 && plain.passed > 0);
    const works = usual.get(test) === true;
    const { failed } = works ? await outcome(row, row.field) : { failed: 0 };
    const verdict = !works ? "NO TEST" : failed > 0 ? "fails" : "IGNORED";
    if (verdict !== "fails") found.push(row.field);
    console.log(`${verdict.padEnd(9)}  ${row.field}  (${test})`);
  }
  console.log(
    `${rows.length} rows; a test that does not notice: ${found.length === 0 ? "none" : found.join(", ")}`,
  );
  process.exitCode = found.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
