/**
 * Reads a localhost seccomp profile: the OCI form, and Docker's with `archMap`, `includes` and
 * `excludes`, which are settled here. Pure: text in, profile out.
 * Source: runtime-spec config-linux.md, "Seccomp"; moby/profiles for the other form.
 */
import { RuntimeError } from "../../errors/runtime-error.ts";
import type {
  OciSeccomp,
  OciSeccompArg,
  OciSyscallRule,
  SeccompAction,
  SeccompOperator,
} from "../../oci/runtime-spec.ts";

export interface SeccompTarget {
  readonly arch: "x64" | "arm64";
  /** The container's bounding set, for `includes` and `excludes`. */
  readonly bounding: readonly string[];
  /** "6.18": of the running kernel. */
  readonly kernel: string;
}

const actions: ReadonlySet<string> = new Set<SeccompAction>([
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_LOG",
]);
const operators: ReadonlySet<string> = new Set<SeccompOperator>([
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
]);
const flags: ReadonlySet<string> = new Set([
  "SECCOMP_FILTER_FLAG_TSYNC",
  "SECCOMP_FILTER_FLAG_LOG",
  "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
]);
const archNames = { x64: ["amd64", "SCMP_ARCH_X86_64"], arm64: ["arm64", "SCMP_ARCH_AARCH64"] } as const;

const maxRules = 10_000;

type Json = Readonly<Record<string, unknown>>;

/**
 * @param path for messages only.
 * @throws RuntimeError `invalid-argument` naming the file and what is wrong: a container must not
 * start with less than what was meant.
 */
export function parseSeccompProfile(text: string, path: string, target: SeccompTarget): OciSeccomp {
  const bad = (what: string, cause?: unknown) =>
    new RuntimeError("invalid-argument", `seccomp profile ${path}: ${what}`, { cause });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw bad("is no JSON", cause);
  }
  try {
    return profile(object(json, "the document"), target);
  } catch (error) {
    throw error instanceof Malformed ? bad(error.message) : error;
  }
}

/** What is wrong, said without the file's name. */
class Malformed extends Error {}

function profile(json: Json, target: SeccompTarget): OciSeccomp {
  if (json.listenerPath !== undefined || json.listenerMetadata !== undefined) {
    throw new Malformed("names a notification listener, which a pod can't have");
  }
  const syscalls = list(json, "syscalls").slice(0, maxRules + 1);
  if (syscalls.length > maxRules) throw new Malformed(`has more than ${maxRules} rules`);
  const defaultErrnoRet = errno(json, "defaultErrnoRet");
  const architectures = architecturesOf(json, target);
  const filterFlags = texts(json, "flags");
  for (const flag of filterFlags) if (!flags.has(flag)) throw new Malformed(`has the unknown flag "${flag}"`);
  return {
    defaultAction: action(json, "defaultAction"),
    ...(defaultErrnoRet === undefined ? {} : { defaultErrnoRet }),
    ...(architectures.length > 0 ? { architectures } : {}),
    ...(filterFlags.length > 0 ? { flags: filterFlags } : {}),
    syscalls: syscalls.flatMap((entry, i) => rule(object(entry, `syscalls[${i}]`), i, target)),
  };
}

function rule(json: Json, position: number, target: SeccompTarget): OciSyscallRule[] {
  const where = `syscalls[${position}]`;
  // Docker's older profiles have one "name".
  const names = typeof json.name === "string" ? [json.name] : texts(json, "names");
  if (names.length === 0 || names.includes("")) throw new Malformed(`${where} names no system call`);
  if (!applies(json, target)) return [];
  const errnoRet = errno(json, "errnoRet");
  const args = list(json, "args").map((arg, i) => argument(object(arg, `${where}.args[${i}]`), where));
  return [
    {
      names,
      action: action(json, "action"),
      ...(errnoRet === undefined ? {} : { errnoRet }),
      ...(args.length > 0 ? { args } : {}),
    },
  ];
}

function argument(json: Json, where: string): OciSeccompArg {
  const { op } = json;
  if (typeof op !== "string" || !operators.has(op))
    throw new Malformed(`${where} compares with "${String(op)}"`);
  const index = whole(json, "index", where);
  if (index > 5) throw new Malformed(`${where} compares argument ${index}, a call has 0 to 5`);
  const valueTwo = json.valueTwo === undefined ? undefined : whole(json, "valueTwo", where);
  return {
    index,
    value: whole(json, "value", where),
    ...(valueTwo === undefined ? {} : { valueTwo }),
    op: op as SeccompOperator,
  };
}

/** Docker's conditions: all that is included must hold, nothing that is excluded may. */
function applies(json: Json, target: SeccompTarget): boolean {
  const includes = optionalObject(json, "includes");
  const excludes = optionalObject(json, "excludes");
  const capabilities = (from: Json) => texts(from, "caps").map((name) => target.bounding.includes(name));
  const architectures = (from: Json) => texts(from, "arches").map((name) => isOurs(name, target));
  if (includes) {
    if (capabilities(includes).includes(false)) return false;
    const arches = architectures(includes);
    if (arches.length > 0 && !arches.includes(true)) return false;
    if (!kernelReaches(includes, target)) return false;
  }
  if (excludes) {
    if (capabilities(excludes).includes(true)) return false;
    if (architectures(excludes).includes(true)) return false;
    if (excludes.minKernel !== undefined && kernelReaches(excludes, target)) return false;
  }
  return true;
}

function kernelReaches(from: Json, target: SeccompTarget): boolean {
  if (from.minKernel === undefined) return true;
  const wanted = /^(\d+)\.(\d+)/.exec(String(from.minKernel));
  const running = /^(\d+)\.(\d+)/.exec(target.kernel);
  if (!wanted || !running) throw new Malformed(`has the kernel version "${String(from.minKernel)}"`);
  const [major, minor] = [Number(running[1]) - Number(wanted[1]), Number(running[2]) - Number(wanted[2])];
  return major > 0 || (major === 0 && minor >= 0);
}

function architecturesOf(json: Json, target: SeccompTarget): string[] {
  const plain = texts(json, "architectures");
  for (const name of plain)
    if (!/^SCMP_ARCH_[A-Z0-9_]+$/.test(name)) throw new Malformed(`has the architecture "${name}"`);
  const map = list(json, "archMap").map((entry) => object(entry, "archMap"));
  if (map.length === 0) return plain;
  if (plain.length > 0) throw new Malformed("has both architectures and archMap");
  const ours = map.find(
    (entry) => typeof entry.architecture === "string" && isOurs(entry.architecture, target),
  );
  return ours ? [String(ours.architecture), ...texts(ours, "subArchitectures")] : [];
}

function isOurs(name: string, target: SeccompTarget): boolean {
  return (archNames[target.arch] as readonly string[]).includes(name);
}

function action(json: Json, key: string): SeccompAction {
  const value = json[key];
  if (typeof value !== "string" || !actions.has(value))
    throw new Malformed(`${key} is "${String(value)}", no action for a pod`);
  return value as SeccompAction;
}

function errno(json: Json, key: string): number | undefined {
  return json[key] === undefined || json[key] === null ? undefined : whole(json, key, key);
}

/** Exact only below 2^53: a larger one would be another number when written again. */
function whole(json: Json, key: string, where: string): number {
  const value = json[key];
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new Malformed(`${where}: ${key} is no whole number below 2^53`);
  }
  return value;
}

function list(json: Json, key: string): readonly unknown[] {
  const value = json[key] ?? [];
  if (!Array.isArray(value)) throw new Malformed(`${key} is no list`);
  return value;
}

function texts(json: Json, key: string): string[] {
  return list(json, key).map((value) => {
    if (typeof value !== "string") throw new Malformed(`${key} has an entry that is no text`);
    return value;
  });
}

function object(value: unknown, what: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Malformed(`${what} is no object`);
  return value as Json;
}

function optionalObject(json: Json, key: string): Json | undefined {
  return json[key] === undefined || json[key] === null ? undefined : object(json[key], key);
}
