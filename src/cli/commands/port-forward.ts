/**
 * kobako port-forward: ports of this host's loopback, each connection to which is one into the pod. Each has a
 * streaming connection of its own, so that one which is not read holds up no other.
 */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { pipeline } from "node:stream/promises";
import { text } from "node:stream/consumers";
import { PodSandboxState, runtimeService } from "../../../cri-api/index.ts";
import type { Context } from "../cli.ts";
import { CliError, exitCode } from "../cli-error.ts";
import { Daemon } from "../client.ts";
import { findPod } from "../find.ts";
import { StreamConnection } from "../stream/connection.ts";

const protocol = "portforward.k8s.io";

export interface PortPair {
  /** 0: any that is free. */
  readonly local: number;
  readonly remote: number;
}

/** "8080:80", "80", ":80". @throws CliError */
export function parsePortPair(argument: string): PortPair {
  const match = /^(?:(\d{0,5}):)?(\d{1,5})$/.exec(argument);
  const remote = Number(match?.[2]);
  const local = match?.[1] === undefined ? remote : Number(match[1]);
  if (!match || remote < 1 || remote > 65535 || local > 65535)
    throw new CliError(`port ${argument} must be [LOCAL:]REMOTE, such as 8080:80 or :80`, exitCode.usage);
  return { local, remote };
}

/** Forwards until the program is told to end, or the pod is gone. */
export async function portForward(
  context: Context,
  ref: string,
  ports: readonly string[],
  flags: { readonly listen: readonly string[] },
): Promise<void> {
  const pairs = ports.map(parsePortPair);
  using daemon = new Daemon(context.address);
  const pod = await findPod(daemon, ref);
  if (pod.state !== PodSandboxState.SANDBOX_READY)
    throw new CliError(`pod ${ref} is not ready: ports are forwarded into a running one`);
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort()).once("SIGTERM", () => stop.abort());
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  try {
    for (const pair of pairs) {
      for (const host of flags.listen) {
        const server = createServer({ allowHalfOpen: true }, (socket) => {
          sockets.add(socket);
          socket.once("close", () => sockets.delete(socket));
          void forward(context, daemon, pod.id, pair.remote, socket, stop.signal);
        });
        servers.push(server);
        const port = await listen(server, host, pair.local);
        const address = host.includes(":") ? `[${host}]` : host;
        context.stdout.write(`Forwarding from ${address}:${port} -> ${pair.remote}\n`);
      }
    }
    if (!stop.signal.aborted) await once(stop.signal, "abort");
  } finally {
    for (const server of servers) server.close();
    for (const socket of sockets) socket.destroy();
  }
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  server.listen({ host, port });
  try {
    await once(server, "listening");
  } catch (cause) {
    throw new CliError(`listen on ${host} port ${port}: ${cause instanceof Error ? cause.message : cause}`);
  }
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : port;
}

/** One connection. Never rejects: what goes wrong is told, and ends this one only. */
async function forward(
  context: Context,
  daemon: Daemon,
  podSandboxId: string,
  port: number,
  socket: Socket,
  signal: AbortSignal,
): Promise<void> {
  socket.on("error", () => {});
  let broken = true;
  try {
    const { url } = await daemon.call(runtimeService.portForward, { podSandboxId, port: [port] });
    using connection = await StreamConnection.open(url, protocol, signal);
    const headers = { port: String(port), requestid: "0" };
    const error = connection.stream({ ...headers, streamtype: "error" }).end();
    const data = connection.stream({ ...headers, streamtype: "data" });
    const refused = text(error).catch(() => "");
    const copied = Promise.all([pipeline(socket, data), pipeline(data, socket)]).then(
      () => true,
      () => false, // either side broke off, which is its own affair
    );
    const refusal = await refused;
    if (refusal !== "") throw new CliError(refusal);
    broken = !(await copied);
  } catch (fault) {
    if (!signal.aborted)
      context.stderr.write(`kobako: port ${port}: ${fault instanceof Error ? fault.message : fault}\n`);
  } finally {
    // What broke must not look like an end in order.
    if (broken) socket.resetAndDestroy();
    else socket.destroy();
  }
}
