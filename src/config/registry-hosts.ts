import type { Config } from "./config.ts";

interface HostSettings {
  readonly mirrors: readonly string[];
  readonly insecure: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly auth?: Readonly<Record<"username" | "password" | "identityToken" | "registryToken", string>>;
}

const known = new WeakMap<object, Readonly<Record<string, HostSettings>>>();

/**
 * The registries' settings by host, without what is not set: what the registry client takes. The same tables give
 * the same objects, so that connections outlive a reload that did not touch them.
 */
export function registryHosts(registries: Config["registries"]): Readonly<Record<string, HostSettings>> {
  let hosts = known.get(registries);
  if (!hosts) {
    const made = Object.create(null) as Record<string, HostSettings>;
    for (const [host, { mirrors, insecure, ca, cert, key, auth }] of Object.entries(registries))
      made[host] = {
        mirrors,
        insecure,
        ...(ca === "" ? {} : { ca }),
        ...(cert === "" ? {} : { cert, key }),
        ...(Object.values(auth).some((value) => value !== "") ? { auth } : {}),
      };
    hosts = made;
    known.set(registries, hosts);
  }
  return hosts;
}
