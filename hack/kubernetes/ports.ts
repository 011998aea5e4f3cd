/** Ports of loopback for the servers of one node: free ones, or a row of them that the caller names. */
import { freePort } from "../../test/support/port.ts";

const names = [
  "kubelet",
  "healthz",
  "registry",
  "apiserver",
  "etcd",
  "etcdPeer",
  "controllerManager",
  "scheduler",
  "proxyHealthz",
  "proxyMetrics",
] as const;

export type Ports = Readonly<Record<(typeof names)[number], number>>;

/** @param first the kubelet's; the others follow it in the order above. Missing: any that are free. */
export async function choosePorts(first?: number): Promise<Ports> {
  const chosen = new Map<string, number>();
  for (const [i, name] of names.entries()) {
    let port = first === undefined ? await freePort() : first + i;
    // The kernel may give the same port twice: nobody listens on it yet.
    while (first === undefined && [...chosen.values()].includes(port)) port = await freePort();
    chosen.set(name, port);
  }
  return Object.fromEntries(chosen) as Ports;
}
