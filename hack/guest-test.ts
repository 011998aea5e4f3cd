/**
 * hack/guest test: what needs cgroup v2 alone, or AppArmor, in the guest of hack/guest. The last line is
 * "N passed, N failed"; exit code 1 if any failed, 20 when no guest can be had here (the reason is printed).
 *   --short     what hack/test runs: the native tests, those of test/guest, and the life of pods
 *   FILE...     these test files instead
 * The guest's processor is emulated: what takes a second here takes four there, a daemon starts in 7 s.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { TestResults } from "../test/support/results.ts";
import { run } from "./run.ts";

const root = join(import.meta.dirname, "..");
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { short: { type: "boolean", default: false } },
});

/** Native test programs that ask the kernel about cgroups. */
const native = ["cgroup/cgroup_test", "cgroup/limits_test"].map((name) => `build/asan/test/native/${name}`);
const shortFiles = ["test/guest", "test/integration/oci/security.test.ts", "test/e2e/pod.test.ts"];
/** The daemon's tests that a kernel with v2 alone answers otherwise, or could. */
const fullFiles = [
  ...shortFiles,
  "test/integration/oci",
  "test/native/cgroup.test.ts",
  ...["isolation", "kernel"].map((name) => `test/native/security/${name}.test.ts`),
  ...["container", "cgroup", "lifecycle", "recover", "faults", "kill9", "security", "systemd"].map(
    (name) => `test/e2e/${name}.test.ts`,
  ),
];
const files = positionals.length > 0 ? positionals : values.short ? shortFiles : fullFiles;
const limitS = values.short ? 420 : 5400;

/** Prepared here, where a compiler and the packages are quick. */
async function build(): Promise<void> {
  const built = await run([join(root, "hack/build"), "--asan"], { cwd: root });
  const programs = native.map((name) => join(root, name));
  const made = await run([
    "make",
    "-s",
    "-C",
    join(root, "native"),
    "MODE=asan",
    `OUT=${root}/build`,
    ...programs,
  ]);
  if (built.code !== 0 || made.code !== 0) throw new Error(`build\n${built.output}${made.output}`);
}

/** What the guest runs. Each program's exit code goes to a file of its own beside the results. */
function script(): string {
  const node = process.execPath;
  return [
    // As hack/test does: a folder of its own for all that the tests leave.
    "KOBAKO_RUN=$(mktemp -d /tmp/kobako-run-XXXXXX) && export KOBAKO_RUN TMPDIR=$KOBAKO_RUN && chmod 0755 $KOBAKO_RUN",
    "mkdir -p /run/netns",
    ...native.map((program) => `${program}; echo "$? ${program}" >>$KOBAKO_GUEST_OUT/native`),
    // One at a time: two emulated processors are no more than one daemon and its tests need.
    `KOBAKO_RESULTS=$KOBAKO_GUEST_OUT/results.json ${node} node_modules/vitest/vitest.mjs run --project=guest --project=native --project=integration --project=e2e ` +
      `--maxWorkers=1 ${files.join(" ")}`,
  ].join("\n");
}

function read(folder: string, code: number): TestResults {
  const total: TestResults = { passed: 0, failed: [], skipped: [] };
  const file = join(folder, "out/results.json");
  if (existsSync(file)) {
    const results = JSON.parse(readFileSync(file, "utf8")) as TestResults;
    total.passed += results.passed;
    total.failed.push(...results.failed.map((name) => `guest: ${name}`));
    total.skipped.push(...results.skipped);
  } else {
    total.failed.push(`guest: no results, exit code ${code}`);
  }
  const programs = join(folder, "out/native");
  const lines = existsSync(programs) ? readFileSync(programs, "utf8").trim().split("\n") : [];
  for (const line of lines)
    if (line.startsWith("0 ")) total.passed++;
    else total.failed.push(`guest: ${line.slice(line.indexOf(" ") + 1)}`);
  if (lines.length !== native.length) total.failed.push("guest: not all native tests ran");
  return total;
}

const { code: prepared, output: reason } = await run([join(root, "hack/guest"), "prepare"]);
if (prepared !== 0) {
  console.log(reason.trim());
  process.exit(prepared);
}
await build();
if (files.some((name) => name.startsWith("test/native")))
  await run([join(root, "hack/tools"), "runc"], { show: true });
const folder = await mkdtemp(join(tmpdir(), "kg-out-"));
try {
  const { code } = await run(
    [
      join(root, "hack/guest"),
      "run",
      "--timeout",
      String(limitS),
      "--out",
      folder,
      "--",
      "sh",
      "-c",
      script(),
    ],
    { cwd: root, show: true },
  );
  const total = read(folder, code);
  const results = process.env.KOBAKO_GUEST_RESULTS;
  if (results !== undefined) writeFileSync(results, JSON.stringify(total));
  for (const { name, reason } of total.skipped) console.log(`skipped ${name}: ${reason}`);
  for (const name of total.failed) console.log(`failed: ${name}`);
  console.log(`${total.passed} passed, ${total.failed.length} failed`);
  process.exitCode = total.failed.length > 0 ? 1 : 0;
} finally {
  await rm(folder, { recursive: true, force: true });
}
