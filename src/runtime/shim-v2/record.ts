/**
 * What is kept of a pod's shim in its run folder, `shim.json`: how a later daemon finds it, or ends what is left.
 * Written before the shim is started (an intent), and again when it has told its address.
 */
import { lstatSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorKind } from "../../errors/runtime-error.ts";
import type { ShimAddress } from "./bootstrap.ts";
import { podRecord } from "../pod-record.ts";
import type { PodNamespacePaths } from "./spec.ts";

export interface ShimRecord {
  /** Of the sandbox. */
  readonly id: string;
  readonly program: string;
  /** The cgroup that the shim's processes are in. */
  readonly cgroup: string;
  readonly sandboxed: boolean;
  readonly paths: PodNamespacePaths;
  /** The pod's addresses. */
  readonly ips: readonly string[];
  /** Undefined: it had not answered yet. */
  readonly address: ShimAddress | undefined;
}

const fileName = podRecord["shim-v2"];

export function writeRecord(runDir: string, record: ShimRecord): void {
  const path = join(runDir, fileName);
  writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/**
 * Of a shim that is dead: its socket, which one that was killed leaves, and the record. Nothing else is removed, whatever
 * the shim told.
 */
export function removeRecord(runDir: string, record: ShimRecord): void {
  removeSocket(record);
  rmSync(join(runDir, fileName), { force: true });
}

function removeSocket({ address }: ShimRecord): void {
  if (address === undefined || address.path.startsWith("\0")) return;
  try {
    if (lstatSync(address.path).isSocket()) unlinkSync(address.path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** Undefined: there is none that can be understood. @throws what the system says when it can't be read now. */
export function readRecord(runDir: string): ShimRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(join(runDir, fileName), "utf8"));
  } catch (error) {
    if (errorKind(error) === "resource-exhausted") throw error;
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { id, program, cgroup, sandboxed, paths, ips, address } = value as Record<string, unknown>;
  if (typeof id !== "string" || typeof program !== "string" || typeof cgroup !== "string") return undefined;
  return {
    id,
    program,
    cgroup,
    sandboxed: sandboxed === true,
    paths: readPaths(paths),
    ips: Array.isArray(ips) ? ips.filter((ip) => typeof ip === "string") : [],
    address: readAddress(address),
  };
}

function readPaths(value: unknown): PodNamespacePaths {
  const from = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  const path = (key: string) => (typeof from[key] === "string" ? from[key] : undefined);
  return { network: path("network"), ipc: path("ipc"), uts: path("uts"), pid: path("pid") };
}

function readAddress(value: unknown): ShimAddress | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { version, path } = value as Record<string, unknown>;
  return (version === 2 || version === 3) && typeof path === "string" ? { version, path } : undefined;
}
