/** Programs of the host that are used where they are. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { RuntimeError } from "../errors/runtime-error.ts";

/** Where they are looked for, as a PATH. */
export const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Absolute path of `name`. @throws RuntimeError `failed-precondition` saying that `what` needs it. */
export function toolPath(name: string, what: string): string {
  const path = searchPath
    .split(":")
    .map((folder) => join(folder, name))
    .find((at) => existsSync(at));
  if (path === undefined) throw new RuntimeError("failed-precondition", `${what} needs the program ${name}`);
  return path;
}
