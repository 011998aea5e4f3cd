/** hack/bench: see there. The same program drives every runtime, one after the other, with the same image. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildImage } from "../test/support/image-builder.ts";
import { program } from "../test/support/programs.ts";
import { Registry } from "../test/support/registry.ts";
import { tempDir } from "../test/support/temp-dir.ts";
import { measure, type Result } from "./benchmark/measure.ts";
import { startContainerd } from "./benchmark/containerd.ts";
import { startOwn, stopOwn } from "./own-daemon.ts";
import { markdownTable, textTable } from "./text-table.ts";

const root = join(import.meta.dirname, "..");

interface Target extends AsyncDisposable {
  readonly name: string;
  readonly endpoint: string;
  /** Texts by which processes of this runtime are known: in their command line, folders or open files. */
  readonly marks: readonly string[];
  readonly startMs?: number;
}

async function kobako(): Promise<Target> {
  const folder = await tempDir("bench");
  const begun = performance.now();
  const daemon = await startOwn(folder.path);
  const startMs = performance.now() - begun;
  return {
    name: "kobako",
    endpoint: daemon.socket,
    marks: [daemon.folder],
    startMs,
    async [Symbol.asyncDispose]() {
      await stopOwn(daemon.folder);
      await folder[Symbol.asyncDispose]();
    },
  };
}

const rows: readonly { readonly key: string; readonly label: string }[] = [
  { key: "RunPodSandbox", label: "RunPodSandbox, bridge CNI" },
  { key: "RunPodSandbox host network", label: "RunPodSandbox, host network" },
  { key: "CreateContainer", label: "CreateContainer" },
  { key: "StartContainer", label: "StartContainer" },
  { key: "pod start", label: "pod start (Run + Create + Start)" },
  { key: "ExecSync", label: "ExecSync" },
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

/** Replaces what stands between the two marks of `file`. */
function writeDocs(file: string, text: string): void {
  const [begin, end] = ["<!-- bench:begin -->", "<!-- bench:end -->"];
  const old = readFileSync(file, "utf8");
  const [head, rest] = old.split(begin);
  const tail = rest?.split(end)[1];
  if (head === undefined || tail === undefined) throw new Error(`${file} lacks ${begin} ... ${end}`);
  writeFileSync(file, `${head}${begin}\n${text}\n${end}${tail}`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      endpoint: { type: "string", multiple: true },
      peer: { type: "string", multiple: true },
      pods: { type: "string", default: "30" },
      "at-once": { type: "string", default: "8" },
      execs: { type: "string", default: "50" },
      json: { type: "string" },
      docs: { type: "boolean", default: false },
      "no-own": { type: "boolean", default: false },
    },
  });
  const peers = values.peer ?? [];
  const unknown = peers.find((name) => name !== "containerd");
  if (unknown !== undefined) throw new Error(`--peer ${unknown}: only containerd is known`);

  await using registry = await Registry.start();
  const waiter = program("waiter");
  const image = await registry.push(
    "waiter",
    "1",
    await buildImage({
      layers: [
        [
          { name: "waiter", mode: 0o755, content: waiter },
          { name: "true", mode: 0o755, content: program("try") },
          { name: "etc/" },
          { name: "etc/passwd", content: "root:x:0:0::/:/none\n" },
        ],
      ],
      config: { Entrypoint: ["/waiter"], WorkingDir: "/" },
    }),
  );

  const starters: (() => Promise<Target>)[] = [];
  for (const text of values.endpoint ?? []) {
    const [name = "", endpoint = ""] = text.includes("=") ? text.split("=") : [text, text];
    const path = endpoint.replace(/^unix:(\/\/)?/, "");
    starters.push(async () => ({ name, endpoint: path, marks: [path], async [Symbol.asyncDispose]() {} }));
  }
  if (starters.length === 0 && !values["no-own"]) starters.push(kobako);
  if (peers.includes("containerd")) starters.push(() => startContainerd(registry));

  const results: Result[] = [];
  for (const start of starters) {
    await using target = await start();
    console.error(`bench: ${target.name}`);
    results.push(
      await measure(
        {
          name: target.name,
          endpoint: target.endpoint,
          marks: target.marks,
          image,
          workload: ["/waiter"],
          exec: ["/true"],
          ...(target.startMs !== undefined ? { startMs: target.startMs } : {}),
        },
        { pods: Number(values.pods), atOnce: Number(values["at-once"]), execs: Number(values.execs) },
      ),
    );
  }

  const commit = execFileSync("git", ["-C", root, "rev-parse", "--short", "HEAD"], {
    encoding: "utf8",
  }).trim();
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? "?"}, Linux ${release()}`;
  const at = new Date().toISOString();
  console.log(table(results, textTable));
  const file = values.json ?? join(root, `build/bench/${at.replaceAll(":", "")}.json`);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, `${JSON.stringify({ at, commit, machine, results }, null, 2)}\n`);
  console.error(`bench: ${file}`);
  if (values.docs) {
    const caption = `${at.slice(0, 10)}, commit ${commit}, ${machine}`;
    writeDocs(join(root, "docs/performance.md"), `${caption}\n\n${table(results, markdownTable)}`);
    writeDocs(join(root, "README.md"), `${table(results, markdownTable, headlines)}\n\n${caption}.`);
  }
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  process.exitCode = 1;
}
process.exit();
