/**
 * What the runtime or the kernel said of a request, as the asker's mistake where it is one. The runtime tells steps
 * and errnos; only here is it known what they were asked for. Pure.
 */
import { RuntimeError } from "../errors/runtime-error.ts";
import type { ContainerConfig } from "./config.ts";

/** Of a path or a number in the configuration, not of the machine. */
const askersMistakes: ReadonlySet<string | undefined> = new Set([
  "ENOENT",
  "ENOTDIR",
  "EISDIR",
  "ELOOP",
  "ENAMETOOLONG",
  "E2BIG",
  "EINVAL",
  "ERANGE",
]);

/** Why a container could not be made of `config`. */
export function refusedCreation(error: unknown, config: ContainerConfig): unknown {
  if (!(error instanceof RuntimeError) || error.kind !== "internal") return error;
  const more = { subject: { ...error.subject }, cause: error };
  const { errno } = error.subject;
  const limitBytes = config.resources?.memoryLimitBytes ?? 0n;
  if (errno === "EPIPE" && limitBytes > 0n) {
    return new RuntimeError(
      "failed-precondition",
      `the container ended while it was set up: its memory limit of ${limitBytes} bytes is too small, most likely`,
      more,
    );
  }
  if (!askersMistakes.has(errno)) return error;
  return new RuntimeError("invalid-argument", "the container can't be made as config asks", more);
}

/** Why limits of a running container could not be changed. */
export function refusedLimit(error: unknown): unknown {
  if (!(error instanceof RuntimeError) || error.kind !== "internal") return error;
  const more = { subject: { ...error.subject }, cause: error };
  switch (error.subject.errno) {
    case "EBUSY":
      return new RuntimeError("failed-precondition", "the container uses more than the new limit", more);
    case "EINVAL":
    case "ERANGE":
    case "EACCES":
      return new RuntimeError("invalid-argument", "the kernel does not take this limit", more);
    default:
      return error;
  }
}
