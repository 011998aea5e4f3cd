/**
 * OCI runtimes by their command line: the same bundle, the same run, their commands in turn. What is timed is the
 * command, from its start to its end, by stopwatch.c.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, realpathSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hiddenHierarchy } from "../../src/runtime/oci/host.ts";
import { defaultSeccomp } from "../../src/container/spec/seccomp-profile.ts";
import { Bundle } from "../../test/integration/oci/bundle.ts";
import { program } from "../../test/support/programs.ts";
import { tempDir } from "../../test/support/temp-dir.ts";
import { must, run } from "../run.ts";
import { type Summary, summary } from "../sample.ts";
import { interruption } from "./interruption.ts";

export interface OciRuntime {
  readonly name: string;
  readonly path: string;
}

export interface OciResult {
  readonly name: string;
  readonly version: string;
  /** By command, milliseconds; "life" is create, start and delete of one round together. */
  readonly ms: Readonly<Record<string, Summary>>;
  /** Processor time of a life, milliseconds: the commands' own, not that of the container. */
  readonly lifeCpuMs: Summary;
  readonly peakKib: Summary;
  /** The smallest of `limitsKib` under which `run` succeeds. */
  readonly smallestLimitKib: number | undefined;
  readonly binaryBytes: number;
}

interface Timing {
  readonly ns: number;
  readonly cpuUs: number;
  readonly peakKib: number;
  readonly status: number;
}

type Timings = ReadonlyMap<string, readonly Timing[]>;
export type Step = readonly [label: string, ...words: string[]];

/** Limits that are tried, from small to large. A limit that works once may be luck. */
const limitsKib = [
  128, 192, 256, 320, 384, 448, 512, 640, 768, 1024, 1280, 1536, 2048, 3072, 4096, 6144, 8192, 12288,
];
const limitTries = 5;

/** crun refuses a hybrid host whose v2 tree has a controller: it and all beside it are shown the v1 hierarchies alone. */
export function hiding(runtimes: readonly OciRuntime[]): readonly string[] {
  const hide = runtimes.some(({ name }) => name === "crun") ? hiddenHierarchy() : undefined;
  const line = `umount ${hide} && exec "$0" "$@"`;
  return hide === undefined
    ? []
    : ["/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", line];
}

export class Stopwatch {
  readonly #path: string;
  readonly #errors: string;
  readonly #before: readonly string[];

  /** before: what all commands are run under. */
  constructor(folder: string, before: readonly string[]) {
    this.#before = before;
    this.#path = join(folder, "stopwatch");
    this.#errors = join(folder, "errors");
    execFileSync("musl-gcc", ["-static", "-O2", "-o", this.#path, join(import.meta.dirname, "stopwatch.c")]);
  }

  /** @throws when a command ends with anything but `expected`, unless that is "any". */
  async time(rounds: number, steps: readonly Step[], expected: number | "any" = 0): Promise<Timings> {
    const input = steps.map((words) => `${words.join("\t")}\n`).join("");
    interruption.throwIfAborted();
    const command = [...this.#before, this.#path, String(rounds), this.#errors];
    const text = await must(command, { input, signal: interruption });
    const timings = new Map<string, Timing[]>();
    for (const line of text.split("\n")) {
      const [label = "", ...numbers] = line.split("\t");
      if (numbers.length !== 4) {
        if (line !== "") throw new Error(line);
        continue;
      }
      const [ns = 0, cpuUs = 0, peakKib = 0, status = 0] = numbers.map(Number);
      if (expected !== "any" && status !== expected)
        throw new Error(`${label}: exit status ${status}\n${readFileSync(this.#errors, "utf8")}`);
      const list = timings.get(label) ?? [];
      list.push({ ns, cpuUs, peakKib, status });
      timings.set(label, list);
    }
    return timings;
  }
}

/** A bundle as a kubelet's pod has it: the default seccomp profile, limits, masked paths. x32: with that ABI. */
export function bundleFor({ path }: OciRuntime, before: readonly string[], x32 = true): Bundle {
  const seccomp = defaultSeccomp(process.arch === "arm64" ? "arm64" : "x64", []);
  const architectures = seccomp.architectures?.filter((name) => x32 || name !== "SCMP_ARCH_X32");
  const bundle = new Bundle(
    (spec) => {
      spec.ociVersion = "1.0.2"; // the newest that Debian's crun knows
      spec.linux.seccomp = { ...seccomp, architectures };
      spec.linux.resources = { memory: { limit: 256 << 20 }, cpu: { shares: 512 }, pids: { limit: 100 } };
    },
    [...before, path],
  );
  for (const name of ["try", "waiter"])
    writeFileSync(join(bundle.rootfs, "bin", name), program(name), { mode: 0o755 });
  return bundle;
}

export async function measureOci(runtimes: readonly OciRuntime[], rounds: number): Promise<OciResult[]> {
  await using folder = await tempDir("bench-oci");
  await using bundles = new AsyncDisposableStack();
  const before = hiding(runtimes);
  const stopwatch = new Stopwatch(folder.path, before);
  // One for each: a cgroup is a container's own.
  const bundleOf = new Map(
    runtimes.map((runtime) => [runtime.name, bundles.use(bundleFor(runtime, before))]),
  );
  const step = (runtime: OciRuntime, command: string, options: string[] = [], more: string[] = []): Step => {
    const bundle = bundleOf.get(runtime.name);
    if (bundle === undefined) throw new Error(`no bundle of ${runtime.name}`);
    const files = command === "create" || command === "run" ? ["-b", bundle.folder] : [];
    return [
      `${command} ${runtime.name}`,
      ...[runtime.path, "--root", bundle.state, command, ...files, ...options, bundle.id, ...more],
    ];
  };
  const pidFile = (r: OciRuntime) => join(folder.path, `${r.name}.pid`);
  const create = (r: OciRuntime) => step(r, "create", ["--pid-file", pidFile(r)]);
  const start = (r: OciRuntime) => step(r, "start");
  const remove = (r: OciRuntime) => step(r, "delete", ["-f"]);
  const runOnce = (r: OciRuntime) => step(r, "run");
  const containers = (name: "try" | "waiter", limitKib = 256 << 10) => {
    for (const bundle of bundleOf.values()) {
      bundle.spec.process.args = [`/bin/${name}`];
      bundle.spec.linux.resources = { ...bundle.spec.linux.resources, memory: { limit: limitKib << 10 } };
      bundle.write();
    }
  };

  containers("try");
  // Its end is waited for: a runtime that must kill first sleeps until that is done.
  const life = (r: OciRuntime): Step[] => [create(r), start(r), ["", "@gone", pidFile(r)], step(r, "delete")];
  await stopwatch.time(3, runtimes.flatMap(life)); // files in the page cache, filters compiled
  const lives = await stopwatch.time(rounds, runtimes.flatMap(life));
  const runs = await stopwatch.time(rounds, runtimes.map(runOnce));

  containers("waiter");
  await stopwatch.time(
    1,
    runtimes.flatMap((r) => [create(r), start(r)]),
  );
  const execs = await stopwatch.time(
    rounds,
    runtimes.map((r) => step(r, "exec", [], ["/bin/try"])),
  );
  await stopwatch.time(1, runtimes.map(remove));

  const limits = new Map<string, number>();
  for (const limitKib of limitsKib) {
    const left = runtimes.filter(({ name }) => !limits.has(name));
    if (left.length === 0) break;
    containers("try", limitKib);
    for (const runtime of left) {
      const tries = await stopwatch.time(limitTries, [runOnce(runtime), remove(runtime)], "any");
      if (tries.get(`run ${runtime.name}`)?.every(({ status }) => status === 0))
        limits.set(runtime.name, limitKib);
    }
  }
  return await Promise.all(
    runtimes.map(async (runtime) => {
      const { name, path } = runtime;
      const of = (timings: Timings, command: string) => timings.get(`${command} ${name}`) ?? [];
      const ms = (timings: readonly Timing[]) => timings.map(({ ns }) => ns / 1e6);
      const parts = ["create", "start", "delete"].map((command) => of(lives, command));
      const together = (value: (t: Timing) => number) =>
        Array.from({ length: rounds }, (_, i) =>
          parts.reduce((sum, part) => sum + (part[i] === undefined ? Number.NaN : value(part[i])), 0),
        );
      const version = (await run([path, "--version"])).output.split("\n", 1)[0] ?? "";
      return {
        name,
        version,
        ms: {
          life: summary(together(({ ns }) => ns / 1e6)),
          create: summary(ms(of(lives, "create"))),
          start: summary(ms(of(lives, "start"))),
          delete: summary(ms(of(lives, "delete"))),
          run: summary(ms(of(runs, "run"))),
          exec: summary(ms(of(execs, "exec"))),
        },
        lifeCpuMs: summary(together(({ cpuUs }) => cpuUs / 1000)),
        peakKib: summary(of(runs, "run").map(({ peakKib }) => peakKib)),
        smallestLimitKib: limits.get(name),
        binaryBytes: statSync(realpathSync(path)).size,
      };
    }),
  );
}

/** Head and rows of the table; the last column but one is ours beside each peer. */
export function ociRows(results: readonly OciResult[]): { head: string[]; rows: string[][] } {
  const [own, ...peers] = results;
  const number = (value: number | undefined, digits: number) =>
    value === undefined || Number.isNaN(value) ? "-" : value.toFixed(digits);
  const times = [
    ["life", "create + start + delete of a program that ends at once"],
    ["create", "of it create"],
    ["start", "of it start"],
    ["delete", "of it delete"],
    ["run", "run"],
    ["exec", "exec in a running container"],
  ] as const;
  const ratio = (pick: (result: OciResult) => number | undefined) =>
    peers.map((peer) => {
      const [a, b] = [own === undefined ? undefined : pick(own), pick(peer)];
      return a === undefined || b === undefined ? "-" : (a / b).toFixed(2);
    });
  const row = (
    label: string,
    pick: (result: OciResult) => number | undefined,
    cell: (result: OciResult) => string,
  ) => [label, ...results.map(cell), ...ratio(pick)];
  return {
    head: ["p50 / p95", ...results.map(({ name }) => name), ...peers.map(({ name }) => `ours / ${name}`)],
    rows: [
      ...times.map(([key, label]) =>
        row(
          `${label}, ms`,
          ({ ms }) => ms[key]?.p50,
          ({ ms }) => `${number(ms[key]?.p50, 1)} / ${number(ms[key]?.p95, 1)}`,
        ),
      ),
      row(
        "processor time of create + start + delete, ms",
        ({ lifeCpuMs }) => lifeCpuMs.p50,
        ({ lifeCpuMs }) => `${number(lifeCpuMs.p50, 1)} / ${number(lifeCpuMs.p95, 1)}`,
      ),
      row(
        "largest memory of run, KiB RSS",
        ({ peakKib }) => peakKib.p50,
        ({ peakKib }) => number(peakKib.p50, 0),
      ),
      row(
        "smallest memory limit of a container, KiB",
        ({ smallestLimitKib }) => smallestLimitKib,
        ({ smallestLimitKib }) => number(smallestLimitKib, 0),
      ),
      row(
        "program, KiB",
        ({ binaryBytes }) => binaryBytes,
        ({ binaryBytes }) => number(binaryBytes / 1024, 0),
      ),
    ],
  };
}
