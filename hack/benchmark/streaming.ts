/** The streams of one runtime measured: how fast bytes flow, what that and idle execs cost, what a probe costs. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { MemoryWatch } from "../../test/support/costs.ts";
import { type CriClient, criClient } from "../../test/support/cri-client.ts";
import { crictlPath } from "../../test/support/crictl.ts";
import { removeCgroups } from "../../test/support/host.ts";
import { openStreams, type Spdy, spdy } from "../../test/support/stream-clients.ts";
import { tempDir } from "../../test/support/temp-dir.ts";
import { waitFor } from "../../test/support/wait.ts";
import { Samples, type Summary } from "../sample.ts";
import { interruption, pause } from "./interruption.ts";
import type { Subject } from "./measure.ts";
import { Pods } from "./pods.ts";
import { countWorkloads, cpuMs, listener, runtimeProcesses, totalPssKib } from "./runtime-processes.ts";

export interface StreamingCounts {
  /** That go through a stream, in each direction. */
  readonly megabytes: number;
  readonly idleExecs: number;
  readonly probes: number;
}

export interface Flow {
  readonly transport: "spdy" | "websocket";
  readonly direction: "input" | "output";
  /** Undefined where the runtime refuses the transport. */
  readonly mbPerSecond: number | undefined;
  /** Of the daemon's resident memory, at most. */
  readonly growthMib: number;
  /** Processor time of the daemon and what it keeps per pod, without the workload and the client. */
  readonly cpuMs: number;
}

export interface StreamingResult {
  readonly name: string;
  readonly version: string;
  readonly counts: StreamingCounts;
  readonly flows: readonly Flow[];
  readonly idle: { readonly perExecKib: number; readonly perExecOfDaemonKib: number };
  readonly probe: { readonly latencyMs: Summary; readonly cpuMs: number };
}

const settleMs = 2000;
/** Of each flow; what counts is the best: the machine's other work makes it slower, nothing faster. */
const runs = 5;
const execLimitMs = 300_000;

/** The image of `subject` has busybox, the workload and the program of its probes. */
export async function measureStreaming(subject: Subject, counts: StreamingCounts): Promise<StreamingResult> {
  await using logs = await tempDir("bench-logs");
  const client = criClient(subject.endpoint);
  const pods = new Pods(client, subject, logs.path);
  try {
    const version = await client.version({});
    await client.pullImage({ image: { image: subject.image } }, { timeoutMs: 60_000 });
    const pod = await pods.start(new Samples());
    const { container } = pod;
    const daemon = listener(subject.endpoint);
    const marks = [...subject.marks, pods.cgroupParent];
    const processes = () => [...new Set([daemon, ...runtimeProcesses(marks, subject.workload[0] ?? "")])];
    await pods.warmUpExecs(pod, subject.exec);
    const probe = await probes(client, container, subject, counts, processes());
    const flows: Flow[] = [];
    for (const transport of ["spdy", "websocket"] as const)
      for (const direction of ["input", "output"] as const)
        flows.push(
          await flow({ subject, container, transport, direction, daemon, counts, processes: processes() }),
        );
    const idle = await idleExecs({
      client,
      container,
      subject,
      pods,
      daemon,
      processes,
      count: counts.idleExecs,
    });
    const name = `${version.runtimeName} ${version.runtimeVersion}`;
    return { name: subject.name, version: name, counts, flows, idle, probe };
  } finally {
    await pods.removeAll();
    client.close();
    removeCgroups(pods.cgroupParent);
  }
}

/** Probes one after the other. Their commands are children of the runtime's processes, and counted. */
async function probes(
  client: CriClient,
  containerId: string,
  subject: Subject,
  { probes: count }: StreamingCounts,
  processes: readonly number[],
): Promise<StreamingResult["probe"]> {
  const samples = new Samples();
  await pause(settleMs);
  const before = cpuMs(processes, { children: true });
  for (let i = 0; i < count; i++)
    await samples.time("probe", () => client.execSync({ containerId, cmd: [...subject.exec], timeout: 10n }));
  await pause(500); // what is still to be buried
  const spent = cpuMs(processes, { children: true }) - before;
  const latencyMs = samples.summaries().probe;
  if (latencyMs === undefined) throw new Error("no probes");
  return { latencyMs, cpuMs: spent / count };
}

/** One stream by crictl, the same client for all. */
async function flow(o: {
  subject: Subject;
  container: string;
  transport: Flow["transport"];
  direction: Flow["direction"];
  daemon: number;
  counts: StreamingCounts;
  processes: readonly number[];
}): Promise<Flow> {
  const { transport, direction } = o;
  const crictl = `${await crictlPath()} --config=/dev/null --timeout=60s --runtime-endpoint=unix://${o.subject.endpoint}`;
  const exec = `${crictl} exec --transport ${transport}`;
  const bytes = (count: number) => `if=/dev/zero bs=1000000 count=${count}`;
  // Who reads says how many bytes came: a client whose stream is lost may end as if all were well.
  const script = (count: number) =>
    direction === "input"
      ? `dd ${bytes(count)} status=none | ${exec} -i ${o.container} /sink 1>&2`
      : `${exec} ${o.container} /bin/dd ${bytes(count)} 2> /dev/null | dd of=/dev/null bs=65536`;
  const run = async (count: number): Promise<boolean> => {
    const child = spawn("/bin/sh", ["-c", script(count)], {
      stdio: ["ignore", "ignore", "pipe"],
      timeout: execLimitMs,
      killSignal: "SIGKILL",
    });
    let said = "";
    child.stderr.on("data", (text: Buffer) => {
      said += text.toString();
    });
    await once(child, "close");
    return said.includes(`${count * 1_000_000} bytes `);
  };
  if (!(await run(1)))
    return { transport, direction, mbPerSecond: undefined, growthMib: Number.NaN, cpuMs: Number.NaN };
  await pause(settleMs);
  using memory = new MemoryWatch([o.daemon]);
  const samples = new Samples();
  const before = cpuMs(o.processes);
  for (let i = 0; i < runs; i++) {
    interruption.throwIfAborted();
    const complete = await samples.time("flow", () => run(o.counts.megabytes));
    if (!complete) throw new Error(`${o.subject.name}: ${direction} by ${transport} failed`);
  }
  const spent = (cpuMs(o.processes) - before) / runs;
  const ms = samples.summaries().flow?.min ?? Number.NaN;
  const [growthMib = 0] = memory.growth;
  return { transport, direction, mbPerSecond: (o.counts.megabytes * 1000) / ms, growthMib, cpuMs: spent };
}

/** Execs over SPDY that do nothing, all at once. */
async function idleExecs(o: {
  client: CriClient;
  container: string;
  subject: Subject;
  pods: Pods;
  daemon: number;
  processes: () => readonly number[];
  count: number;
}): Promise<StreamingResult["idle"]> {
  const { client, container: containerId, daemon, count } = o;
  const cmd = [...o.subject.workload];
  const running = () => countWorkloads(cmd[0] ?? "", o.pods.cgroupParent) - 1;
  const sessions: Spdy[] = [];
  const open = async () => {
    const { url } = await client.exec({ containerId, cmd, stdin: true, stdout: true });
    const session = await spdy(url);
    sessions.push(session);
    await openStreams(session, "error", "stdin", "stdout");
  };
  const begin = async (to: number) => {
    while (sessions.length < to) await Promise.all(Array.from({ length: 5 }, open));
    await waitFor(`${to} execs`, () => running() >= to, { timeoutMs: 300_000, intervalMs: 200 });
    await pause(settleMs);
  };
  try {
    // The first make what belongs to none of them.
    await begin(10);
    const first = sessions.length;
    const [all, own] = [totalPssKib(o.processes()), totalPssKib([daemon])];
    await begin(first + count);
    const per = (kib: number) => kib / (sessions.length - first);
    return {
      perExecKib: per(totalPssKib(o.processes()) - all),
      perExecOfDaemonKib: per(totalPssKib([daemon]) - own),
    };
  } finally {
    for (const session of sessions) session[Symbol.dispose]();
    await waitFor("the end of the execs", () => running() <= 0, {
      timeoutMs: 120_000,
      intervalMs: 200,
    }).catch((error: unknown) => console.error(`bench: ${o.subject.name}: ${String(error)}`));
  }
}
