/** CNI results: the addresses a pod got, from the answer of any version since 0.3.0. Pure. */
import { isIP, isIPv4 } from "node:net";
import { RuntimeError } from "../errors/runtime-error.ts";
import { Fields, type JsonObject } from "../oci/document.ts";

const maxIps = 64;
const maxInterfaces = 64;

/**
 * Addresses of the pod without prefix, IPv4 before IPv6, else in the plugin's order.
 * @throws RuntimeError `internal` when the result is malformed or has no address.
 */
export function podIps(result: JsonObject, where: string): string[] {
  const top = new Fields(result, where);
  const interfaces = top.objects("interfaces", maxInterfaces) ?? [];
  const ips: string[] = [];
  for (const entry of top.objects("ips", maxIps) ?? []) {
    const index = entry.size("interface");
    const on = index === undefined ? undefined : interfaces[index];
    // An interface without a sandbox is on the host; without an index the address is the pod's.
    if (on && on.text("sandbox") === "") continue;
    const [address = ""] = entry.text("address").split("/");
    if (isIP(address) === 0) {
      throw new RuntimeError("internal", `${where}: ips has ${JSON.stringify(address)}, which is no address`);
    }
    if (!ips.includes(address)) ips.push(address);
  }
  if (ips.length === 0) throw new RuntimeError("internal", `${where}: the result has no address for the pod`);
  return [...ips.filter((ip) => isIPv4(ip)), ...ips.filter((ip) => !isIPv4(ip))];
}
