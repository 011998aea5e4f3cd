/** The mounts of a container, in the order in which they are made. Pure. */
import { posix } from "node:path";
import { RuntimeError } from "../../errors/runtime-error.ts";
import { type IdMap, ociMappings, sameIdMap } from "../../oci/id-map.ts";
import type { OciMount } from "../../oci/runtime-spec.ts";
import type { ContainerMount } from "../config.ts";
import type { HostFacts, MountSource } from "./facts.ts";

/** Files that the pod gives each of its containers, as host paths; undefined: none. */
export interface PodFiles {
  readonly hosts: string | undefined;
  readonly hostname: string | undefined;
  readonly resolvConf: string | undefined;
}

export interface MountRequest {
  readonly mounts: readonly ContainerMount[];
  readonly sources: ReadonlyMap<string, MountSource>;
  readonly files: PodFiles;
  readonly privileged: boolean;
  readonly readonlyRootfs: boolean;
  readonly hostIpc: boolean;
  /** Of the pod's user namespace. */
  readonly idMap: IdMap | undefined;
}

export interface MountPlan {
  readonly mounts: readonly OciMount[];
  /** What the root's propagation must be for the mounts to receive or send; undefined: private. */
  readonly rootfsPropagation: "rslave" | "rshared" | undefined;
}

/**
 * What may be mounted over below /proc: files that tools like lxcfs replace. All else there is the
 * kernel's own answer, which the runtime's checks rely on. Source: runc's list.
 */
const replaceableInProc: ReadonlySet<string> = new Set(
  [
    "cpuinfo",
    "diskstats",
    "loadavg",
    "meminfo",
    "net/dev",
    "slabinfo",
    "stat",
    "swaps",
    "sys/crypto/fips_enabled",
    "sys/kernel/ns_last_pid",
    "uptime",
  ].map((name) => `/proc/${name}`),
);

/**
 * Plans the mounts: the kernel's filesystems, then the request's and the pod's files by the depth of
 * their destination, so that none hides one made before it. A request's mount replaces one of ours at the same place;
 * one at /dev replaces all of ours below it. /dev/shm of the pod is added by the monitor (`usesPodShm`).
 * User text stands in source and destination only, never among the options.
 * @throws RuntimeError `invalid-argument` or `failed-precondition` naming the mount.
 */
export function planMounts(request: MountRequest, host: HostFacts): MountPlan {
  const requested = uniqueMounts(request.mounts);
  const taken = new Set(requested.keys());
  const ours = kernelMounts(request).filter(
    ({ destination }) => !taken.has(destination) && !(taken.has("/dev") && destination.startsWith("/dev/")),
  );
  const binds: OciMount[] = [];
  let rootfsPropagation: MountPlan["rootfsPropagation"];
  for (const [destination, mount] of requested) {
    const source = request.sources.get(mount.hostPath);
    if (!source) {
      throw new RuntimeError("internal", `mount source "${mount.hostPath}" was not looked at`);
    }
    checkDestination(destination, source.path);
    checkPropagation(mount, source);
    checkIdMap(mount, request.idMap);
    if (mount.propagation === "shared") rootfsPropagation = "rshared";
    if (mount.propagation === "slave") rootfsPropagation ??= "rslave";
    binds.push({
      destination,
      type: "bind",
      source: source.path,
      options: ["rbind", `r${mount.propagation}`, accessOption(mount, host)],
      ...(mount.idMap === undefined ? {} : ociMappings(mount.idMap)),
    });
  }
  for (const [destination, source] of podFiles(request)) {
    if (taken.has(destination)) continue;
    const access = request.readonlyRootfs ? "ro" : "rw";
    binds.push({ destination, type: "bind", source, options: ["rbind", "rprivate", access] });
  }
  binds.sort((a, b) => depth(a.destination) - depth(b.destination)); // stable: equal depth keeps the request's order
  return { mounts: [...ours, ...binds], rootfsPropagation };
}

/** Whether the pod's /dev/shm is to be added: not with the host's IPC, nor where the request mounts there. */
export function usesPodShm(mounts: readonly ContainerMount[], hostIpc: boolean): boolean {
  if (hostIpc) return false;
  return !mounts.some((mount) => ["/dev", "/dev/shm"].includes(cleanDestination(mount.containerPath)));
}

function kernelMounts(request: MountRequest): OciMount[] {
  const access = request.privileged ? "rw" : "ro";
  return [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
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
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", ...terminalGroup(request)],
    },
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", access] },
    {
      destination: "/sys/fs/cgroup",
      type: "cgroup",
      source: "cgroup",
      options: ["nosuid", "noexec", "nodev", "relatime", access],
    },
    ...(request.hostIpc
      ? [{ destination: "/dev/shm", type: "bind", source: "/dev/shm", options: ["rbind", "rprivate", "rw"] }]
      : []),
  ];
}

/** Terminals belong to the group tty, where a user namespace has it. */
function terminalGroup({ idMap }: MountRequest): string[] {
  const tty = 5;
  return idMap === undefined || idMap.length > tty ? [`gid=${tty}`] : [];
}

function podFiles({ files }: MountRequest): [string, string][] {
  return [
    ["/etc/hosts", files.hosts],
    ["/etc/hostname", files.hostname],
    ["/etc/resolv.conf", files.resolvConf],
  ].filter((pair): pair is [string, string] => pair[1] !== undefined);
}

/** By destination, each once; the same mount twice is one mount. */
function uniqueMounts(mounts: readonly ContainerMount[]): Map<string, ContainerMount> {
  const unique = new Map<string, ContainerMount>();
  for (const mount of mounts) {
    const destination = cleanDestination(mount.containerPath);
    const other = unique.get(destination);
    if (other && !sameMount(mount, other)) {
      throw new RuntimeError(
        "invalid-argument",
        `two mounts at "${destination}": "${other.hostPath}" and "${mount.hostPath}"`,
      );
    }
    unique.set(destination, mount);
  }
  return unique;
}

function sameMount(a: ContainerMount, b: ContainerMount): boolean {
  return (
    a.hostPath === b.hostPath &&
    a.readonly === b.readonly &&
    a.recursiveReadonly === b.recursiveReadonly &&
    a.propagation === b.propagation &&
    sameIdMap(a.idMap, b.idMap)
  );
}

/** An absolute path without "." , ".." or doubled slashes. A relative one starts at the root, as runc reads it. */
function cleanDestination(path: string): string {
  if (path === "" || path.includes("\0")) {
    throw new RuntimeError("invalid-argument", `mount destination "${path}" is no path`);
  }
  const clean = posix.normalize(`/${path}`);
  return clean.length > 1 && clean.endsWith("/") ? clean.slice(0, -1) : clean;
}

function checkDestination(destination: string, source: string): void {
  if (destination === "/")
    throw new RuntimeError("invalid-argument", `mount of "${source}" would replace the root`);
  if (destination === "/proc" && source === "/proc") return; // the host's own
  const inProc = destination === "/proc" || destination.startsWith("/proc/");
  if (inProc && !replaceableInProc.has(destination)) {
    throw new RuntimeError(
      "invalid-argument",
      `mount destination "${destination}" is in /proc, which stays the kernel's`,
    );
  }
}

function checkPropagation(mount: ContainerMount, source: MountSource): void {
  const enough =
    mount.propagation === "private" ||
    source.propagation === "shared" ||
    (mount.propagation === "slave" && source.propagation === "slave");
  if (enough) return;
  const wanted = mount.propagation === "shared" ? "a shared mount" : "a shared or slave mount";
  throw new RuntimeError(
    "failed-precondition",
    `mount source "${mount.hostPath}" lies on "${source.mountPoint}", which is not ${wanted}: make it so with mount --make-shared`,
  );
}

/**
 * A volume of other owners than the pod's would give its files to strangers; one that sends its mounts would let root of
 * the user namespace mount on the host, and unmount there.
 */
function checkIdMap({ containerPath, idMap, propagation }: ContainerMount, pod: IdMap | undefined): void {
  if (pod !== undefined && propagation === "shared") {
    throw new RuntimeError(
      "invalid-argument",
      `mount at "${containerPath}" has bidirectional propagation: a pod with a user namespace does not mount on the host`,
    );
  }
  if (idMap === undefined || sameIdMap(idMap, pod)) return;
  const reason = pod === undefined ? "the pod has no user namespace" : "it is not the pod's range";
  throw new RuntimeError(
    "invalid-argument",
    `mount at "${containerPath}" is mapped to ${idMap.length} ids from ${idMap.hostId} on: ${reason}`,
  );
}

function accessOption(mount: ContainerMount, host: HostFacts): "rw" | "ro" | "rro" {
  if (!mount.recursiveReadonly) return mount.readonly ? "ro" : "rw";
  if (!mount.readonly) {
    throw new RuntimeError(
      "invalid-argument",
      `mount of "${mount.hostPath}" is recursively read-only but not read-only`,
    );
  }
  if (mount.propagation !== "private") {
    throw new RuntimeError(
      "invalid-argument",
      `mount of "${mount.hostPath}" is recursively read-only: that needs private propagation, not ${mount.propagation}`,
    );
  }
  if (!host.recursiveReadonly) {
    throw new RuntimeError("failed-precondition", "recursive read-only mounts need Linux 5.12");
  }
  return "rro";
}

function depth(path: string): number {
  return path.split("/").length;
}
