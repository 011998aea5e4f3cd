/** A TCP connection to a pod's own address. */
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { RuntimeError } from "../../errors/runtime-error.ts";

/** As long as the monitor waits for one in a pod's network. */
const dialMs = 10_000;

/**
 * To the first of `ips` where somebody listens on `port`; half-open.
 * @throws RuntimeError `failed-precondition` when nobody listens, `deadline-exceeded` when nobody accepts, `cancelled`.
 */
export async function dialFirst(ips: readonly string[], port: number, signal: AbortSignal): Promise<Duplex> {
  let refused: unknown;
  for (const host of ips) {
    try {
      return await dial(host, port, signal);
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.kind !== "failed-precondition") throw error;
      refused ??= error;
    }
  }
  throw refused ?? new RuntimeError("failed-precondition", "the pod has no address");
}

async function dial(host: string, port: number, signal: AbortSignal): Promise<Duplex> {
  if (signal.aborted) throw new RuntimeError("cancelled", `port ${port} was given up`);
  const socket = connect({ host, port, allowHalfOpen: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => reject(new RuntimeError("deadline-exceeded", `nobody accepts at port ${port} of the pod`)),
    dialMs,
  );
  const abort = () => reject(new RuntimeError("cancelled", `port ${port} was given up`));
  signal.addEventListener("abort", abort, { once: true });
  const failed = (cause: Error) =>
    reject(new RuntimeError("failed-precondition", `port ${port} of the pod is not listened on`, { cause }));
  socket.once("connect", resolve).once("error", failed);
  try {
    await promise;
    socket.removeListener("error", failed);
    return socket;
  } catch (error) {
    socket.on("error", () => {}); // its one answer was given
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}
