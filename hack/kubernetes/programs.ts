/** Outside programs by name, as hack/tools builds and keeps them. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { must } from "../run.ts";

const tools = join(import.meta.dirname, "../tools");

/** Paths of the programs, in the order of `names`; what is missing is built, which takes minutes. */
export async function programs(names: readonly string[]): Promise<string[]> {
  return (await must([tools, ...names])).trim().split("\n").slice(-names.length);
}

/** The path of a program that has been built already. */
export async function builtProgram(name: string): Promise<string | undefined> {
  const cache = process.env.KOBAKO_CACHE ?? "/var/cache/kobako";
  const line = (await must([tools, "--list"])).split("\n").find((text) => text.startsWith(`${name}: `));
  const version = line?.split(" ")[3];
  const path = join(cache, "tools", `${name}-${version}`);
  return version !== undefined && existsSync(path) ? path : undefined;
}
