/** hack/bench: see there. The same program drives every runtime, one after the other, with the same image. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Registry } from "../test/support/registry.ts";
import { startContainerd } from "./benchmark/containerd.ts";
import { benchHandlers, handlerNames, handlerRows, versions } from "./benchmark/handlers.ts";
import { idleRows, measureUnderKubelet } from "./benchmark/kubelet.ts";
import { type Counts, measure, type Result } from "./benchmark/measure.ts";
import { measureOci, ociRows } from "./benchmark/oci.ts";
import { measureStreaming, type StreamingResult } from "./benchmark/streaming.ts";
import { probe, pushWorkload, startKobako, type Target, workload } from "./benchmark/subject.ts";
import { writeMarked } from "./marked.ts";
import { must } from "./run.ts";
import { markdownTable, textTable } from "./text-table.ts";

const root = join(import.meta.dirname, "..");
const machine = `${cpus().length} x ${cpus()[0]?.model ?? "?"}, Linux ${release()}`;

const rows: readonly { readonly key: string; readonly label: string }[] = [
  { key: "RunPodSandbox", label: "RunPodSandbox, bridge CNI" },
  { key: "RunPodSandbox host network", label: "RunPodSandbox, host network" },
  { key: "CreateContainer", label: "CreateContainer" },
  { key: "StartContainer", label: "StartContainer" },
  { key: "pod start", label: "pod start (Run + Create + Start)" },
  { key: "first ExecSync", label: "ExecSync, the first of a container" },
  { key: "ExecSync", label: "ExecSync, further ones" },
  { key: "ContainerStatus", label: "ContainerStatus" },
  { key: "StopContainer", label: "StopContainer" },
  { key: "RemoveContainer", label: "RemoveContainer" },
  { key: "StopPodSandbox", label: "StopPodSandbox" },
  { key: "RemovePodSandbox", label: "RemovePodSandbox" },
  { key: "pod removal", label: "pod removal (Stop + Remove of both)" },
  { key: "ListContainers", label: "ListContainers, all pods there" },
  { key: "ListContainerStats", label: "ListContainerStats, all pods there" },
  { key: "ListPodSandboxStats", label: "ListPodSandboxStats, all pods there" },
];

/** The rows that a newcomer wants to see. */
const headlines =
  /^(RunPodSandbox, bridge|pod start|ExecSync|pod removal|memory per pod|whole runtime|processor time)/;

function table(results: readonly Result[], format: typeof textTable, only = /./): string {
  const ms = (value: number | undefined) =>
    value === undefined || Number.isNaN(value) ? "-" : value.toFixed(1);
  const kib = (value: number) => (Number.isNaN(value) ? "-" : value.toFixed(0));
  const pods = results[0]?.pods ?? 0;
  const body = rows.map(({ key, label }) => [
    `${label}, ms`,
    ...results.map(({ calls }) => {
      const found = calls[key];
      return found ? `${ms(found.p50)} / ${ms(found.p95)}` : "-";
    }),
  ]);
  const figure = (label: string, pick: (result: Result) => string) => [label, ...results.map(pick)];
  body.push(
    figure(`${pods} pods, ${results[0]?.atOnce} at a time: all started, ms`, ({ burst }) =>
      ms(burst.startMs),
    ),
    figure(`${pods} pods, ${results[0]?.atOnce} at a time: all removed, ms`, ({ burst }) =>
      ms(burst.removeMs),
    ),
    figure("memory per pod, everything but the workload, KiB PSS", ({ memory }) => kib(memory.perPodKib)),
    figure("of it outside of the daemon, KiB PSS", ({ memory }) => kib(memory.perPodOutsideDaemonKib)),
    figure("daemon with no pod, MiB PSS", ({ memory }) => (memory.daemonIdleKib / 1024).toFixed(1)),
    figure(`daemon after ${pods} pods have come and gone, MiB PSS`, ({ memory }) =>
      (memory.daemonWarmKib / 1024).toFixed(1),
    ),
    figure(`daemon with ${pods} pods, MiB PSS`, ({ memory }) => (memory.daemonKib / 1024).toFixed(1)),
    figure(`whole runtime with ${pods} pods, MiB PSS`, ({ memory }) => (memory.totalKib / 1024).toFixed(1)),
    figure(`processor time with ${pods} idle pods, ms per s`, ({ idle }) => ms(idle.cpuMsPerSecond)),
    figure("spawn to serving, ms", ({ startMs }) => ms(startMs)),
  );
  return format(
    ["p50 / p95", ...results.map(({ name }) => name)],
    body.filter(([label = ""]) => only.test(label)),
    results.map((_, i) => i + 1),
  );
}

function streamingTable(results: readonly StreamingResult[], format: typeof textTable): string {
  const number = (value: number | undefined, digits = 1) =>
    value === undefined || Number.isNaN(value) ? "-" : value.toFixed(digits);
  const row = (label: string, pick: (result: StreamingResult) => string) => [label, ...results.map(pick)];
  const { megabytes = 0, idleExecs = 0 } = results[0]?.counts ?? {};
  const body = (results[0]?.flows ?? []).flatMap(({ transport, direction }) => {
    const label = `${megabytes} MB of ${direction}, ${transport === "spdy" ? "SPDY" : "WebSocket"}`;
    const of = (result: StreamingResult) =>
      result.flows.find((flow) => flow.transport === transport && flow.direction === direction);
    return [
      row(`${label}, MB/s`, (result) => number(of(result)?.mbPerSecond, 0)),
      row("its processor time, ms", (result) => number(of(result)?.cpuMs, 0)),
      row("growth of the daemon by it, MiB", (result) => number(of(result)?.growthMib)),
    ];
  });
  body.push(
    row(`${idleExecs} idle execs: memory for each, KiB PSS`, ({ idle }) => number(idle.perExecKib)),
    row("of it in the daemon, KiB PSS", ({ idle }) => number(idle.perExecOfDaemonKib)),
    row("exec probe, p50 / p95, ms", ({ probe }) => {
      const { p50, p95 } = probe.latencyMs;
      return `${number(p50)} / ${number(p95)}`;
    }),
    row("processor time of a probe, all processes, ms", ({ probe }) => number(probe.cpuMs)),
  );
  return format(
    ["streams", ...results.map(({ name }) => name)],
    body,
    results.map((_, i) => i + 1),
  );
}

/** The bundled runtime beside runc and crun, without any daemon. */
async function runtimes(rounds: number, docs: boolean): Promise<void> {
  const runc = (await must([join(root, "hack/tools"), "runc"])).trim().split("\n").at(-1) ?? "";
  const results = await measureOci(
    [
      { name: "kobako-oci", path: join(root, "build/bin/kobako-oci") },
      { name: "crun", path: "/usr/bin/crun" },
      { name: "runc", path: runc },
    ],
    rounds,
  );
  const { head, rows } = ociRows(results);
  console.log(textTable(head, rows, [1, 2, 3, 4, 5]));
  if (!docs) return;
  const versions = results.map(({ version }) => version).join("; ");
  writeMarked(
    join(root, "docs/performance.md"),
    "runtimes",
    `${caption()}; ${versions}; ${rounds} rounds\n\n${markdownTable(head, rows)}`,
  );
}

/** Idle pods under a kubelet: our daemon, then containerd. */
async function underKubelet(pods: number, seconds: number, docs: boolean): Promise<void> {
  const counts = { pods, settleMs: Math.min(30_000, seconds * 500), watchMs: seconds * 1000 };
  const { head, rows } = idleRows(await measureUnderKubelet(counts));
  console.log(textTable(head, rows, [1, 2, 3, 4]));
  if (docs)
    writeMarked(
      join(root, "docs/performance.md"),
      "kubelet",
      `${caption()}; ${pods} pods, ${seconds} s\n\n${markdownTable(head, rows)}`,
    );
}

/** When, which commit, which machine. */
function caption(): string {
  const commit = execFileSync("git", ["-C", root, "rev-parse", "--short", "HEAD"], {
    encoding: "utf8",
  }).trim();
  return `${new Date().toISOString().slice(0, 10)}, commit ${commit}, ${machine}`;
}

/** Handlers, each beside containerd with the same program. */
async function handlers(
  names: readonly string[],
  counts: Counts,
  rounds: number,
  json: string,
  docs: boolean,
) {
  const results = await benchHandlers(names, counts, rounds);
  const { head, rows } = handlerRows(results);
  console.log(textTable(head, rows, [1, 2, 3, 4, 5, 6]));
  writeJson(json, { results });
  if (docs)
    writeMarked(
      join(root, "docs/runtimes.md"),
      "handlers",
      `${caption()}; ${versions(results)}; ${counts.pods} pods\n\n${markdownTable(head, rows)}`,
    );
}

function writeJson(file: string, data: object): void {
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, `${JSON.stringify({ caption: caption(), ...data }, null, 2)}\n`);
  console.error(`bench: ${file}`);
}

/** What went wrong, and what went wrong while it was cleared away. */
function causes(error: unknown): unknown[] {
  return error instanceof SuppressedError ? [...causes(error.suppressed), ...causes(error.error)] : [error];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      endpoint: { type: "string", multiple: true },
      peer: { type: "string", multiple: true },
      pods: { type: "string" },
      "at-once": { type: "string", default: "8" },
      execs: { type: "string", default: "50" },
      json: { type: "string" },
      docs: { type: "boolean", default: false },
      "no-own": { type: "boolean", default: false },
      streaming: { type: "boolean", default: false },
      megabytes: { type: "string", default: "1000" },
      "idle-execs": { type: "string", default: "1000" },
      probes: { type: "string", default: "1000" },
      handler: { type: "string", multiple: true },
      handlers: { type: "boolean", default: false },
      runtimes: { type: "boolean", default: false },
      rounds: { type: "string" },
      kubelet: { type: "boolean", default: false },
      "idle-pods": { type: "string", default: "10" },
      "idle-seconds": { type: "string", default: "120" },
    },
  });
  if (values.runtimes) return await runtimes(Number(values.rounds ?? 200), values.docs);
  if (values.kubelet)
    return await underKubelet(Number(values["idle-pods"]), Number(values["idle-seconds"]), values.docs);
  const json = values.json ?? join(root, `build/bench/${new Date().toISOString().replaceAll(":", "")}.json`);
  const byHandler = values.handler ?? (values.handlers ? handlerNames : []);
  const counts = {
    pods: Number(values.pods ?? (byHandler.length > 0 ? 15 : 30)),
    atOnce: Number(values["at-once"]),
    execs: Number(values.execs),
  };
  if (byHandler.length > 0)
    return await handlers(byHandler, counts, Number(values.rounds ?? 30), json, values.docs);
  const peers = values.peer ?? [];
  const unknown = peers.find((name) => name !== "containerd");
  if (unknown !== undefined) throw new Error(`--peer ${unknown}: only containerd is known`);

  await using registry = await Registry.start();
  const image = await pushWorkload(registry, { userland: values.streaming });

  const starters: (() => Promise<Target>)[] = [];
  for (const text of values.endpoint ?? []) {
    const [name = "", endpoint = ""] = text.includes("=") ? text.split("=") : [text, text];
    const path = endpoint.replace(/^unix:(\/\/)?/, "");
    starters.push(async () => ({ name, endpoint: path, marks: [path], async [Symbol.asyncDispose]() {} }));
  }
  if (starters.length === 0 && !values["no-own"]) starters.push(() => startKobako());
  if (peers.includes("containerd")) starters.push(() => startContainerd(registry));

  const results: Result[] = [];
  const streaming: StreamingResult[] = [];
  for (const start of starters) {
    await using target = await start();
    const { name, endpoint, marks, startMs } = target;
    console.error(`bench: ${name}`);
    const subject = { name, endpoint, marks, image, workload, exec: probe };
    if (values.streaming) {
      const [megabytes, idleExecs] = [Number(values.megabytes), Number(values["idle-execs"])];
      streaming.push(
        await measureStreaming(subject, { megabytes, idleExecs, probes: Number(values.probes) }),
      );
    } else {
      results.push(await measure({ ...subject, ...(startMs !== undefined ? { startMs } : {}) }, counts));
    }
  }

  console.log(values.streaming ? streamingTable(streaming, textTable) : table(results, textTable));
  writeJson(json, { results, streaming });
  if (values.docs) {
    const page = join(root, "docs/performance.md");
    if (values.streaming) {
      writeMarked(page, "streaming", `${caption()}\n\n${streamingTable(streaming, markdownTable)}`);
    } else {
      writeMarked(page, "bench", `${caption()}\n\n${table(results, markdownTable)}`);
      writeMarked(
        join(root, "README.md"),
        "bench",
        `${table(results, markdownTable, headlines)}\n\n${caption()}.`,
      );
    }
  }
}

try {
  await main();
} catch (error) {
  for (const cause of causes(error))
    console.error(`bench: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`);
  process.exitCode = 1;
}
process.exit();
