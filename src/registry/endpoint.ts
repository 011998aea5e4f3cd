/**
 * Where a registry's content is asked for: its mirrors in order, then itself. Pure.
 */
import { isIPv4 } from "node:net";
import { RuntimeError } from "../errors/runtime-error.ts";
import type { RegistryAuth } from "./credential.ts";

/** The settings of one host, `[registries."host:port"]`; absent and "" are the same. They hold for that host and no other. */
export interface RegistryHostSettings {
  /** Addresses asked before the registry itself; a path becomes part of the repository's, or of the API's when it begins with /v2. */
  readonly mirrors?: readonly string[];
  /** TLS certificates are not checked, and plain http is used where nothing answers https. */
  readonly insecure?: boolean;
  /** A PEM file of authorities trusted beside the system's. */
  readonly ca?: string;
  /** PEM files of a client certificate. */
  readonly cert?: string;
  readonly key?: string;
  readonly auth?: RegistryAuth;
}

/** Settings by host, as a reference writes it. */
export type RegistryHosts = Readonly<Record<string, RegistryHostSettings>>;

export interface Endpoint {
  /** `https://host:port`. */
  readonly origin: string;
  /** What stands before `<repository>/...` in the path: "/v2/", "/v2/proxy/". */
  readonly apiPath: string;
  readonly isMirror: boolean;
  /** Plain http of a host that is asked by https first: only when that one is not there. */
  readonly onlyIfUnreachable: boolean;
}

const dockerHub = "docker.io";
const dockerHubHost = "registry-1.docker.io";

/** The settings of `host` ("host" or "host:port", in any case). Default ports may be written or left out. */
export function settingsOf(hosts: RegistryHosts, host: string): RegistryHostSettings {
  const wanted = host.toLowerCase();
  for (const name of [wanted, wanted.replace(/:(443|80)$/, ""), `${wanted}:443`]) {
    if (Object.hasOwn(hosts, name)) return hosts[name] ?? {};
  }
  if (wanted === dockerHubHost) return settingsOf(hosts, dockerHub);
  return {};
}

/**
 * The endpoints of `registry` (as a reference names it), in the order in which they are asked.
 * @throws RuntimeError `invalid-argument` for a mirror address that cannot be used.
 */
export function endpointsOf(registry: string, hosts: RegistryHosts): readonly Endpoint[] {
  const settings = settingsOf(hosts, registry);
  return [
    ...(settings.mirrors ?? []).map((address) => mirror(address, registry)),
    ...itself(registry, settings),
  ];
}

function mirror(address: string, registry: string): Endpoint {
  const shown = `registries."${registry}": mirror`;
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw new RuntimeError("invalid-argument", `${shown} is not an address such as "https://host:port"`);
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new RuntimeError(
      "invalid-argument",
      `${shown} ${url.protocol}//${url.host} is neither http nor https`,
    );
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new RuntimeError(
      "invalid-argument",
      `${shown} ${url.protocol}//${url.host} must be host, port and path only; credentials belong in registries."${url.host}".auth`,
    );
  }
  const path = url.pathname.replace(/^\/+|\/+$/g, "");
  const isApiPath = path === "v2" || path.startsWith("v2/");
  return {
    origin: url.origin,
    apiPath: path === "" ? "/v2/" : isApiPath ? `/${path}/` : `/v2/${path}/`,
    isMirror: true,
    onlyIfUnreachable: false,
  };
}

function itself(registry: string, settings: RegistryHostSettings): Endpoint[] {
  const host = registry.toLowerCase() === dockerHub ? dockerHubHost : registry.toLowerCase();
  const endpoint = (scheme: string, onlyIfUnreachable = false): Endpoint => ({
    origin: new URL(`${scheme}://${host}`).origin,
    apiPath: "/v2/",
    isMirror: false,
    onlyIfUnreachable,
  });
  const hasTls = Boolean(settings.ca || settings.cert);
  if (isLoopback(host) && !hasTls && !settings.insecure) return [endpoint("http")];
  return settings.insecure ? [endpoint("https"), endpoint("http", true)] : [endpoint("https")];
}

/** Whether `host` ("host" or "host:port") is this machine: plain http to it crosses no wire. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/, "").toLowerCase();
  if (name === "localhost" || name === "[::1]" || name === "::1") return true;
  return isIPv4(name) && name.startsWith("127.");
}

/**
 * Whether credentials given for `serverAddress` may be used at `registry`. Docker writes its hub as
 * https://index.docker.io/v1/.
 */
export function isServerAddressOf(serverAddress: string | undefined, registry: string): boolean {
  if (!serverAddress) return true;
  const host = serverAddress
    .replace(/^https?:\/\//i, "")
    .split("/", 1)[0]
    ?.toLowerCase();
  const hub = ["docker.io", "index.docker.io", dockerHubHost];
  return (
    host === registry.toLowerCase() || (registry.toLowerCase() === dockerHub && hub.includes(host ?? ""))
  );
}
