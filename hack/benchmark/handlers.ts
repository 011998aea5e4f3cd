/**
 * Handlers beside containerd with the same runtime program, and beside the program itself: what nobody who runs it can
 * be faster than. One after the other, in one run.
 */
import { basename, dirname, join } from "node:path";
import type { TomlTable } from "smol-toml";
import { hasX32, hiddenHierarchy } from "../../src/runtime/oci/host.ts";
import { Registry } from "../../test/support/registry.ts";
import { tempDir, volatileDir } from "../../test/support/temp-dir.ts";
import { must, run } from "../run.ts";
import { getRuntime, runtimeSettings, shimSettings } from "../runtimes.ts";
import { type Summary, summary } from "../sample.ts";
import { type PeerRuntime, startContainerd } from "./containerd.ts";
import { type Counts, measure, type Result } from "./measure.ts";
import { ownShimTimes, type ShimProgram } from "./shim.ts";
import type { Bundle } from "../../test/integration/oci/bundle.ts";
import { bundleFor, hiding, type OciRuntime, type Step, Stopwatch } from "./oci.ts";
import { probe, pushWorkload, startKobako, type Target, workload } from "./subject.ts";

const root = join(import.meta.dirname, "../..");

/** builtin is beside containerd with runc; a shim's program is the runtime that it runs. */
export const handlerNames = ["builtin", "runc", "runc-shim", "crun", "runsc", "runsc-shim"];

/** Milliseconds of the program without a daemon: its own runs, or those and the calls of a shim. */
export interface OwnTimes {
  readonly version: string;
  /** All that starts a pod with one container. */
  readonly podStart: Summary;
  readonly exec: Summary;
  /** All that removes them. */
  readonly podRemoval: Summary;
}

export interface HandlerResult {
  readonly name: string;
  readonly ours: Result;
  readonly theirs: Result;
  /** builtin has no program. */
  readonly own: OwnTimes | undefined;
}

interface Handler {
  readonly name: string;
  readonly settings: TomlTable | undefined;
  readonly peer: PeerRuntime;
  /** With `shim`: what that one runs. */
  readonly program: OciRuntime | undefined;
  readonly shim: ShimProgram | undefined;
}

/** `folder`: of the state of runtimes below shims. */
async function resolve(name: string, folder: string): Promise<Handler> {
  if (!handlerNames.includes(name)) throw new Error(`--handler ${name}: one of ${handlerNames.join(", ")}`);
  const programName = name === "builtin" ? "runc" : name.replace(/-shim$/, "");
  const program = { name: programName, path: await getRuntime(programName) };
  const shim = shimSettings(name, join(folder, name));
  const gvisor = programName === "runsc" ? shimSettings("runsc-shim", join(folder, "containerd")) : undefined;
  return {
    name,
    settings: name === "builtin" ? undefined : (shim?.settings ?? runtimeSettings(program.path)),
    peer:
      gvisor === undefined
        ? { ...program, hide: programName === "crun" ? hiddenHierarchy() : undefined }
        : { name: "runsc-shim", path: gvisor.path, configPath: gvisor.configPath },
    program: name === "builtin" ? undefined : program,
    shim,
  };
}

export async function benchHandlers(
  names: readonly string[],
  counts: Counts,
  rounds: number,
): Promise<HandlerResult[]> {
  await using folder = await volatileDir("bench-handlers");
  await using registry = await Registry.start();
  const image = await pushWorkload(registry, { userland: false });
  const measured = async (start: () => Promise<Target>): Promise<Result> => {
    await using target = await start();
    console.error(`bench: ${target.name}`);
    const { name, endpoint, marks } = target;
    return await measure({ name, endpoint, marks, image, workload, exec: probe }, counts);
  };
  const peers = new Map<string, Result>();
  const results: HandlerResult[] = [];
  for (const handler of await Promise.all(names.map((name) => resolve(name, folder.path)))) {
    const { name, settings, peer, program, shim } = handler;
    const ours = await measured(() => startKobako(settings === undefined ? undefined : { name, settings }));
    const theirs = peers.get(peer.name) ?? (await measured(() => startContainerd(registry, [], peer)));
    peers.set(peer.name, theirs);
    results.push({ name, ours, theirs, own: program && (await ownTimes(program, shim, rounds)) });
  }
  return results;
}

/** Its runs of the command line, or with `shim` the calls of that one. */
async function ownTimes(
  runtime: OciRuntime,
  shim: ShimProgram | undefined,
  rounds: number,
): Promise<OwnTimes> {
  console.error(`bench: ${runtime.name}${shim === undefined ? "" : " by its shim"}`);
  const before = shim === undefined ? hiding([runtime]) : [];
  const x32 = await hasX32(join(root, "build/bin/kobako-monitor"), AbortSignal.timeout(10_000));
  await using bundle = bundleFor(runtime, before, x32);
  await using sandbox = bundleFor(runtime, before, x32);
  const sandboxed = runtime.name === "runsc";
  await using undo = new AsyncDisposableStack();
  asInPod(bundle, sandboxed ? sandbox : undefined);
  if (sandboxed) {
    const state = shim === undefined ? bundle.state : join(dirname(shim.path), "state");
    undo.defer(async () => void (await run(["umount", join(state, "null-netns")]))); // gVisor's, never removed
  }
  const said = (await must([runtime.path, "--version"])).split("\n", 1)[0] ?? "";
  const times =
    shim === undefined
      ? await ownCommands(runtime, bundle, sandboxed ? sandbox : undefined, rounds)
      : await ownShimTimes(shim, sandboxed ? [sandbox, bundle] : [bundle], "/bin/try", rounds);
  return { version: said.includes("VERSION_MISSING") ? basename(runtime.path) : said, ...times };
}

/** As containers of a pod: its network, IPC and UTS namespaces are there already. gVisor makes a sandbox of its own. */
function asInPod({ spec }: Bundle, sandbox: Bundle | undefined): void {
  if (sandbox !== undefined) {
    sandbox.spec.annotations = { "io.kubernetes.cri.container-type": "sandbox" };
    spec.annotations = {
      "io.kubernetes.cri.container-type": "container",
      "io.kubernetes.cri.sandbox-id": sandbox.id,
    };
    return;
  }
  delete spec.hostname; // it would be this machine's
  const joined = Object.entries({ network: "net", ipc: "ipc", uts: "uts" });
  spec.linux.namespaces = [
    { type: "pid" },
    { type: "mount" },
    ...joined.map(([type, file]) => ({ type, path: `/proc/${process.pid}/ns/${file}` })),
  ];
}

async function ownCommands(
  runtime: OciRuntime,
  bundle: Bundle,
  sandbox: Bundle | undefined,
  rounds: number,
): Promise<Omit<OwnTimes, "version">> {
  await using folder = await tempDir("bench-own");
  const stopwatch = new Stopwatch(folder.path, hiding([runtime]));
  const pid = join(folder.path, "pid");
  const step = (label: string, command: string, of: typeof bundle, ...more: string[]): Step => {
    const options = command === "create" ? ["--bundle", of.folder, "--pid-file", pid] : [];
    return [label, runtime.path, "--root", bundle.state, command, ...options, of.id, ...more];
  };
  const start = (of: typeof bundle, label = "start") => [step(label, "create", of), step(label, "start", of)];
  const remove = (of: typeof bundle): Step => [
    "delete",
    ...[runtime.path, "--root", bundle.state, "delete", "--force", of.id],
  ];
  const set = (program: "try" | "waiter", of: typeof bundle) => {
    of.spec.process.args = [`/bin/${program}`];
    of.write();
  };

  set("try", bundle);
  if (sandbox !== undefined) set("waiter", sandbox);
  const life = sandbox
    ? [...start(sandbox), ...start(bundle), step("", "wait", bundle), remove(bundle), remove(sandbox)]
    : // Its end is waited for: a runtime that must kill first sleeps until that is done.
      [...start(bundle), ["", "@gone", pid] as const, step("delete", "delete", bundle)];
  await stopwatch.time(2, life); // files in the page cache, filters compiled
  const lives = await stopwatch.time(rounds, life);

  set("waiter", bundle);
  await stopwatch.time(1, [...(sandbox ? start(sandbox) : []), ...start(bundle)]);
  const execs = await stopwatch.time(rounds, [step("exec", "exec", bundle, "/bin/try")]);
  await stopwatch.time(1, [remove(bundle), ...(sandbox ? [remove(sandbox)] : [])]);

  /** By round: all that was run under one label. */
  const together = (timings: typeof lives, label: string) => {
    const all = timings.get(label) ?? [];
    const each = all.length / rounds;
    return summary(
      Array.from({ length: rounds }, (_, i) =>
        all.slice(i * each, (i + 1) * each).reduce((sum, { ns }) => sum + ns / 1e6, 0),
      ),
    );
  };
  return {
    podStart: together(lives, "start"),
    exec: together(execs, "exec"),
    podRemoval: together(lives, "delete"),
  };
}

export function versions(results: readonly HandlerResult[]): string {
  const all = results.flatMap(({ theirs, own }) => [theirs.version, own?.version ?? ""]);
  return [...new Set(all)].filter((one) => one !== "").join(", ");
}

export function handlerRows(results: readonly HandlerResult[]): { head: string[]; rows: string[][] } {
  const ms = (value: Summary | undefined) =>
    value === undefined ? "-" : `${value.p50.toFixed(1)} / ${value.p95.toFixed(1)}`;
  const row = (label: string, cell: (result: HandlerResult) => string) => [label, ...results.map(cell)];
  const difference = (a: Summary | undefined, b: Summary | undefined) =>
    a === undefined || b === undefined ? "-" : (a.p50 - b.p50).toFixed(1);
  const compared = (call: string, label: string, own: "podStart" | "exec" | "podRemoval") => [
    row(`${label}, kobako`, ({ ours }) => ms(ours.calls[call])),
    row(`${label}, containerd`, ({ theirs }) => ms(theirs.calls[call])),
    row(`${label}, containerd / kobako`, ({ ours, theirs }) =>
      ((theirs.calls[call]?.p50 ?? Number.NaN) / (ours.calls[call]?.p50 ?? Number.NaN)).toFixed(1),
    ),
    row(`${label}, the program alone`, (result) => ms(result.own?.[own])),
    row(`${label}, containerd / it alone: at most`, ({ theirs, own: program }) =>
      program === undefined ? "-" : ((theirs.calls[call]?.p50 ?? Number.NaN) / program[own].p50).toFixed(1),
    ),
    row(`${label}, kobako beyond it`, ({ ours, own: program }) =>
      difference(ours.calls[call], program?.[own]),
    ),
  ];
  return {
    head: ["p50 / p95, ms", ...results.map(({ name }) => name)],
    rows: [
      ...compared("pod start", "pod start", "podStart"),
      ...compared("ExecSync", "ExecSync", "exec"),
      ...compared("pod removal", "pod removal", "podRemoval"),
      row("memory per pod, KiB PSS, kobako", ({ ours }) => ours.memory.perPodKib.toFixed(0)),
      row("memory per pod, KiB PSS, containerd", ({ theirs }) => theirs.memory.perPodKib.toFixed(0)),
    ],
  };
}
