/**
 * A shim that answers as those of VMs do, to be started as a program of its own (`fakeShim` writes it):
 *  - its containers' pids are none of this host's that matter: it tells its own, as Kata's shim does;
 *  - the root filesystem is handed on as it was given: of a mount to be shared it only takes note, a block device it
 *    gives its guest, which mounts it (here in the bundle) and has it until the task is deleted;
 *  - kill, state and stats are known to it alone.
 * What a container runs are plain processes of this host, without namespaces: their output, input and end are real.
 * FAKE_MODE says how it misbehaves.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  createReadStream,
  createWriteStream,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { constants, openSync } from "node:fs";
import { connect, createServer } from "node:net";
import { constants as system } from "node:os";
import { dirname, join } from "node:path";
import { RuntimeError } from "../../src/errors/runtime-error.ts";
import { TtrpcClient } from "../../src/ttrpc/client.ts";
import * as api from "../../src/ttrpc/message.ts";
import { method, type Services, TtrpcServer } from "../../src/ttrpc/server.ts";

export type FakeMode =
  | "v2" // answers with an address alone
  | "json" // version 3, as JSON
  | "v3" // version 3, as a BootstrapResult
  | "late-exit" // says that a container has stopped before it knows how: its end is told once that was said
  | "oom" // ends come after a shortage of memory
  | "mute-events" // ends of processes are told to those who wait only
  | "babbles" // answers Stats with what is no ttrpc; tells ends to those who wait only
  | "stubborn" // never says how a container is that was sent SIGUSR1, and kills no exec
  | "short-waits" // the first Wait for a process ends without an answer; tells ends to those who wait only
  | "slow" // every call takes a while
  | "gives-up" // Start takes a while, and ends what it starts when its caller goes meanwhile
  | "mute-starts" // begins an exec, and never answers that Start
  | "hangs" // start never ends
  | "hangs-later" // Create never answers
  | "garbage" // start says what is no address
  | "no-ttrpc" // its socket answers with something else
  | "fails" // start ends with an error
  | "version-9"
  | "grpc"
  | "deletes-together" // `delete` ends once it is run for two containers, and gives 9
  | "dies-at-create"
  | "dies-at-start";

/** Writes a program that is this shim in `mode`. Its calls are noted in `<folder>/calls`, a JSON object per line. */
export function fakeShim(folder: string, mode: FakeMode): { path: string; calls(): readonly Call[] } {
  const path = join(folder, `containerd-shim-fake-${mode}`);
  const calls = join(folder, "calls");
  writeFileSync(calls, "");
  writeFileSync(
    path,
    `#!/bin/sh\nFAKE_MODE=${mode} FAKE_CALLS=${calls} exec ${process.execPath} --disable-warning=ExperimentalWarning ${import.meta.filename} "$@"\n`,
  );
  chmodSync(path, 0o755);
  const read = () =>
    readFileSync(calls, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Call);
  return { path, calls: read };
}

export interface Call {
  readonly method: string;
  readonly [key: string]: unknown;
}

const slowMs = 300;

/** Gives the empty answer. */
function note(call: Call): Record<never, never> {
  appendFileSync(process.env.FAKE_CALLS ?? "/dev/null", `${JSON.stringify(call)}\n`);
  return {};
}

interface Process {
  readonly child: ChildProcess | undefined;
  readonly args: readonly string[];
  readonly io: { stdin: string; stdout: string; stderr: string };
  readonly ended: Promise<{ code: number; atNs: bigint }>;
  readonly end: (code: number) => void;
  result: { code: number; atNs: bigint } | undefined;
  /** Its program has ended: tells how. Else undefined. */
  tell: (() => void) | undefined;
  closeStdin: () => void;
}

class FakeTask {
  readonly #processes = new Map<string, Process>();
  /** Unplugs the disk of a task. */
  readonly #disks = new Map<string, () => void>();
  readonly #mode: FakeMode;
  /** Containers that State is silent about. */
  readonly #mute = new Set<string>();
  /** Containers that were waited for. */
  readonly #waited = new Set<string>();

  constructor(mode: FakeMode) {
    this.#mode = mode;
  }

  services(): Services {
    const { process: ref, task } = this;
    const empty = api.Empty;
    const methods = {
      Connect: method(api.TaskRequest, api.ConnectResponse, () => ({
        shimPid: process.pid,
        taskPid: process.pid,
      })),
      Create: method(api.CreateTaskRequest, api.CreateTaskResponse, async (request) => {
        if (this.#mode === "dies-at-create") process.exit(1);
        if (this.#mode === "hangs-later") {
          note({ method: "create begins" });
          await new Promise(() => {});
        }
        const config = JSON.parse(readFileSync(join(request.bundle, "config.json"), "utf8")) as {
          process: { args: string[] };
        };
        const { id, stdin, stdout, stderr, terminal } = request;
        const disk = request.rootfs.find(({ type }) => type === "ext4");
        if (disk !== undefined) this.#disks.set(id, plug(disk.source, join(request.bundle, "guest")));
        note({ method: "Create", id, rootfs: request.rootfs, terminal, options: request.options?.typeUrl });
        this.#add(key(id), config.process.args, { stdin, stdout, stderr });
        return { pid: process.pid };
      }),
      Start: method(api.ProcessRequest, api.StartResponse, async (request, { signal }) => {
        if (this.#mode === "dies-at-start") process.exit(1);
        if (this.#mode === "gives-up") {
          note({ method: "Start", id: request.id });
          await new Promise((resolve) => setTimeout(resolve, slowMs)); // that is what it is for
          if (signal.aborted) ref(request).end(128);
          signal.throwIfAborted();
        }
        this.#start(request.id, request.execId);
        if (this.#mode === "mute-starts" && request.execId !== "") {
          note({ method: "Start", id: request.id, execId: request.execId });
          await new Promise(() => {});
        }
        return { pid: process.pid };
      }),
      Exec: method(api.ExecProcessRequest, empty, ({ id, execId, stdin, stdout, stderr, spec }) => {
        const { args } = JSON.parse(Buffer.from(spec?.value ?? []).toString()) as { args: string[] };
        this.#add(key(id, execId), args, { stdin, stdout, stderr });
        return {};
      }),
      State: method(api.ProcessRequest, api.StateResponse, async (request) => {
        if (this.#mode === "stubborn" && this.#mute.has(request.id)) await new Promise(() => {});
        const { child, result, tell } = ref(request);
        if (this.#mode === "late-exit" && tell !== undefined) setTimeout(tell, slowMs);
        const status =
          (result ?? tell)
            ? api.TaskStatus.TASK_STOPPED
            : child
              ? api.TaskStatus.TASK_RUNNING
              : api.TaskStatus.TASK_CREATED;
        return {
          id: request.id,
          pid: process.pid,
          status,
          exitStatus: result?.code,
          exitedAt: result && api.timestamp(result.atNs),
        };
      }),
      Wait: method(api.ProcessRequest, api.WaitResponse, async (request) => {
        if (this.#mode === "short-waits" && !this.#waited.has(request.id)) {
          this.#waited.add(request.id);
          throw new RuntimeError("deadline-exceeded", "context deadline exceeded");
        }
        const { code, atNs } = await ref(request).ended;
        return { exitStatus: code, exitedAt: api.timestamp(atNs) };
      }),
      Kill: method(api.KillRequest, empty, (request) => {
        note({
          method: "Kill",
          id: request.id,
          execId: request.execId,
          signal: request.signal,
          all: request.all,
        });
        const found = ref(request);
        if (this.#mode === "stubborn" && request.execId !== "") return {};
        if (this.#mode === "stubborn" && request.signal === system.signals.SIGUSR1) {
          this.#mute.add(request.id);
          return {};
        }
        if (found.result) throw new RuntimeError("not-found", "process already finished");
        if (found.child?.pid) process.kill(-found.child.pid, request.signal);
        else found.end(128 + request.signal);
        return {};
      }),
      Delete: method(api.ProcessRequest, api.DeleteResponse, (request) => {
        note({ method: "Delete", id: request.id, execId: request.execId });
        const { result } = ref(request);
        if (!result) throw new RuntimeError("failed-precondition", "process is still running");
        this.#processes.delete(key(request.id, request.execId));
        if (request.execId === "") this.#disks.get(request.id)?.();
        return { exitStatus: result.code, exitedAt: api.timestamp(result.atNs) };
      }),
      CloseIO: method(api.CloseIoRequest, empty, (request) => {
        note({ method: "CloseIO", id: request.id, execId: request.execId });
        ref(request).closeStdin();
        return {};
      }),
      ResizePty: method(api.ResizePtyRequest, empty, ({ id, execId, width, height }) => {
        note({ method: "ResizePty", id, execId, width, height });
        return {};
      }),
      Stats: method(api.TaskRequest, api.StatsResponse, ({ id }) => {
        task(id);
        const value = api.MetricsV2.encode({
          cpu: { usageUsec: 1500n },
          memory: { usage: 4096n, usageLimit: 8192n, inactiveFile: 96n },
          pids: { current: 2n },
        });
        return { stats: { typeUrl: api.typeUrl.metricsV2, value } };
      }),
      Update: method(api.UpdateTaskRequest, empty, ({ id, resources }) => {
        note({ method: "Update", id, resources: JSON.parse(Buffer.from(resources?.value ?? []).toString()) });
        return {};
      }),
      Pids: method(api.TaskRequest, api.PidsResponse, () => ({ processes: [{ pid: 1 }, { pid: 7 }] })),
      Pause: method(api.TaskRequest, empty, ({ id }) => note({ method: "Pause", id })),
      Resume: method(api.TaskRequest, empty, ({ id }) => note({ method: "Resume", id })),
      Checkpoint: method(api.CheckpointTaskRequest, empty, () => {
        throw new RuntimeError("unimplemented", "checkpoint of a virtual machine");
      }),
      Shutdown: method(api.ShutdownRequest, empty, ({ now }) => {
        note({ method: "Shutdown", now });
        setImmediate(() => process.exit(0));
        return {};
      }),
    };
    if (this.#mode !== "slow") return { [api.service.task(this.#version())]: methods };
    const slow = Object.entries(methods).map(([name, handle]) => [
      name,
      async (...args: Parameters<typeof handle>) => {
        await new Promise((resolve) => setTimeout(resolve, slowMs)); // that is what it is for
        return await handle(...args);
      },
    ]);
    return { [api.service.task(this.#version())]: Object.fromEntries(slow) };
  }

  #version(): 2 | 3 {
    return this.#mode === "json" || this.#mode === "v3" ? 3 : 2;
  }

  readonly process = ({ id, execId }: { id: string; execId: string }): Process => {
    const found = this.#processes.get(key(id, execId));
    if (found === undefined) throw new RuntimeError("not-found", `no process ${id} ${execId}`);
    return found;
  };

  readonly task = (id: string): Process => this.process({ id, execId: "" });

  #add(id: string, args: readonly string[], io: Process["io"]): void {
    const { promise, resolve } = Promise.withResolvers<{ code: number; atNs: bigint }>();
    const made: Process = {
      child: undefined,
      args,
      io,
      ended: promise,
      end: (code) => {
        made.result = { code, atNs: BigInt(Date.now()) * 1_000_000n };
        resolve(made.result);
        this.#publish(id, code, made.result.atNs);
      },
      result: undefined,
      tell: undefined,
      closeStdin: () => {},
    };
    this.#processes.set(id, made);
  }

  #start(id: string, execId: string): void {
    const made = this.process({ id, execId });
    const [file = "", ...rest] = made.args;
    if (file === "/pause") return; // nothing but a kill ends it
    if (file.includes("nope"))
      throw new RuntimeError("not-found", `exec: "${file}": no such file or directory`);
    const child = spawn(file, rest, { stdio: ["pipe", "pipe", "pipe"], detached: true });
    child.stdin.on("error", () => {});
    const out = (path: string, from: NodeJS.ReadableStream): void => {
      if (path === "") from.resume();
      else from.pipe(createWriteStream("", { fd: openSync(path, constants.O_WRONLY) }));
    };
    out(made.io.stdout, child.stdout);
    out(made.io.stderr, child.stderr);
    if (made.io.stdin === "") child.stdin.end();
    else {
      // Held for writing too, as containerd's shims do: its end is told by CloseIO.
      const held = openSync(made.io.stdin, constants.O_RDWR);
      const input = createReadStream("", { fd: held, autoClose: true });
      input.on("error", () => {});
      input.pipe(child.stdin);
      made.closeStdin = () => {
        // What was written before is read first.
        setTimeout(() => {
          input.destroy();
          child.stdin.end();
        }, 50);
      };
    }
    Object.assign(made, { child });
    child.once("exit", (code, signal) => {
      const status = code ?? 128 + (signal === "SIGKILL" ? 9 : 15);
      made.tell = () => {
        made.tell = undefined;
        made.end(status);
      };
      if (this.#mode === "late-exit") note({ method: "ended", id });
      else if (this.#mode === "oom") {
        const value = api.TaskOom.encode({ containerId: id });
        void forward("/tasks/oom", { typeUrl: api.typeUrl.taskOom, value }).then(made.tell);
      } else setTimeout(made.tell, 20); // output is on its way while the end is told
    });
  }

  #publish(id: string, code: number, atNs: bigint): void {
    if (["mute-events", "babbles", "short-waits"].includes(this.#mode)) return;
    const [containerId = "", execId] = id.split("/");
    const value = api.TaskExit.encode({
      containerId,
      id: execId ?? containerId,
      pid: process.pid,
      exitStatus: code,
      exitedAt: api.timestamp(atNs),
    });
    void forward("/tasks/exit", { typeUrl: api.typeUrl.taskExit, value });
  }
}

/** Tells the monitor an event. */
async function forward(topic: string, event: { typeUrl: string; value: Uint8Array }): Promise<void> {
  const client = await TtrpcClient.connect(process.env.TTRPC_ADDRESS ?? "", AbortSignal.timeout(5000));
  await client.call(
    api.service.events,
    "Forward",
    api.ForwardRequest,
    api.Empty,
    { envelope: { namespace: "kobako", topic, event } },
    { timeoutMs: 5000 },
  );
  client.close();
}

/** Mounts a disk as a guest would; returns how to take it away again. */
function plug(device: string, folder: string): () => void {
  if (!statSync(device).isBlockDevice()) throw new RuntimeError("invalid-argument", `${device} is no disk`);
  mkdirSync(folder);
  execFileSync("mount", ["-t", "ext4", device, folder], { stdio: "pipe" });
  return () => execFileSync("umount", [folder], { stdio: "pipe" });
}

function key(id: string, execId = ""): string {
  return execId === "" ? id : `${id}/${execId}`;
}

function deletions(): number {
  return readFileSync(process.env.FAKE_CALLS ?? "/dev/null", "utf8").split('"method":"delete"').length - 1;
}

function answerOf(mode: FakeMode, path: string): Buffer | string {
  switch (mode) {
    case "json":
      return JSON.stringify({ version: 3, address: `unix://${path}`, protocol: "ttrpc" });
    case "v3":
      return api.BootstrapResult.encode({ version: 3, address: `unix://${path}`, protocol: "ttrpc" });
    case "version-9":
      return JSON.stringify({ version: 9, address: `unix://${path}`, protocol: "ttrpc" });
    case "grpc":
      return JSON.stringify({ version: 3, address: `unix://${path}`, protocol: "grpc" });
    case "garbage":
      return Buffer.from([0xff, 0xfe, 0, 1, 2, 3]);
    default:
      return `unix://${path}\n`;
  }
}

async function main(): Promise<void> {
  const mode = (process.env.FAKE_MODE ?? "v2") as FakeMode;
  // Not in the bundle: its path may be longer than a socket's can be.
  const socket = join(dirname(process.env.FAKE_CALLS ?? "/nonexistent/"), "task.sock");
  const action = process.argv.at(-1);
  if (action === "-v") {
    console.log("fake shim 1.0");
    return;
  }
  if (action === "serve") {
    if (mode === "no-ttrpc") {
      createServer((peer) => peer.end("HTTP/1.1 400 Bad Request\r\n\r\n")).listen(socket);
    } else if (mode === "babbles") {
      await TtrpcServer.listen(`${socket}.own`, new FakeTask(mode).services());
      createServer((peer) => {
        const own = connect(`${socket}.own`);
        own.pipe(peer);
        peer.on("data", (bytes) => {
          if (bytes.includes("Stats")) peer.write(Buffer.alloc(64, 0xff));
          else own.write(bytes);
        });
        peer.on("error", () => {}).on("close", () => own.destroy());
      }).listen(socket);
    } else await TtrpcServer.listen(socket, new FakeTask(mode).services());
    process.send?.("serving");
    process.disconnect?.();
    return;
  }
  if (action === "delete") {
    note({ method: "delete", cwd: process.cwd() });
    if (mode === "deletes-together") while (deletions() < 2) await new Promise((go) => setTimeout(go, 5));
    process.stdout.write(api.DeleteResponse.encode({ exitStatus: mode === "deletes-together" ? 9 : 137 }));
    return;
  }
  if (mode === "hangs") await new Promise((resolve) => setTimeout(resolve, 600_000));
  if (mode === "fails") {
    console.error("no hypervisor here");
    process.exit(3);
  }
  note({ method: "start", args: process.argv.slice(2), ttrpc: process.env.TTRPC_ADDRESS });
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", import.meta.filename, "serve"],
    {
      detached: true,
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    },
  );
  await new Promise((resolve) => child.once("message", resolve));
  child.disconnect();
  child.unref();
  process.stdout.write(answerOf(mode, socket));
}

if (import.meta.main) await main();
