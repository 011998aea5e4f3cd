/**
 * hack/test: runs the stages one after the other, all of them also when one fails, and sums up.
 * What counts: each vitest test, each native test program, each check that is not a test (types, lint, ...).
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { allPids, processInfo } from "../test/support/host.ts";
import type { TestResults } from "../test/support/results.ts";
import { runFiles } from "../test/support/run.ts";
import { leftInTheKernel, mountPoints } from "./leftovers.ts";
import { must, run } from "./run.ts";

const root = join(import.meta.dirname, "..");
const resultsFolder = join(root, "build/test-results");
const stages = ["check", "native", "fuzz", "contract", "runtime", "integration", "e2e", "guest"] as const;
/** Stages whose vitest project has another name: "native" are the C tests. */
const projects: Partial<Record<Stage, string>> = { runtime: "native" };
type Stage = (typeof stages)[number];

const { positionals } = parseArgs({ allowPositionals: true, strict: false });
const split = process.argv.indexOf("--");
const vitestArguments = split < 0 ? [] : process.argv.slice(split + 1);
const asked = positionals.slice(0, positionals.length - vitestArguments.length);
const unknown = asked.filter((name) => !stages.includes(name as Stage));
if (unknown.length > 0) {
  console.error(`test: unknown stage ${unknown.join(", ")} (one of: ${stages.join(", ")})`);
  process.exit(2);
}

/** Exit code of hack/guest where QEMU or its kernel can't be had. */
const noGuest = 20;
const total: TestResults = { passed: 0, failed: [], skipped: [] };
const times: string[] = [];

function add(stage: string, code: number, results: TestResults | undefined): void {
  total.passed += results?.passed ?? 0;
  total.failed.push(...(results?.failed ?? []));
  total.skipped.push(...(results?.skipped ?? []));
  // A stage that ended badly without naming a test (a crash, an empty result) is a failure of its own.
  if (code !== 0 && (results === undefined || results.failed.length === 0))
    total.failed.push(`${stage}: exit code ${code}`);
}

function readResults(file: string): TestResults | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as TestResults) : undefined;
}

async function vitest(stage: Stage): Promise<void> {
  const project = projects[stage] ?? stage;
  const file = join(resultsFolder, `${stage}.json`);
  rmSync(file, { force: true });
  const { code } = await run(
    [
      process.execPath,
      join(root, "node_modules/vitest/vitest.mjs"),
      "run",
      `--project=${project}`,
      "--passWithNoTests",
      ...vitestArguments,
    ],
    { cwd: root, env: { KOBAKO_RESULTS: file }, show: true },
  );
  add(stage, code, readResults(file));
}

async function check(): Promise<void> {
  const file = join(resultsFolder, "check.json");
  const unit = join(resultsFolder, "unit.json");
  for (const name of [file, unit]) rmSync(name, { force: true });
  const { code } = await run(
    [process.execPath, "--disable-warning=ExperimentalWarning", join(root, "hack/check.ts")],
    { cwd: root, env: { KOBAKO_RESULTS: unit, KOBAKO_CHECK_RESULTS: file }, show: true },
  );
  add("unit", 0, readResults(unit));
  add("check", code, readResults(file));
}

async function native(): Promise<void> {
  const { code, output } = await run(["make", "-s", "-C", join(root, "native"), "test"], { cwd: root });
  // Each program ends with a count of its own; the one of this run is the last line, and the only one.
  process.stdout.write(
    output.replace(/^(\d+) passed, (\d+) failed$/gm, "$1 of the programs passed, $2 did not"),
  );
  const counts = [...output.matchAll(/^(\d+) passed, (\d+) failed$/gm)];
  const failed = [...output.matchAll(/^FAIL (.*)$/gm)].map((match) => `native: ${match[1]}`);
  const passed = counts.reduce((sum, match) => sum + Number(match[1]), 0);
  add("native", code, counts.length > 0 ? { passed, failed, skipped: [] } : undefined);
}

/** The libFuzzer targets, a few seconds each: a minute in all. Their files live in memory, in this run's mounts. */
async function fuzz(): Promise<void> {
  const folder = join(runFolder ?? "", "fuzz");
  mkdirSync(folder);
  await must(["mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", folder]);
  try {
    const { code, output } = await run([join(root, "hack/fuzz"), "--check", "4"], {
      env: { TMPDIR: folder },
    });
    console.log(output.trimEnd());
    const named = (word: string) =>
      [...output.matchAll(new RegExp(`^${word} ([\\w-]+):`, "gm"))].map(([, name = ""]) => name);
    const failed = named("FAIL").map((name) => `fuzz: ${name}`);
    add("fuzz", code, { passed: named("ok").length, failed, skipped: [] });
  } finally {
    await must(["umount", folder]);
    rmdirSync(folder);
  }
}

/** What needs cgroup v2 alone and AppArmor, in a machine that is emulated: the short part. */
async function guest(): Promise<void> {
  const file = join(resultsFolder, "guest.json");
  rmSync(file, { force: true });
  const { code, output } = await run([join(root, "hack/guest"), "test", "--short"], {
    cwd: root,
    env: { KOBAKO_GUEST_RESULTS: file },
  });
  process.stdout.write(output.replace(/^(\d+) passed, (\d+) failed$/gm, "$1 passed in the guest, $2 failed"));
  const reason = `no guest here: ${output.trim().split("\n").at(-1)}`;
  if (code === noGuest) total.skipped.push({ name: "guest: cgroup v2 and AppArmor", reason });
  else add("guest", code, readResults(file));
}

/** Outside programs that the tests of a stage use, by their names in hack/tools. */
const tools: Partial<Record<Stage, readonly string[]>> = {
  contract: ["runc", "runsc", "containerd-shim-runc-v2", "containerd-shim-runsc-v1"],
  runtime: ["runc"],
  integration: ["crictl", "cni-bridge", "cni-host-local", "runc", "containerd-shim-runc-v2"],
  e2e: [
    "crictl",
    "runsc",
    "containerd-shim-runsc-v1",
    "containerd",
    "containerd-shim-runc-v2",
    "runc",
    "cni-bridge",
    "cni-host-local",
    "cni-loopback",
    "cni-portmap",
  ],
};

/** Has them built here, where it may take minutes, and not within the time of a test; podman and docker likewise. */
async function prepare(chosen: readonly Stage[]): Promise<void> {
  const names = [...new Set(chosen.flatMap((stage) => tools[stage] ?? []))];
  const commands = names.length > 0 ? [[join(root, "hack/tools"), ...names]] : [];
  if (chosen.includes("e2e")) commands.push([join(root, "hack/engines")]);
  for (const command of commands) {
    const { code, output } = await run(command);
    if (code !== 0) console.log(output.trimEnd());
    add("tools", code, undefined);
  }
  if (!chosen.includes("e2e")) return;
  // Minutes of two processors where the cache does not have them; without them their tests say so.
  for (const name of ["kubelet", "kubeadm"]) {
    const { code, output } = await run(["timeout", "1200", join(root, "hack/tools"), name]);
    if (code !== 0) console.log(`${output.trimEnd()}\nno ${name}: exit code ${code}`);
  }
}

/** Processes, mounts, namespaces, cgroups, links, firewall tables and files that the tests did not take back. */
function left(runFolder: string, mountsBefore: ReadonlySet<string>): string[] {
  return [
    // All processes of this namespace but the first (the shell that buries orphans) and ourselves.
    ...allPids()
      .filter((pid) => pid !== 1 && pid !== process.pid)
      .map((pid) => processInfo(pid))
      .filter((info) => info !== undefined && info.state !== "Z" && info.state !== "X")
      .map((info) => `process ${info?.name} (${info?.pid})`),
    ...mountPoints()
      .filter((point) => !mountsBefore.has(point))
      .map((point) => `mount ${point}`),
    ...readdirSync("/run/netns").map((name) => `network namespace ${name}`),
    ...leftInTheKernel(runFolder),
    ...runFiles(runFolder).map((name) => `file ${name}`),
  ];
}

/** Asked after all stages; what goes on its own within 10 s is no fault. */
async function nothingLeft(runFolder: string, mountsBefore: ReadonlySet<string>): Promise<void> {
  const end = performance.now() + 10_000;
  let found = left(runFolder, mountsBefore);
  for (; found.length > 0 && performance.now() < end; found = left(runFolder, mountsBefore)) await delay(100);
  if (found.length > 0) console.log(`left behind by the tests:\n  ${found.join("\n  ")}`);
  if (found.length > 0) total.failed.push("nothing is left behind");
  else total.passed++;
}

const { KOBAKO_RUN: runFolder } = process.env;
if (runFolder === undefined) throw new Error("started by hack/test only");
const mountsBefore = new Set(mountPoints());
mkdirSync(resultsFolder, { recursive: true });
const chosen = stages.filter((name) => asked.length === 0 || asked.includes(name));
await prepare(chosen);
for (const stage of chosen) {
  const started = performance.now();
  console.log(`== ${stage}`);
  if (stage === "check") await check();
  else if (stage === "native") await native();
  else if (stage === "fuzz") await fuzz();
  else if (stage === "guest") await guest();
  else await vitest(stage);
  times.push(`${stage} ${((performance.now() - started) / 1000).toFixed(1)} s`);
}
if (vitestArguments.length > 0 && total.passed + total.failed.length + total.skipped.length === 0)
  total.failed.push(`no test is named by ${vitestArguments.join(" ")}`);
await nothingLeft(runFolder, mountsBefore);

console.log(`\ntimes: ${times.join(", ")}`);
const byReason = Map.groupBy(total.skipped, (skip) => skip.reason);
for (const [reason, skips] of byReason) {
  console.log(`skipped ${skips.length}: ${reason}`);
  for (const { name } of skips) console.log(`  ${name}`);
}
for (const name of total.failed) console.log(`failed: ${name}`);
console.log(`${total.passed} passed, ${total.failed.length} failed`);
process.exitCode = total.failed.length > 0 ? 1 : 0;
