/**
 * What an OCI runtime's program says of itself: `--version` and `features`.
 * Enters: an absolute path. Leaves: its kind, what it can, the highest version of a config.json that it takes.
 * Asked once for each identity of the file (device, inode, change, size): an upgrade is seen at the next call.
 */
import { type BigIntStats, statSync } from "node:fs";
import { RuntimeError } from "../../errors/runtime-error.ts";
import { abandoned } from "../../process/abandoned.ts";
import { run } from "../../process/spawn.ts";
import type { HandlerInfo } from "../handler.ts";

/** By the first word of what `--version` says; `other` is spoken to as runc. */
export type ProgramKind = "runc" | "crun" | "runsc" | "youki" | "kobako-oci" | "other";

export interface Program extends HandlerInfo {
  readonly path: string;
  readonly kind: ProgramKind;
}

const kinds: readonly ProgramKind[] = ["runc", "crun", "runsc", "youki", "kobako-oci"];
/** What a program that knows no `features` is taken to accept: the specification of its time. */
const oldestVersion = "1.0.0";
const answerBytes = 256 << 10;

/** What each kind is known not to offer here, whatever its features say. */
const missingOf: Readonly<Partial<Record<ProgramKind, readonly string[]>>> = {
  runsc: [
    "limits of a single container: those of the pod hold for its sandbox",
    "the host's PID and IPC namespaces, and volumes with mount propagation",
  ],
  "kobako-oci": ["update, pause and resume by command line: use the handler of type builtin"],
};

/** The last answer of one program. */
export class ProgramInfo {
  readonly #path: string;
  readonly #timeoutMs: number;
  #known: { identity: string; program: Promise<Program> } | undefined;

  constructor(path: string, timeoutMs: number) {
    this.#path = path;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * @throws RuntimeError `failed-precondition` when there is no program or it does not answer as a runtime does,
   * `deadline-exceeded` when it does not answer in time.
   */
  async get(signal: AbortSignal): Promise<Program> {
    const identity = identityOf(this.#path);
    if (this.#known?.identity !== identity) {
      // Whoever asks first must not take the answer from the others by giving up.
      const program = askProgram(this.#path, AbortSignal.timeout(this.#timeoutMs));
      const known = { identity, program };
      this.#known = known;
      program.catch(() => {
        if (this.#known === known) this.#known = undefined; // asked anew by the next
      });
    }
    return await abandoned(this.#known.program, `runtime program ${this.#path}`, signal);
  }
}

function identityOf(path: string): string {
  let stat: BigIntStats;
  try {
    stat = statSync(path, { bigint: true });
  } catch (cause) {
    throw new RuntimeError("failed-precondition", `runtime program ${path} is not there`, { cause });
  }
  if (!stat.isFile()) throw new RuntimeError("failed-precondition", `runtime program ${path} is no file`);
  return [stat.dev, stat.ino, stat.mtimeNs, stat.size].join(":");
}

async function askProgram(path: string, signal: AbortSignal): Promise<Program> {
  const options = { maxOutputBytes: answerBytes };
  const [version, features] = await Promise.all([
    run(path, ["--version"], options, signal),
    run(path, ["features"], options, signal),
  ]);
  const said = parseVersion(version.stdout.toString("utf8"));
  if (version.code !== 0 || said === undefined)
    throw new RuntimeError(
      "failed-precondition",
      `runtime program ${path} does not say its version as runc does: is it an OCI runtime?`,
    );
  const offered = features.code === 0 ? parseFeatures(features.stdout.toString("utf8")) : undefined;
  if (offered !== undefined && compareVersions(offered.ociVersionMin, "1.2.0") >= 0)
    throw new RuntimeError(
      "failed-precondition",
      `runtime program ${path} takes config.json from version ${offered.ociVersionMin} on, which is too new`,
    );
  const { kind } = said;
  const recursiveReadOnlyMounts = offered?.mountOptions.includes("rro") ?? false;
  return {
    path,
    kind,
    version: said.text,
    ociVersion: offered?.ociVersionMax ?? said.spec ?? oldestVersion,
    features: {
      recursiveReadOnlyMounts,
      // gVisor's containers are in a user namespace of its own making.
      userNamespaces: kind !== "runsc" && (offered?.mapsMounts ?? false),
    },
    missing: [
      ...(offered === undefined
        ? ["it can't be asked for its features: an older config.json is written for it"]
        : []),
      ...(recursiveReadOnlyMounts
        ? []
        : ["recursive read-only mounts: a container that asks for one is refused"]),
      ...(missingOf[kind] ?? []),
    ],
  };
}

/** `runc version 1.5.2\nspec: 1.3.0\n...`. Pure. */
export function parseVersion(
  text: string,
): { kind: ProgramKind; text: string; spec: string | undefined } | undefined {
  const [first = ""] = text.split("\n", 1);
  const match = /^([\w-]+) version:? (\S.{0,120})$/.exec(first.trim());
  if (match === null) return undefined;
  const kind = kinds.find((name) => name === match[1]) ?? "other";
  return { kind, text: first.trim(), spec: /^spec: (\d+\.\d+\.\d+)/m.exec(text)?.[1] };
}

export interface Features {
  readonly ociVersionMin: string;
  readonly ociVersionMax: string;
  readonly mountOptions: readonly string[];
  /** It can id-map mounts: what volumes of a pod with a user namespace need. */
  readonly mapsMounts: boolean;
}

/** Source: runtime-spec features.md and features-linux.md. Pure; undefined for what is none. */
export function parseFeatures(json: string): Features | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { ociVersionMin, ociVersionMax, mountOptions, linux } = value as Record<string, unknown>;
  const isVersion = (text: unknown): text is string =>
    typeof text === "string" && /^\d+\.\d+\.\d+/.test(text);
  if (!isVersion(ociVersionMin) || !isVersion(ociVersionMax)) return undefined;
  const options = Array.isArray(mountOptions) ? mountOptions : [];
  const { mountExtensions } = (linux ?? {}) as { mountExtensions?: { idmap?: { enabled?: unknown } } | null };
  return {
    ociVersionMin,
    ociVersionMax,
    mountOptions: options.filter((one) => typeof one === "string"),
    mapsMounts: mountExtensions?.idmap?.enabled === true,
  };
}

/** Below 0: `a` is older. What follows a third number ("-rc.1") does not count. */
export function compareVersions(a: string, b: string): number {
  const numbers = (text: string) => text.split(/[-+]/, 1)[0]?.split(".").map(Number) ?? [];
  const [x, y] = [numbers(a), numbers(b)];
  for (let i = 0; i < 3; i++) {
    const difference = (x[i] ?? 0) - (y[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
