/** One forwarded connection: copies both ways between a client's stream and a connection into the pod. */
import { once } from "node:events";
import type { Duplex } from "node:stream";
import type { Inbox } from "../inbox.ts";

/** The client's side. */
export interface ForwardedStream {
  readonly input: Inbox;
  write(data: Buffer): Promise<void>;
  /** The pod sends no more. */
  end(): void;
}

/**
 * Copies until both directions ended, or either side broke off; then the connection is closed.
 * `oneEnd`: the protocol cannot tell the client that the pod sends no more, so that ends it all.
 * Returns whether it ended in order.
 */
export async function forward(
  client: ForwardedStream,
  connection: Duplex,
  signal: AbortSignal,
  oneEnd: boolean,
): Promise<boolean> {
  const cut = () => connection.destroy();
  signal.addEventListener("abort", cut, { once: true });
  if (signal.aborted) cut();
  // Errors are seen by the loops; this keeps one that comes between them from ending the daemon.
  connection.on("error", () => {});
  try {
    const up = copyUp(client, connection);
    up.catch(cut);
    await copyDown(client, connection);
    client.end();
    if (!oneEnd) await up;
    return true;
  } catch {
    return false;
  } finally {
    signal.removeEventListener("abort", cut);
    client.input.discard();
    connection.destroy();
  }
}

async function copyUp(client: ForwardedStream, connection: Duplex): Promise<void> {
  for await (const piece of client.input) {
    if (connection.destroyed) return;
    if (connection.write(piece)) continue;
    const waiting = new AbortController();
    try {
      await Promise.race([
        once(connection, "drain", { signal: waiting.signal }),
        once(connection, "close", { signal: waiting.signal }),
      ]);
    } finally {
      waiting.abort();
    }
  }
  if (!connection.destroyed) await new Promise<void>((resolve) => connection.end(resolve));
}

async function copyDown(client: ForwardedStream, connection: Duplex): Promise<void> {
  // Without the option the iterator would close the other direction too.
  for await (const data of connection.iterator({ destroyOnReturn: false }))
    await client.write(data as Buffer);
}
