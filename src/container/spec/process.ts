/** The process of a container: what it runs, with which environment, where. Pure. */
import { posix } from "node:path";
import { RuntimeError } from "../../errors/runtime-error.ts";
import type { ContainerConfig } from "../config.ts";

/** PATH of a container whose image and request say nothing; as every peer has it. */
export const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface ImageDefaults {
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly workingDir: string;
}

/**
 * The argument list. A request's command replaces the image's entrypoint and with it the image's
 * cmd; a request's args replace the image's cmd alone.
 * @throws RuntimeError `invalid-argument` when there is nothing to run, or a NUL in it.
 */
export function processArgs(
  command: readonly string[],
  args: readonly string[],
  image: Pick<ImageDefaults, "entrypoint" | "cmd">,
): string[] {
  // Some builders write [""] for "no entrypoint".
  const entrypoint = image.entrypoint.length === 1 && image.entrypoint[0] === "" ? [] : image.entrypoint;
  const all =
    command.length > 0 ? [...command, ...args] : [...entrypoint, ...(args.length > 0 ? args : image.cmd)];
  if (all.length === 0) {
    throw new RuntimeError(
      "invalid-argument",
      "nothing to run: neither the request nor the image names a command",
    );
  }
  if (all[0] === "") throw new RuntimeError("invalid-argument", "the program to run has an empty name");
  for (const arg of all) refuseNul("an argument of the process", arg);
  return all;
}

/**
 * The environment: defaults, then the image's, then the request's; a later entry replaces an earlier
 * one of the same name in its place. Image entries without "=" or without a name are dropped: they
 * would take a value from nowhere.
 * The request's values are bytes, config.json holds text: a value that is no UTF-8 is refused, as
 * leaving it out or changing it would start another program than the one asked for.
 * @throws RuntimeError `invalid-argument` naming the variable.
 */
export function processEnv(input: {
  readonly image: readonly string[];
  readonly request: ContainerConfig["envs"];
  readonly hostname: string;
  readonly home: string;
  readonly tty: boolean;
}): string[] {
  const env = new Map<string, string>();
  env.set("PATH", defaultPath);
  if (input.tty) env.set("TERM", "xterm");
  env.set("HOSTNAME", input.hostname);
  for (const entry of input.image) {
    const at = entry.indexOf("=");
    if (at <= 0) continue;
    refuseNul("an environment variable of the image", entry);
    env.set(entry.slice(0, at), entry.slice(at + 1));
  }
  for (const { key, value } of input.request) {
    if (key === "" || key.includes("=")) {
      throw new RuntimeError(
        "invalid-argument",
        `environment variable "${key}": expected a name without "="`,
      );
    }
    const text = decode(key, value);
    refuseNul(`environment variable "${key}"`, key + text);
    env.set(key, text);
  }
  // Last, as runc does it: an image that sets HOME keeps its own.
  if (!env.has("HOME")) env.set("HOME", input.home || "/");
  return [...env].map(([name, value]) => `${name}=${value}`);
}

/** The working folder: the request's, else the image's, else the root. A relative one starts at the root. */
export function processCwd(requested: string, image: string): string {
  const cwd = requested || image || "/";
  refuseNul("the working folder", cwd);
  return posix.normalize(`/${cwd}`).replace(/(.)\/$/, "$1");
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(name: string, value: Uint8Array): string {
  try {
    return utf8.decode(value);
  } catch (cause) {
    throw new RuntimeError(
      "invalid-argument",
      `environment variable "${name}": its value is no UTF-8, which an OCI configuration can't hold`,
      { cause },
    );
  }
}

function refuseNul(what: string, text: string): void {
  if (text.includes("\0")) throw new RuntimeError("invalid-argument", `${what} holds a NUL byte`);
}
