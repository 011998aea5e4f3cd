/**
 * hack/guest test: what a machine with cgroup v2 alone, or with AppArmor, answers. Each test file has a guest of its
 * own, so that one that hangs or dies takes no other along. The last line is "N passed, N failed"; exit code 1 if any
 * failed, 20 when no guest can be had here (the reason is printed).
 *   --short     what hack/test runs, in one guest: the native tests, those of test/guest, and the life of pods
 *   --write     keeps each file's result in test/conformance/guest.json and writes the table of docs/cgroups.md
 *   --table     writes the table from what is kept, and runs nothing
 *   FILE...     these test files or folders instead; "native": the C programs
 * The guest's processor is emulated: what takes a second here takes four there, a daemon starts in 5 s.
 */
import { existsSync, globSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { TestResults } from "../test/support/results.ts";
import { writeMarked } from "./marked.ts";
import { must, run } from "./run.ts";
import { markdownTable } from "./text-table.ts";

const root = join(import.meta.dirname, "..");
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    short: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    table: { type: "boolean", default: false },
  },
});

/** Native test programs that ask the kernel about cgroups. */
const native = ["cgroup/cgroup_test", "cgroup/limits_test"].map((name) => `build/asan/test/native/${name}`);
const shortFiles = ["native", "test/guest", "test/integration/oci/security.test.ts", "test/e2e/pod.test.ts"];
/** A pod's life in all its parts, and what else a kernel with v2 alone answers otherwise, or could. */
const e2e = [
  ...["bad-input", "cgroup", "command", "configuration", "container", "crictl", "disk", "faults", "kill9"],
  ...["lifecycle", "log-flush", "logs", "network", "pod", "races", "recover", "security", "systemd"],
];
const fullFiles = [
  "native",
  "test/guest",
  "test/integration/cgroup",
  "test/integration/oci",
  "test/native/fields/cgroup.test.ts",
  ...["isolation", "kernel"].map((name) => `test/native/security/${name}.test.ts`),
  ...e2e.map((name) => `test/e2e/${name}.test.ts`),
  "test/e2e/streaming",
];
const files = positionals.length > 0 ? positionals : values.short ? shortFiles : fullFiles;
/** Of one guest: ends what hangs. */
const limitS = values.short ? 900 : 7200;

/** Outside programs that the files' tests use, by their names in hack/tools. */
const tools = ["runc", "crictl", "runsc", "cni-bridge", "cni-host-local", "cni-loopback", "cni-portmap"];

interface Row extends TestResults {
  readonly kernel: string;
  readonly seconds: number;
}
type Rows = Readonly<Record<string, Row>>;
const recordFile = join(root, "test/conformance/guest.json");

/** "native" and test files by name, folders opened. */
function expand(names: readonly string[]): string[] {
  return names.flatMap((name) =>
    name !== "native" && statSync(join(root, name)).isDirectory()
      ? globSync(`${name}/**/*.test.ts`, { cwd: root }).toSorted()
      : [name],
  );
}

/** Prepared here, where a compiler and the packages are quick. */
async function build(): Promise<void> {
  await must([join(root, "hack/build"), "--asan"], { cwd: root });
  const programs = native.map((name) => join(root, name));
  const make = ["make", "-s", "-C", join(root, "native"), "MODE=asan", `OUT=${root}/build`];
  await must([...make, ...programs], { cwd: root });
}

/** What a guest runs. Each program's exit code goes to a file of its own beside the results. */
function script(group: readonly string[]): string {
  const tests = group.filter((name) => name !== "native");
  const projects = ["guest", "native", "integration", "e2e"].map((name) => `--project=${name}`).join(" ");
  return [
    // As hack/test does: a folder of its own for all that the tests leave.
    "KOBAKO_RUN=$(mktemp -d /tmp/kobako-run-XXXXXX) && export KOBAKO_RUN TMPDIR=$KOBAKO_RUN && chmod 0755 $KOBAKO_RUN",
    "mkdir -p /run/netns",
    ...(group.includes("native")
      ? native.map((program) => `${program}; echo "$? ${program}" >>$KOBAKO_GUEST_OUT/native`)
      : []),
    // One at a time: an emulated processor is no more than one daemon and its tests need.
    ...(tests.length > 0
      ? [
          `KOBAKO_RESULTS=$KOBAKO_GUEST_OUT/results.json ${process.execPath} node_modules/vitest/vitest.mjs run ` +
            `${projects} --maxWorkers=1 ${tests.join(" ")}`,
        ]
      : []),
  ].join("\n");
}

function read(folder: string, group: readonly string[], code: number): TestResults {
  const total: TestResults = { passed: 0, failed: [], skipped: [] };
  const file = join(folder, "out/results.json");
  if (existsSync(file)) {
    const results = JSON.parse(readFileSync(file, "utf8")) as TestResults;
    total.passed += results.passed;
    total.failed.push(...results.failed);
    total.skipped.push(...results.skipped);
  } else if (group.some((name) => name !== "native")) {
    const how = code === 124 ? `not at its end after ${limitS} s` : `no results, exit code ${code}`;
    total.failed.push(`${group.join(" ")}: ${how}`);
  }
  if (!group.includes("native")) return total;
  const programs = join(folder, "out/native");
  const lines = existsSync(programs) ? readFileSync(programs, "utf8").trim().split("\n") : [];
  for (const line of lines)
    if (line.startsWith("0 ")) total.passed++;
    else total.failed.push(line.slice(line.indexOf(" ") + 1));
  if (lines.length !== native.length) total.failed.push("not all native programs ran");
  return total;
}

/** Boots a guest for `group`, and shows what it says. */
async function inGuest(group: readonly string[], kernel: string): Promise<Row> {
  const folder = await mkdtemp(join(tmpdir(), "kg-out-"));
  const started = performance.now();
  try {
    const options = ["--timeout", String(limitS), "--out", folder];
    const { code } = await run(
      [join(root, "hack/guest"), "run", ...options, "--", "sh", "-c", script(group)],
      {
        cwd: root,
        show: true,
        // Tests of cpusets name two processors; a second one only costs the others (hack/guest).
        env: group.every((name) => name.startsWith("test/e2e/")) ? {} : { KOBAKO_GUEST_CPUS: "2" },
      },
    );
    const seconds = Math.round((performance.now() - started) / 1000);
    return { ...read(folder, group, code), kernel, seconds };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function recorded(): Rows {
  return existsSync(recordFile) ? (JSON.parse(readFileSync(recordFile, "utf8")) as Rows) : {};
}

function record(name: string, row: Row): void {
  const rows = Object.entries({ ...recorded(), [name]: row }).toSorted(([a], [b]) => a.localeCompare(b));
  writeFileSync(recordFile, `${JSON.stringify(Object.fromEntries(rows), null, 2)}\n`);
  writeTable();
}

/** From all that is kept: files that did not run now have the rows of their last run. */
function writeTable(): void {
  const rows = Object.entries(recorded());
  const cells = (name: string, of: readonly Row[]) => {
    const sum = (count: (row: Row) => number) => String(of.reduce((total, row) => total + count(row), 0));
    return [
      name,
      sum((row) => row.passed),
      sum((row) => row.failed.length),
      sum((row) => row.skipped.length),
      sum((row) => row.seconds),
    ];
  };
  const all = rows.map(([, row]) => row);
  const failed = all.flatMap((row) => row.failed);
  const without = expand(fullFiles).filter((name) => !rows.some(([recordedName]) => recordedName === name));
  const byReason = Map.groupBy(
    all.flatMap((row) => row.skipped),
    ({ reason }) => reason,
  );
  const text = [
    `Linux ${[...new Set(all.map((row) => row.kernel))].join(", ")}, cgroup v2 alone, AppArmor, an emulated processor. Seconds are those of the`,
    "whole guest, its start included, beside other work: how long to wait, not how fast it is.",
    "",
    markdownTable(
      ["test file", "passed", "failed", "skipped", "seconds"],
      [...rows.map(([name, row]) => cells(name, [row])), cells("all", all)],
    ),
    ...(failed.length > 0 ? ["", "Failed:", "", ...failed.map((name) => `- ${name}`)] : []),
    ...(without.length > 0 ? ["", `Not run to their end yet: ${without.join(", ")}.`] : []),
    ...(byReason.size > 0
      ? ["", "Skipped:", "", ...[...byReason].map(([reason, skips]) => `- ${skips.length}: ${reason}`)]
      : []),
  ];
  writeMarked(join(root, "docs/cgroups.md"), "guest", text.join("\n"));
}

if (values.table) {
  writeTable();
  process.exit(0);
}
const { code: prepared, output: reason } = await run([join(root, "hack/guest"), "prepare"]);
if (prepared !== 0) {
  console.log(reason.trim());
  process.exit(prepared);
}
const kernel = /vmlinuz-(\S+)/.exec(reason)?.[1] ?? "";
await build();
const names = expand(files);
if (!values.short) await run([join(root, "hack/tools"), ...tools], { show: true });
const total: TestResults = { passed: 0, failed: [], skipped: [] };
for (const group of values.short ? [names] : names.map((name) => [name])) {
  const row = await inGuest(group, kernel);
  total.passed += row.passed;
  total.failed.push(...row.failed.map((name) => `guest: ${name}`));
  total.skipped.push(...row.skipped);
  if (values.write && !values.short) record(group.join(" "), row);
  if (!values.short)
    console.log(`== ${group.join(" ")}: ${row.passed} passed, ${row.failed.length} failed, ${row.seconds} s`);
}
const results = process.env.KOBAKO_GUEST_RESULTS;
if (results !== undefined) writeFileSync(results, JSON.stringify(total));
for (const { name, reason: why } of total.skipped) console.log(`skipped ${name}: ${why}`);
for (const name of total.failed) console.log(`failed: ${name}`);
console.log(`${total.passed} passed, ${total.failed.length} failed`);
process.exitCode = total.failed.length > 0 ? 1 : 0;
