/**
 * A shim by itself: what the same program and the same calls take a client that does nothing else. No daemon, network,
 * log or root filesystem of its own; its containers have no output, its events are taken and thrown away.
 */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { RuntimeError } from "../../src/errors/runtime-error.ts";
import { run, useSpawner } from "../../src/process/spawn.ts";
import {
  parseBootstrap,
  bootstrapInput,
  shimArguments,
  shimEnvironment,
} from "../../src/runtime/shim-v2/bootstrap.ts";
import { parseShimOptions } from "../../src/runtime/shim-v2/options.ts";
import { Task } from "../../src/runtime/shim-v2/task.ts";
import { Empty, ForwardRequest, service } from "../../src/ttrpc/message.ts";
import { method, TtrpcServer } from "../../src/ttrpc/server.ts";
import type { Bundle } from "../../test/integration/oci/bundle.ts";
import { must } from "../run.ts";
import { Samples, type Summary } from "../sample.ts";

export interface ShimProgram {
  readonly path: string;
  /** As of its section in the configuration. */
  readonly options: Readonly<Record<string, string>>;
}

const namespace = "kobako-bench";
const timeoutMs = 30_000;
const sigterm = 15;
const build = join(import.meta.dirname, "../../build/bin");

/** `bundles`: of the pod's containers in the order of their starts; the first one is the shim's. They wait. */
export async function ownShimTimes(
  { path, options }: ShimProgram,
  bundles: readonly Bundle[],
  probe: string,
  rounds: number,
): Promise<{ podStart: Summary; exec: Summary; podRemoval: Summary }> {
  for (const bundle of bundles) {
    bundle.spec.process.args = ["/bin/waiter"];
    bundle.write();
  }
  const signal = AbortSignal.timeout(300_000);
  const [first] = bundles;
  const last = bundles.at(-1);
  if (first === undefined || last === undefined) throw new Error("a shim without a bundle");
  const { message } = parseShimOptions("bench", path, options);
  const shim = {
    id: first.id,
    namespace,
    eventsSocket: join(first.folder, "events"),
    publishBinary: join(build, "kobako-monitor"),
  };
  using _spawner = useSpawner(join(build, "kobako-spawner"), "bench");
  await using _events = await TtrpcServer.listen(shim.eventsSocket, {
    [service.events]: { Forward: method(ForwardRequest, Empty, () => ({})) },
  });
  // Where shims log; what a few rounds say fits into it.
  const log = join(first.folder, "log");
  await must(["mkfifo", log]);
  await using _log = await open(log, constants.O_RDWR | constants.O_NONBLOCK);
  // Its working folder is its bundle; what makes it so is executed in its place, within a millisecond.
  const startWords = ["-C", first.folder, path, ...shimArguments(shim, "start")];
  const settings = {
    env: shimEnvironment(shim),
    stdin: bootstrapInput(shim, first.folder, message),
    staysBehind: true, // the shim
    timeoutMs,
  };

  const { capabilities, ...rest } = last.spec.process;
  const none = { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] };
  const bounds = { capabilities: { ...none, ...capabilities }, noNewPrivileges: true, oomScoreAdj: 0 };
  const command = { ...rest, ...bounds, args: [probe], user: { ...rest.user, additionalGids: [] } };

  const serve = async (): Promise<Task> => {
    const { code, stdout, stderr } = await run("/usr/bin/env", startWords, settings, signal);
    if (code !== 0) throw new Error(`${path} start: exit code ${code}\n${stderr}`);
    return await Task.connect(parseBootstrap(stdout), namespace, timeoutMs, signal);
  };
  const start = async (task: Task): Promise<void> => {
    for (const { id, folder } of bundles) {
      await task.create({ id, bundle: folder, options: message }, signal);
      await task.start({ id }, signal);
    }
  };
  const exec = async (task: Task, process: { id: string; execId: string }): Promise<void> => {
    await task.exec(process, command, signal);
    await task.start(process, signal);
    await task.wait(process, timeoutMs, signal);
  };
  const remove = async (task: Task): Promise<void> => {
    for (const { id } of bundles.toReversed()) {
      await task.kill({ id }, id === last.id ? sigterm : 9, false, signal);
      await task.wait({ id }, timeoutMs, signal);
      await task.delete({ id }, signal);
    }
    await task.shutdown(first.id, true, signal).catch((error: unknown) => {
      // It may be gone before its answer is.
      if (!(error instanceof RuntimeError && error.kind === "unavailable")) throw error;
    });
  };
  const samples = new Samples();
  // The first one brings files into the page cache, and is not counted.
  for (let i = 0; i <= rounds; i++) {
    const into = i === 0 ? new Samples() : samples;
    const begun = performance.now();
    const task = await serve();
    try {
      await start(task);
      into.add("podStart", performance.now() - begun);
      const process = { id: last.id, execId: "probe" };
      await into.time("exec", () => exec(task, process));
      await task.delete(process, signal);
      await into.time("podRemoval", () => remove(task));
      await task.closed; // the next one has its address
    } catch (error) {
      await task.shutdown(first.id, true, signal).catch(() => undefined); // it may be gone
      throw error;
    } finally {
      task.close();
    }
  }
  const { podStart, exec: execs, podRemoval } = samples.summaries();
  if (podStart === undefined || execs === undefined || podRemoval === undefined) throw new Error("no rounds");
  return { podStart, exec: execs, podRemoval };
}
