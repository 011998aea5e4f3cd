/** What a pod's configuration must hold before anything is made. Pure. Rows C3, C4, C6 of the security bar. */
import { RuntimeError } from "../errors/runtime-error.ts";
import type { PodConfig } from "./config.ts";
import { checkHostname, resolvConf } from "./files.ts";
import { checkSysctls } from "./sysctl.ts";

const maxMetadataBytes = 4096;
const maxNameBytes = 253;

/** @throws RuntimeError `invalid-argument` naming the field, the value and what is expected. */
export function validatePodConfig(config: PodConfig): void {
  const { name, namespace, uid } = config.metadata;
  for (const [field, value] of Object.entries({ name, namespace, uid })) {
    if (field === "name" && value === "")
      throw new RuntimeError("invalid-argument", "config.metadata.name is empty: a sandbox needs a name");
    checkText(`config.metadata.${field}`, value, maxNameBytes);
  }
  checkHostname(config.hostname);
  if (config.dns !== undefined) resolvConf(config.dns);
  if (config.logDirectory !== "") checkAbsolutePath("config.log_directory", config.logDirectory);
  checkMap("config.labels", config.labels);
  checkMap("config.annotations", config.annotations);
  for (const mapping of config.portMappings) {
    for (const [field, port] of Object.entries({
      container_port: mapping.containerPort,
      host_port: mapping.hostPort,
    })) {
      if (!Number.isInteger(port) || port < 0 || port > 65535) {
        throw new RuntimeError(
          "invalid-argument",
          `config.port_mappings: ${field} ${port} is not a port (0 to 65535)`,
        );
      }
    }
    if (mapping.hostPort !== 0 && mapping.containerPort === 0) {
      throw new RuntimeError(
        "invalid-argument",
        `config.port_mappings: host_port ${mapping.hostPort} has no container_port`,
      );
    }
  }
  const { network, pid, ipc, user } = config.namespaces;
  if (network === "container" || network === "target") {
    throw new RuntimeError(
      "invalid-argument",
      `namespace_options.network is ${network.toUpperCase()}: a sandbox takes POD or NODE`,
    );
  }
  if (ipc === "container" || ipc === "target") {
    throw new RuntimeError(
      "invalid-argument",
      `namespace_options.ipc is ${ipc.toUpperCase()}: a sandbox takes POD or NODE`,
    );
  }
  checkSysctls(config.sysctls, config.namespaces);
  if (pid === "target")
    throw new RuntimeError("invalid-argument", "namespace_options.pid is TARGET: that is for containers");
  if (user === "pod") checkUserNamespace(config.namespaces);
}

/** The kernel lets a user namespace's root do nothing in namespaces of the host: no sysfs, procfs or mqueue there. */
function checkUserNamespace(namespaces: PodConfig["namespaces"]): void {
  for (const name of ["network", "pid", "ipc"] as const) {
    if (namespaces[name] === "node")
      throw new RuntimeError(
        "invalid-argument",
        `namespace_options.${name} is NODE: a pod with a user namespace of its own has its own ${name} too`,
      );
  }
}

/** A name that is shown and compared, never a path: no control characters, no slash, bounded. */
export function checkText(field: string, value: string, maxBytes: number): void {
  if (Buffer.byteLength(value) > maxBytes || /[\p{Cc}/]/u.test(value) || value === "." || value === "..") {
    throw new RuntimeError(
      "invalid-argument",
      `${field} ${JSON.stringify(value.slice(0, 80))}: expected at most ${maxBytes} bytes without "/" or control characters`,
    );
  }
}

/** An absolute path without "..", NUL or line breaks, at most 4096 bytes (PATH_MAX). */
export function checkAbsolutePath(field: string, path: string): void {
  const bad =
    !path.startsWith("/") ||
    Buffer.byteLength(path) > 4096 ||
    /[\p{Cc}]/u.test(path) ||
    path.split("/").includes("..");
  if (bad)
    throw new RuntimeError(
      "invalid-argument",
      `${field} ${JSON.stringify(path.slice(0, 120))}: expected an absolute path without ".."`,
    );
}

/** Labels and annotations are data of the client's: bounded in their keys only. */
export function checkMap(field: string, map: Readonly<Record<string, string>>): void {
  for (const key of Object.keys(map)) {
    if (Buffer.byteLength(key) > maxMetadataBytes)
      throw new RuntimeError("invalid-argument", `${field}: a key of more than ${maxMetadataBytes} bytes`);
  }
}
