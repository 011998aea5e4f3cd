/** Gathers what the pure spec builder needs to know of the host: once at start, and per request. */
import { constants, readFileSync, type Stats } from "node:fs";
import { lstat, open, readdir, readFile, realpath } from "node:fs/promises";
import { arch, hostname, release } from "node:os";
import { RuntimeError, errorKind } from "../../errors/runtime-error.ts";
import { makeFolder } from "../../process/make-folder.ts";
import type { ContainerConfig } from "../config.ts";
import { capabilityNames } from "./capability.ts";
import type { DeviceNode, HostFacts, MountSource, RequestFacts } from "./facts.ts";

/** What the cgroup room found out. */
export type CgroupFacts = Pick<HostFacts, "cgroupVersion" | "hugetlb" | "swap">;

const maxProfileBytes = 1 << 20;
const maxHostDevices = 10_000;

/**
 * Looks at the host, once at start.
 * @throws RuntimeError `failed-precondition` on another CPU architecture than those supported.
 */
export function readHostFacts(cgroups: CgroupFacts): HostFacts {
  const cpu = arch();
  if (cpu !== "x64" && cpu !== "arm64") {
    throw new RuntimeError(
      "failed-precondition",
      `CPU architecture ${cpu} is not supported, x64 and arm64 are`,
    );
  }
  const status = readFileSync("/proc/self/status", "utf8");
  const kernel = release();
  return {
    arch: cpu,
    kernel,
    hostname: hostname(),
    ...cgroups,
    capabilities: heldCapabilities(status),
    seccomp: /^Seccomp:/m.test(status),
    apparmor: readText("/sys/module/apparmor/parameters/enabled").trim() === "Y",
    selinux: readText("/sys/fs/selinux/enforce") !== "",
    possibleCpus: cpuCount(readText("/sys/devices/system/cpu/possible")),
    recursiveReadonly: atLeast(kernel, 5, 12),
  };
}

/** Names of the capabilities that are both permitted and in the bounding set of this process. */
export function heldCapabilities(procStatus: string): string[] {
  const bits = (field: string) =>
    BigInt(`0x${new RegExp(`^${field}:\\s*([0-9a-f]+)$`, "m").exec(procStatus)?.[1] ?? "0"}`);
  const held = bits("CapPrm") & bits("CapBnd");
  return capabilityNames.filter((_, number) => (held >> BigInt(number)) & 1n);
}

/** How many CPUs a list like "0-3" or "0-1,4" spans, counted from 0. */
export function cpuCount(list: string): number {
  const last = /(\d+)\s*$/.exec(list)?.[1];
  return last === undefined ? 1 : Number(last) + 1;
}

/**
 * Looks at what one request names. A mount source that does not exist is made as a folder, as
 * containerd, CRI-O and Docker do: a hostPath without a type relies on it.
 * @throws RuntimeError `failed-precondition` naming the path; `cancelled`, `deadline-exceeded` when a
 * dead filesystem keeps us waiting.
 */
export async function readRequestFacts(
  container: ContainerConfig,
  signal: AbortSignal,
): Promise<RequestFacts> {
  return await orGivenUp(gather(container), signal);
}

async function gather(container: ContainerConfig): Promise<RequestFacts> {
  const { mounts, devices, security } = container;
  const mountInfo = mounts.some(({ propagation }) => propagation !== "private")
    ? parseMountInfo(await readFile("/proc/self/mountinfo", "utf8"))
    : [];
  const sources = new Map<string, MountSource>();
  for (const { hostPath } of mounts) {
    if (!sources.has(hostPath)) sources.set(hostPath, mountOf(await sourcePath(hostPath), mountInfo));
  }
  const nodes = new Map<string, DeviceNode>();
  for (const { hostPath } of devices) {
    const node = await deviceNode(hostPath);
    if (node) nodes.set(hostPath, node);
  }
  const profile = security.privileged ? undefined : security.seccomp;
  return {
    sources,
    devices: nodes,
    hostDevices: security.privileged ? await listHostDevices() : [],
    seccompFile: profile?.type === "localhost" ? await readProfile(profile.path) : undefined,
  };
}

async function sourcePath(hostPath: string): Promise<string> {
  if (!hostPath.startsWith("/")) {
    throw new RuntimeError("invalid-argument", `mount source "${hostPath}" is not an absolute path`);
  }
  try {
    return await realpath(hostPath).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      await makeFolder(hostPath, 0o755);
      return await realpath(hostPath);
    });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "";
    throw new RuntimeError("failed-precondition", `mount source "${hostPath}" can't be used (${code})`, {
      cause,
    });
  }
}

export interface MountInfo {
  readonly mountPoint: string;
  readonly propagation: MountSource["propagation"];
}

/** Reads mountinfo. Source: proc_pid_mountinfo(5). A mount that is both shared and a slave counts as shared. */
export function parseMountInfo(text: string): MountInfo[] {
  const mounts: MountInfo[] = [];
  for (const line of text.split("\n")) {
    const fields = line.split(" ");
    const end = fields.indexOf("-");
    const mountPoint = fields[4];
    if (end < 6 || mountPoint === undefined) continue;
    const tags = fields.slice(6, end);
    const shared = tags.some((tag) => tag.startsWith("shared:"));
    const slave = tags.some((tag) => tag.startsWith("master:"));
    mounts.push({
      mountPoint: mountPoint.replace(/\\([0-7]{3})/g, (_, octal: string) =>
        String.fromCharCode(Number.parseInt(octal, 8)),
      ),
      propagation: shared ? "shared" : slave ? "slave" : "private",
    });
  }
  return mounts;
}

/** The mount that holds `path`: of those above it the deepest, of several at one place the last. */
export function mountOf(path: string, mounts: readonly MountInfo[]): MountSource {
  let best: MountInfo = { mountPoint: "/", propagation: "private" };
  for (const mount of mounts) {
    const { mountPoint } = mount;
    const holds = mountPoint === "/" || path === mountPoint || path.startsWith(`${mountPoint}/`);
    if (holds && mountPoint.length >= best.mountPoint.length) best = mount;
  }
  return { path, mountPoint: best.mountPoint, propagation: best.propagation };
}

async function deviceNode(path: string): Promise<DeviceNode | undefined> {
  let stat: Stats;
  try {
    stat = await lstat(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new RuntimeError("failed-precondition", `device "${path}" can't be looked at (${code ?? ""})`, {
      cause,
    });
  }
  const type = stat.isCharacterDevice()
    ? "c"
    : stat.isBlockDevice()
      ? "b"
      : stat.isSymbolicLink()
        ? "link"
        : stat.isDirectory()
          ? "folder"
          : "other";
  const { major, minor } = deviceNumbers(stat.rdev);
  return { path, type, major, minor, mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid };
}

/** Splits a dev_t as glibc does. Source: makedev(3). */
export function deviceNumbers(rdev: number): { major: number; minor: number } {
  const dev = BigInt(rdev);
  return {
    major: Number(((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n)),
    minor: Number((dev & 0xffn) | ((dev >> 12n) & 0xffffff00n)),
  };
}

/** Folders of /dev that are mounts of each container's own, or links into /proc. */
const notHostDevices: ReadonlySet<string> = new Set([
  "pts",
  "shm",
  "fd",
  "mqueue",
  ".lxc",
  ".lxd-mounts",
  ".udev",
]);

/** Every device below /dev but the console, which a container has of its own. */
async function listHostDevices(): Promise<DeviceNode[]> {
  const found: DeviceNode[] = [];
  const folders = ["/dev"];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!notHostDevices.has(entry.name)) folders.push(path);
      } else if ((entry.isCharacterDevice() || entry.isBlockDevice()) && path !== "/dev/console") {
        const node = await deviceNode(path);
        if (node) found.push(node);
        if (found.length > maxHostDevices) {
          throw new RuntimeError("resource-exhausted", `more than ${maxHostDevices} devices below /dev`);
        }
      }
    }
  }
  return found;
}

/** The text of a profile: of a regular file, named absolutely, of a sane size. A FIFO is not waited for. */
async function readProfile(path: string): Promise<string> {
  const bad = (what: string, cause?: unknown) =>
    new RuntimeError("invalid-argument", `seccomp profile "${path}" ${what}`, { cause });
  if (!path.startsWith("/")) throw bad("is no absolute path of a file");
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: unknown) => {
    throw bad(`can't be opened (${(cause as NodeJS.ErrnoException).code ?? ""})`, cause);
  });
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw bad("is no regular file");
    if (stat.size > maxProfileBytes) throw bad(`is larger than ${maxProfileBytes} bytes`);
    return (await file.readFile()).subarray(0, maxProfileBytes + 1).toString("utf8");
  } finally {
    await file.close();
  }
}

/** Waits for `work`, but not beyond `signal`: a stat on a dead network filesystem has no end. */
async function orGivenUp<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => {}); // when given up, its end is nobody's concern
  let onAbort = () => {};
  const given = new Promise<never>((_, reject) => {
    onAbort = () => {
      const kind = errorKind(signal.reason) === "deadline-exceeded" ? "deadline-exceeded" : "cancelled";
      reject(new RuntimeError(kind, "a path of the request does not answer", { cause: signal.reason }));
    };
  });
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([given, work]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function atLeast(kernel: string, major: number, minor: number): boolean {
  const [, a, b] = /^(\d+)\.(\d+)/.exec(kernel) ?? [];
  return Number(a) > major || (Number(a) === major && Number(b) >= minor);
}
