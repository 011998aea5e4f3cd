import type { Duplex } from "node:stream";

/** Reaches into pods. */
export interface PortDialer {
  /**
   * Connects to a TCP port on the loopback of a pod's network namespace, IPv4 first, then IPv6.
   * The connection is half-open: the end of one direction leaves the other.
   * @throws RuntimeError `failed-precondition` when nobody listens, with a message for the user
   */
  connect(sandboxId: string, port: number, signal: AbortSignal): Promise<Duplex>;
}
