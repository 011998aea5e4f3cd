/** The commands and options of kobako-oci for docs/oci-runtime.md, as its own --help tells them. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
export const optionsPage = join(root, "docs/oci-runtime.md");
export const optionsPart = "options";

export function optionsReference(): string {
  const help = (...args: readonly string[]) =>
    execFileSync(join(root, "build/bin/kobako-oci"), [...args, "--help"], { encoding: "utf8" }).trim();
  const all = help();
  const commands = [...(all.split("\n\n")[1] ?? "").matchAll(/^ {3}(\S+)/gm)].map((m) => m[1] ?? "");
  if (commands.length < 15) throw new Error(`--help names these commands: ${commands.join(", ")}`);
  return ["```", [all, ...commands.map((command) => help(command))].join("\n\n"), "```"].join("\n");
}
