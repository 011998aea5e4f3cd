/**
 * A server with handlers that do what a test asks for, in a process of its own: floods then hit nobody else, and its
 * memory can be looked at. Started by served() below: `serve.ts SOCKET LIMITS`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { imageService, kobako, runtimeService } from "../../../cri-api/index.ts";
import { RuntimeError } from "../../../src/errors/runtime-error.ts";
import { createLogger } from "../../../src/log/log.ts";
import { type Handlers, startServer } from "../../../src/server/grpc-server.ts";
import { type CriClient, criClient } from "../../support/cri-client.ts";
import { tempDir } from "../../support/temp-dir.ts";

/** What the container id of an ExecSync makes it do. Version, ListPodSandbox and the event stream answer plainly. */
const handlers: Handlers<typeof runtimeService> = {
  async version(request) {
    return { version: request.version, runtimeName: "test" };
  },
  async listPodSandbox() {
    return { items: [] };
  },
  async execSync(request, signal) {
    const seconds = Number(request.timeout);
    switch (request.containerId) {
      case "bug":
        throw new TypeError("cannot read what is not there");
      case "late bug":
        await delay(1);
        throw "not even an Error";
      case "surrogate":
        throw new RuntimeError("not-found", `no ${"\ud800"} here`);
      case "long":
        throw new RuntimeError("not-found", "x".repeat(100_000));
      case "not to be encoded":
        return { exitCode: 2 ** 40 };
      case "wait":
        // What a deadline and a cancel look like from inside is told by the log line.
        await delay(seconds * 1000, undefined, { signal });
        return {};
      case "echo":
        return { stdout: Buffer.from(request.cmd.join("\n")), exitCode: request.cmd.length };
      case "large":
        return { stdout: Buffer.alloc(seconds) };
      default:
        throw new RuntimeError("not-found", `container ${request.containerId.slice(0, 64)} does not exist`, {
          subject: { container: request.containerId.slice(0, 64) },
        });
    }
  },
  async *getContainerEvents(_, signal) {
    for (let n = 0n; !signal.aborted; n++) {
      produced++;
      yield { containerId: "c".repeat(64 << 10), createdAt: n };
    }
  },
  async containerStatus({ verbose }) {
    // The daemon collects when it is idle; here a test says when, so that it sees what is held, not what is lazy.
    if (verbose) (globalThis as { gc?: () => void }).gc?.();
    return { info: { produced: String(produced), calls: String(server.calls()) } };
  },
};
let produced = 0;
let server: Awaited<ReturnType<typeof startServer>>;

if (import.meta.main) {
  const [, , socketPath = "", limits = "{}"] = process.argv;
  server = await startServer({
    socketPath,
    services: [
      { table: runtimeService, handlers },
      { table: imageService, handlers: {} },
      { table: kobako, handlers: {} },
    ],
    limits: JSON.parse(limits),
    log: createLogger({ level: "info" }),
  });
  process.on("SIGTERM", () => void server.close(2_000).then(() => process.exit(0)));
  process.stdout.write("serving\n");
}

export interface Served extends AsyncDisposable {
  readonly socket: string;
  readonly client: CriClient;
  readonly child: ChildProcess;
  /** All lines so far. */
  log(): string;
  /** Anonymous memory, MiB. */
  memoryMib(): number;
  stop(): Promise<number | null>;
}

/** Starts the above on a socket of its own. */
export async function served(limits: object = {}): Promise<Served> {
  const folder = await tempDir("server");
  const socket = join(folder.path, "s.sock");
  const node = [
    "--disallow-code-generation-from-strings",
    "--expose-gc",
    "--disable-warning=ExperimentalWarning",
  ];
  const child = spawn(process.execPath, [...node, import.meta.filename, socket, JSON.stringify(limits)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  await Promise.race([
    once(child.stdout as NodeJS.ReadableStream, "data"),
    once(child, "exit").then(() => Promise.reject(new Error(`the server ended: ${log}`))),
  ]);
  const client = criClient(socket);
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    }
    return child.exitCode;
  };
  return {
    socket,
    client,
    child,
    log: () => log,
    memoryMib: () =>
      Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024,
    stop,
    async [Symbol.asyncDispose]() {
      client.close();
      await stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}
