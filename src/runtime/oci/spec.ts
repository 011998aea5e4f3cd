/**
 * From the config.json of the linked runtime to that of an external one. Pure.
 * The linked one is called inside the pod's namespaces and gets the pod's /dev/shm by descriptor; an external program
 * finds both by path, in the mount namespace that the monitor made for the container: `<bundle>/ns/<kind>`,
 * `<bundle>/shm`, and `<bundle>/share-<n>` for sources that keep the host's propagation.
 */
import { RuntimeError } from "../../errors/runtime-error.ts";
import type { OciMount, OciNamespace, OciSeccomp, OciSpec } from "../../oci/runtime-spec.ts";
import type { CreateRequest, SandboxNamespaces } from "../handler.ts";
import { compareVersions, type ProgramKind } from "./program.ts";

export interface ExternalRequest {
  readonly request: Pick<CreateRequest, "spec" | "bundle" | "shm">;
  readonly namespaces: SandboxNamespaces;
  readonly kind: ProgramKind;
  /** The highest that the program takes. */
  readonly ociVersion: string;
  /** The lowest score that this host lets anybody set. */
  readonly oomScoreAdjMin: number;
  /** The program is told to have systemd make the cgroup: its path is that of a scope in a slice. */
  readonly systemdCgroup: boolean;
  /** The kernel has the x32 ABI. */
  readonly x32: boolean;
}

/** A tree of the host that the monitor clones before it enters the container's mount namespace. */
export interface Share {
  readonly source: string;
  readonly target: string;
}

export interface ExternalSpec {
  readonly spec: OciSpec;
  readonly shares: readonly Share[];
}

export function externalSpec(input: ExternalRequest): ExternalSpec {
  const { request, ociVersion, oomScoreAdjMin } = input;
  const { spec, bundle } = request;
  const { mounts, shares } = planMounts(spec.mounts, bundle, request.shm);
  const { oomScoreAdj } = spec.process;
  return {
    shares,
    spec: {
      ...spec,
      ociVersion: compareVersions(spec.ociVersion, ociVersion) > 0 ? ociVersion : spec.ociVersion,
      // A program that may not lower it would refuse the container; the linked one goes on with a warning.
      process: { ...spec.process, oomScoreAdj: Math.max(oomScoreAdj, oomScoreAdjMin) },
      mounts,
      linux: {
        ...spec.linux,
        cgroupsPath: planCgroup(spec.linux.cgroupsPath, input),
        namespaces: planNamespaces(spec.linux.namespaces, input),
        ...(spec.linux.seccomp === undefined ? {} : { seccomp: planSeccomp(spec.linux.seccomp, input) }),
      },
    },
  };
}

/**
 * Half of the time that libseccomp takes for a filter goes to the third ABI of x86-64, at each create and exec of runc.
 * Few kernels have it. Where there is none its calls are refused as those of a foreign architecture: SIGSYS, not ENOSYS.
 */
function planSeccomp(seccomp: OciSeccomp, { x32 }: ExternalRequest): OciSeccomp {
  if (x32 || seccomp.architectures === undefined) return seccomp;
  return { ...seccomp, architectures: seccomp.architectures.filter((name) => name !== "SCMP_ARCH_X32") };
}

function planCgroup(path: string, { kind, systemdCgroup }: ExternalRequest): string {
  // gVisor would make a cgroup that nothing is ever in: who looks for usage there reads that there is none.
  if (kind === "runsc") return "";
  return systemdCgroup ? systemdPath(path) : path;
}

/**
 * "/a.slice/a-b.slice/prefix-name.scope" as runc, crun and youki name it for systemd: "a-b.slice:prefix:name".
 * @throws RuntimeError `invalid-argument` for what is no scope in a slice.
 */
export function systemdPath(cgroup: string): string {
  const parts = /^\/(?:[^/]+\/)*([^/:]+\.slice)\/([^/:-]+)-([^/:]+)\.scope$/.exec(cgroup);
  if (parts === null)
    throw new RuntimeError("invalid-argument", `cgroup ${JSON.stringify(cgroup)} is no scope in a slice`);
  return parts.slice(1).join(":");
}

/** What the linked runtime inherits is joined by path; the host's is left out, which means the same to both. */
function planNamespaces(
  own: readonly OciNamespace[],
  { namespaces, request, kind }: ExternalRequest,
): readonly OciNamespace[] {
  const at = (name: string) => `${request.bundle}/ns/${name}`;
  const all = own.map(
    (one): OciNamespace => (one.type === "user" ? { type: "user", path: at("user") } : one),
  );
  if (namespaces.network === "pod") all.push({ type: "network", path: at("net") });
  if (kind === "runsc") return all; // what else there is is its sandbox's own
  if (namespaces.ipc === "pod") all.push({ type: "ipc", path: at("ipc") });
  if (namespaces.uts === "pod") all.push({ type: "uts", path: at("uts") });
  const hasPid = own.some(({ type }) => type === "pid");
  if (!hasPid && namespaces.pid === "pod") all.push({ type: "pid", path: at("pid") });
  return all;
}

function planMounts(
  mounts: readonly OciMount[],
  bundle: string,
  shm: boolean,
): { mounts: OciMount[]; shares: Share[] } {
  const shares: Share[] = [];
  const planned = mounts.map((mount): OciMount => {
    if (mount.type !== "bind" || mount.source === undefined || !mount.options?.includes("rshared"))
      return mount;
    const target = `${bundle}/share-${shares.length}`;
    shares.push({ source: mount.source, target });
    return { ...mount, source: target };
  });
  if (!shm) return { mounts: planned, shares };
  const options = ["rbind", "rprivate", "nosuid", "noexec", "nodev", "rw"];
  const place = planned.findIndex(({ destination }) => destination === "/dev/mqueue");
  // After /dev, before what a request mounts below it.
  planned.splice(place < 0 ? planned.length : place + 1, 0, {
    destination: "/dev/shm",
    type: "bind",
    source: `${bundle}/shm`,
    options,
  });
  return { mounts: planned, shares };
}
