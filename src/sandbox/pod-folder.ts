/** The pod's folder on disk: the files that its containers see (files.ts says what is in them), and its folder for logs. */
import { chownSync, copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorKind, RuntimeError } from "../errors/runtime-error.ts";
import { hostIdOf } from "../oci/id-map.ts";
import { makeFolder } from "../process/make-folder.ts";
import { hostsFile, resolvConf } from "./files.ts";
import type { Sandbox } from "./sandbox.ts";

/** A handful of small files in memory: written at once, they cost less than one hand-over to a thread. */
export function writeFiles(sandbox: Sandbox): void {
  const { config, folder } = sandbox;
  mkdirSync(folder, { mode: 0o700 });
  writeFileSync(join(folder, "hostname"), config.hostname === "" ? "" : `${config.hostname}\n`, {
    mode: 0o644,
  });
  if (config.dns === undefined) copyHostFile("/etc/resolv.conf", join(folder, "resolv.conf"));
  else writeFileSync(join(folder, "resolv.conf"), resolvConf(config.dns), { mode: 0o644 });
  writeHosts(sandbox, []);
  for (const name of ["hostname", "resolv.conf", "hosts"]) ownFile(sandbox, join(folder, name));
}

/** They are mounted writable: root of the pod's user namespace may change them as root of any pod may. */
function ownFile({ config }: Sandbox, path: string): void {
  const { idMap } = config.namespaces;
  if (idMap !== undefined) chownSync(path, hostIdOf(idMap, 0), hostIdOf(idMap, 0));
}

/** Once more when the addresses are known: containers are made later. */
export function writeHosts(sandbox: Sandbox, ips: readonly string[]): void {
  const path = join(sandbox.folder, "hosts");
  if (sandbox.netnsPath === undefined) copyHostFile("/etc/hosts", path);
  else writeFileSync(path, hostsFile(sandbox.config.hostname, ips), { mode: 0o644 });
}

/** A host without the file (a small image, a dangling link of a resolver that is off) gives an empty one. */
function copyHostFile(from: string, to: string): void {
  try {
    copyFileSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    writeFileSync(to, "", { mode: 0o644 });
  }
}

/** Makes `log_directory`, unless the kubelet has. @throws RuntimeError naming the field where it can't be made. */
export async function makeLogFolder(path: string): Promise<void> {
  try {
    await makeFolder(path, 0o755);
  } catch (cause) {
    const kind = errorKind(cause) === "internal" ? "invalid-argument" : errorKind(cause);
    throw new RuntimeError(kind, `config.log_directory ${JSON.stringify(path)} can't be made`, { cause });
  }
}
