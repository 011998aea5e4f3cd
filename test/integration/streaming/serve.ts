/** A streaming server with the three RPCs that give its URLs, over processes and ports of this host. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { imageService, runtimeService } from "../../../cri-api/index.ts";
import { RuntimeError } from "../../../src/errors/runtime-error.ts";
import { createLogger } from "../../../src/log/log.ts";
import type { ProcessStreams } from "../../../src/runtime/handler.ts";
import { startServer } from "../../../src/server/grpc-server.ts";
import type { Handlers } from "../../../src/server/unary.ts";
import { type StreamingOptions, StreamingServer } from "../../../src/streaming/server.ts";
import { HostProcess, type Scripted } from "./processes.ts";

export interface Serving extends AsyncDisposable {
  readonly streaming: StreamingServer;
  /** Of the CRI, for crictl. */
  readonly socket: string;
  /** What the next exec or attach of a container id gets; without an entry an exec runs its command on this host. */
  readonly scripts: Map<string, Scripted>;
  /** Processes that were started, newest last. */
  readonly started: HostProcess[];
  readonly log: () => string;
}

/** Forwards to ports of this host; sandbox ids mean nothing to it. */
export async function dialHost(_sandboxId: string, port: number, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  try {
    await once(socket, "connect", { signal });
  } catch (cause) {
    socket.destroy();
    throw new RuntimeError("unavailable", `nobody listens on port ${port}`, { cause });
  }
  return socket;
}

export async function serving(o: Partial<StreamingOptions> = {}): Promise<Serving> {
  const lines: string[] = [];
  const stream = { write: (line: string) => lines.push(line) };
  const log = createLogger({ level: "trace", stream });
  const streaming = await StreamingServer.listen({ dialer: { connect: dialHost }, log, ...o });
  const folder = await mkdtemp(join(tmpdir(), "kobako-streaming-"));
  const scripts = new Map<string, Scripted>();
  const started: HostProcess[] = [];
  const open = async (id: string, cmd: readonly string[], signal: AbortSignal): Promise<ProcessStreams> => {
    const script = scripts.get(id);
    if (script !== undefined) return script;
    const process = await HostProcess.start(cmd, signal);
    started.push(process);
    return process;
  };
  const handlers: Handlers<typeof runtimeService> = {
    async version() {
      return { version: "0.1.0", runtimeName: "kobako", runtimeVersion: "0", runtimeApiVersion: "v1" };
    },
    async exec(request) {
      return {
        url: streaming.exec({ ...request, open: (signal) => open(request.containerId, request.cmd, signal) }),
      };
    },
    async attach(request) {
      return {
        url: streaming.attach({ ...request, open: (signal) => open(request.containerId, ["cat"], signal) }),
      };
    },
    async portForward(request) {
      return { url: streaming.portForward({ sandboxId: request.podSandboxId, ports: request.port }) };
    },
  };
  // crictl asks this before anything else.
  const images: Handlers<typeof imageService> = {
    async imageFsInfo() {
      return { imageFilesystems: [], containerFilesystems: [] };
    },
  };
  const socket = join(folder, "cri.sock");
  const services = [
    { table: runtimeService, handlers },
    { table: imageService, handlers: images },
  ];
  const server = await startServer({ socketPath: socket, services, log });
  return {
    streaming,
    socket,
    scripts,
    started,
    log: () => lines.join(""),
    async [Symbol.asyncDispose]() {
      await streaming.close();
      await server.close(0);
      for (const process of started) process.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
