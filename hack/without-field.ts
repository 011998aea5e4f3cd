/**
 * config.json without one of its fields, as a runtime would see it that ignores it.
 *   hack/without-field.ts FIELD ARGUMENTS...   changes config.json of the bundle that follows -b in the arguments
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

declare global {
  interface JSON {
    /** A value that JSON.stringify writes as the text given (ECMAScript 2026). */
    rawJSON(text: string): unknown;
  }
}

type Context = { readonly source?: string };

function remove(at: unknown, path: readonly string[]): void {
  const [first = "", ...rest] = path;
  if (typeof at !== "object" || at === null) return;
  const members = at as Record<string, unknown>;
  if (rest.length === 0) delete members[first];
  else if (first === "*" || first === "[]")
    for (const key of Object.keys(members)) remove(members[key], rest);
  else remove(members[first], rest);
}

/** field: "linux.seccomp.syscalls[].args[].value", "linux.rdma.*.hcaHandles", ... */
export function withoutField(text: string, field: string): string {
  // A number that no double holds stays as it is written.
  const keep = (_key: string, value: unknown, context?: Context) =>
    typeof value === "number" && String(value) !== context?.source && context?.source !== undefined
      ? JSON.rawJSON(context.source)
      : value;
  const config: unknown = JSON.parse(text, keep as (key: string, value: unknown) => unknown);
  remove(config, field.replaceAll("[]", ".[]").split("."));
  return JSON.stringify(config);
}

if (import.meta.main) {
  const [field = "", ...args] = process.argv.slice(2);
  const at = args.findIndex((arg) => arg === "-b" || arg === "--bundle");
  const file = join(args[at + 1] ?? "", "config.json");
  if (at >= 0 && existsSync(file)) writeFileSync(file, withoutField(readFileSync(file, "utf8"), field));
}
