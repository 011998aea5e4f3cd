/** What a container's configuration must hold before anything is made. Pure. Rows C3 to C5 of the security bar. */
import { isAbsolute, join } from "node:path";
import { RuntimeError } from "../errors/runtime-error.ts";
import type { PodConfig } from "../sandbox/config.ts";
import { checkAbsolutePath, checkMap, checkText } from "../sandbox/validate.ts";
import type { ContainerConfig } from "./config.ts";
import { signalNumber } from "./signal.ts";

const maxNameBytes = 253;

/** @throws RuntimeError `invalid-argument` naming the field, the value and what is expected. */
export function validateContainerConfig(config: ContainerConfig): void {
  if (config.metadata.name === "")
    throw new RuntimeError("invalid-argument", "config.metadata.name is empty: a container needs a name");
  checkText("config.metadata.name", config.metadata.name, maxNameBytes);
  if (config.image === "")
    throw new RuntimeError("invalid-argument", "config.image is empty: name the image to run");
  if (config.workingDir !== "") checkAbsolutePath("config.working_dir", config.workingDir);
  for (const mount of config.mounts) {
    checkAbsolutePath(
      "config.mounts.container_path",
      isAbsolute(mount.containerPath) ? mount.containerPath : `/${mount.containerPath}`,
    );
    checkAbsolutePath("config.mounts.host_path", mount.hostPath);
  }
  checkMap("config.labels", config.labels);
  checkMap("config.annotations", config.annotations);
  if (config.stopSignal !== "") signalNumber(config.stopSignal);
  if (
    config.security.runAsGroup !== undefined &&
    config.security.runAsUser === undefined &&
    config.security.runAsUsername === ""
  ) {
    throw new RuntimeError(
      "invalid-argument",
      "security_context.run_as_group is set without run_as_user or run_as_username",
    );
  }
}

/**
 * The absolute log path of a container, "" when it keeps no log.
 * @throws RuntimeError `invalid-argument` for a path that is not below the pod's log folder.
 */
export function containerLogPath(pod: PodConfig, logPath: string): string {
  if (pod.logDirectory === "" || logPath === "") return "";
  if (isAbsolute(logPath) || logPath.split("/").includes("..")) {
    throw new RuntimeError(
      "invalid-argument",
      `config.log_path ${JSON.stringify(logPath.slice(0, 120))}: expected a path below the pod's log_directory`,
    );
  }
  const path = join(pod.logDirectory, logPath);
  checkAbsolutePath("config.log_path", path);
  return path;
}
