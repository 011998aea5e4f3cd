/**
 * Bundles for kobako-oci (and for the runtimes it is held against): a busybox root filesystem, a specification
 * that tests change, the real binary.
 * Everything a bundle makes (state, cgroup, processes) is its own and goes with it.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ownName } from "../../support/run.ts";
import { within } from "../../support/slowness.ts";

/** KOBAKO_OCI: another one (hack/ignored). */
export const binary =
  process.env.KOBAKO_OCI ?? new URL("../../../build/bin/kobako-oci", import.meta.url).pathname;

const applets = [
  "sh",
  "ls",
  "cat",
  "echo",
  "true",
  "sleep",
  "id",
  "mount",
  "env",
  "readlink",
  "mkdir",
  "touch",
];
const moreApplets = ["dd", "head", "grep", "kill", "rm", "stat", "hostname", "tty", "wc", "mknod", "test"];

/** As much of the OCI configuration as the tests change. */
export interface Spec {
  ociVersion: string;
  root: { path: string; readonly?: boolean };
  hostname?: string;
  process: {
    terminal?: boolean;
    args: string[];
    cwd: string;
    env: string[];
    user: { uid: number; gid: number; additionalGids?: number[]; umask?: number };
    capabilities?: Partial<
      Record<"bounding" | "effective" | "permitted" | "inheritable" | "ambient", string[]>
    >;
    rlimits?: { type: string; soft: number; hard: number }[];
    noNewPrivileges?: boolean;
    oomScoreAdj?: number;
    apparmorProfile?: string;
    selinuxLabel?: string;
  };
  mounts: { destination: string; type?: string; source?: string; options?: string[] }[];
  hooks?: Record<string, { path: string; args?: string[]; env?: string[]; timeout?: number }[]>;
  annotations?: Record<string, string>;
  linux: {
    cgroupsPath: string;
    namespaces: { type: string; path?: string }[];
    resources?: Record<string, unknown>;
    devices?: Record<string, unknown>[];
    sysctl?: Record<string, string>;
    maskedPaths?: string[];
    readonlyPaths?: string[];
    seccomp?: Record<string, unknown>;
    rootfsPropagation?: string;
  };
}

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const capabilities = [
  "CAP_CHOWN",
  "CAP_KILL",
  "CAP_MKNOD",
  "CAP_NET_BIND_SERVICE",
  "CAP_SETUID",
  "CAP_SETGID",
];

function defaultSpec(id: string): Spec {
  const quiet = ["nosuid", "noexec", "nodev"];
  return {
    ociVersion: "1.2.0",
    root: { path: "rootfs" },
    hostname: "bundle",
    process: {
      args: ["/bin/true"],
      cwd: "/",
      env: ["PATH=/bin"],
      user: { uid: 0, gid: 0 },
      // A list for each: a test may change one.
      capabilities: {
        bounding: [...capabilities],
        permitted: [...capabilities],
        effective: [...capabilities],
      },
      noNewPrivileges: true,
    },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc", options: quiet },
      {
        destination: "/dev",
        type: "tmpfs",
        source: "tmpfs",
        options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
      },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
      },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: [...quiet, "ro"] },
    ],
    linux: {
      cgroupsPath: `/${ownName()}-${id}`,
      namespaces: ["pid", "network", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type })),
      maskedPaths: ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
  };
}

export class Bundle implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "kobako-oci-"));
  readonly rootfs = join(this.folder, "rootfs");
  readonly state = join(this.folder, "state");
  readonly id = randomBytes(6).toString("hex");
  readonly spec = defaultSpec(this.id);

  readonly command: readonly string[];

  /** command: the runtime, with what has to stand before its own arguments. */
  constructor(change?: (spec: Spec, bundle: Bundle) => void, command: readonly string[] = [binary]) {
    this.command = command;
    for (const name of ["bin", "proc", "sys", "dev", "tmp", "etc"])
      mkdirSync(join(this.rootfs, name), { recursive: true });
    copyFileSync("/bin/busybox", join(this.rootfs, "bin/busybox"));
    for (const name of [...applets, ...moreApplets]) symlinkSync("busybox", join(this.rootfs, "bin", name));
    change?.(this.spec, this);
  }

  get cgroup(): string {
    return this.spec.linux.cgroupsPath;
  }

  /** Runs the runtime with a state folder of its own; `global`: options that stand before the command. */
  oci(args: readonly string[], input?: string, global: readonly string[] = []): Result {
    const [file = "", ...before] = this.command;
    const r = spawnSync(file, [...before, "--root", this.state, ...global, ...args], {
      encoding: "utf8",
      env: {},
      input: input ?? "",
      timeout: within(30_000),
    });
    if (r.error) throw r.error;
    return { code: r.status, stdout: r.stdout, stderr: r.stderr };
  }

  /** A shell line with the runtime's command as "$@": for descriptors, variables and terminals of the caller. */
  through(line: string, args: readonly string[]): Result {
    const r = spawnSync("/bin/sh", ["-c", line, "sh", ...this.command, "--root", this.state, ...args], {
      cwd: this.folder,
      encoding: "utf8",
      env: { PATH: "/usr/bin:/bin" },
      timeout: within(30_000),
    });
    if (r.error) throw r.error;
    return { code: r.status, stdout: r.stdout, stderr: r.stderr };
  }

  /** Writes the specification as it is now, then `run`. */
  run(): Result {
    this.write();
    return this.oci(["run", "-b", this.folder, this.id]);
  }

  /** A shell line as the container's process. */
  sh(line: string): Result {
    this.spec.process.args = ["/bin/sh", "-c", line];
    return this.run();
  }

  /** options: of create, before the id. */
  create(options: readonly string[] = []): Result {
    this.write();
    // Output to files: a pipe would be held open by the container and keep us waiting.
    const r = spawnSync(
      "/bin/sh",
      ["-c", `"$0" "$@" >create.out 2>create.err`, ...this.createArgs(options)],
      {
        cwd: this.folder,
        env: {},
        timeout: within(30_000),
      },
    );
    if (r.error) throw r.error;
    const text = (name: string) => readFileSync(join(this.folder, name), "utf8");
    return { code: r.status, stdout: text("create.out"), stderr: text("create.err") };
  }

  start(): Result {
    return this.oci(["start", this.id]);
  }

  exec(args: readonly string[], options: readonly string[] = []): Result {
    return this.oci(["exec", ...options, this.id, ...args]);
  }

  /** What the container has written so far (create and start only). */
  output(): string {
    return readFileSync(join(this.folder, "create.out"), "utf8");
  }

  pid(): number {
    return (JSON.parse(this.oci(["state", this.id]).stdout) as { pid: number }).pid;
  }

  status(): string {
    return (JSON.parse(this.oci(["state", this.id]).stdout) as { status: string }).status;
  }

  /** What of this container is left on the machine: cgroups and state. */
  traces(): string[] {
    const found = existsSync(join(this.state, this.id)) ? [join(this.state, this.id)] : [];
    for (const name of readdirSync("/sys/fs/cgroup")) {
      const path = join("/sys/fs/cgroup", name, this.cgroup);
      if (existsSync(path)) found.push(path);
    }
    if (existsSync(join("/sys/fs/cgroup", this.cgroup))) found.push(join("/sys/fs/cgroup", this.cgroup));
    const mounts = readFileSync("/proc/self/mountinfo", "utf8");
    return [...found, ...mounts.split("\n").filter((line) => line.includes(this.folder))];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.oci(["delete", "--force", this.id]);
    const left = this.traces();
    rmSync(this.folder, { recursive: true, force: true });
    if (left.length > 0) throw new Error(`left behind: ${left.join(", ")}`);
  }

  /** A bigint in the specification is the number it is: 2^64 - 1 is RLIM_INFINITY, and no double. */
  write(): void {
    const big = (_key: string, value: unknown) => (typeof value === "bigint" ? `bigint ${value}` : value);
    const text = JSON.stringify(this.spec, big).replaceAll(/"bigint (\d+)"/g, "$1");
    writeFileSync(join(this.folder, "config.json"), text);
  }

  private createArgs(options: readonly string[]): string[] {
    return [...this.command, "--root", this.state, "create", "-b", this.folder, ...options, this.id];
  }
}

/** A user without rights. */
export const nobody = 65534;

/** A bundle that is this user's, as is the copy of the program that runs it; in a user namespace, without a cgroup. */
export function rootlessBundle(change: (spec: Spec) => void): Bundle {
  const command = ["/usr/bin/setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"];
  const b = new Bundle((s) => {
    s.linux.namespaces.push({ type: "user" });
    s.mounts = s.mounts.filter((m) => m.destination !== "/dev/pts");
    change(s);
  }, command);
  // The folders above ours may be closed to others.
  const own = join(b.folder, "kobako-oci");
  command.push(own);
  copyFileSync(binary, own);
  for (const path of [b.folder, own]) chmodSync(path, 0o755);
  execFileSync("chown", ["-R", `${nobody}:${nobody}`, b.folder]);
  return b;
}

/** The lines of /proc/self/status that were asked for, as a map. */
export function statusFields(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .split("\n")
      .map((line) => line.split(/:\s*/, 2))
      .filter((pair): pair is [string, string] => pair.length === 2),
  );
}

export function capabilityMask(...numbers: readonly number[]): string {
  return numbers
    .reduce((mask, n) => mask | (1n << BigInt(n)), 0n)
    .toString(16)
    .padStart(16, "0");
}
