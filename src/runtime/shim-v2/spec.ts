/**
 * The OCI specs of a shim's containers. Pure.
 * The builtin runtime finds the pod's namespaces entered already; a shim makes containers from the host, so they
 * are named by path. A sandboxed shim (gVisor, VMs) has its own inside: only the network is the host's affair.
 */
import type { OciNamespace, OciSpec } from "../../oci/runtime-spec.ts";
import type { SandboxNamespaces } from "../handler.ts";

/** Paths of what the monitor holds for the pod; undefined: the host's. */
export interface PodNamespacePaths {
  readonly network: string | undefined;
  readonly ipc: string | undefined;
  readonly uts: string | undefined;
  /** The shared PID namespace. */
  readonly pid: string | undefined;
}

/** The spec of a container as its shim gets it. `shm`: where the pod's /dev/shm is found. */
export function shimSpec(
  spec: OciSpec,
  paths: PodNamespacePaths,
  sandboxed: boolean,
  shm: string | undefined,
): OciSpec {
  const namespaces = [...spec.linux.namespaces];
  const add = (type: OciNamespace["type"], path: string | undefined) => {
    if (path !== undefined && !namespaces.some((ns) => ns.type === type)) namespaces.push({ type, path });
  };
  add("network", paths.network);
  if (sandboxed) {
    for (const type of ["ipc", "uts"] as const)
      if (paths[type] !== undefined && !namespaces.some((ns) => ns.type === type)) namespaces.push({ type });
  } else {
    add("ipc", paths.ipc);
    add("uts", paths.uts);
    add("pid", paths.pid);
  }
  return {
    ...spec,
    mounts: spec.mounts.map((mount) =>
      shm !== undefined && mount.destination === "/dev/shm"
        ? { destination: "/dev/shm", type: "bind", source: shm, options: ["rbind", "rw"] }
        : mount,
    ),
    linux: { ...spec.linux, namespaces },
  };
}

export interface SandboxContainer {
  readonly id: string;
  readonly hostname: string;
  readonly namespaces: SandboxNamespaces;
  readonly paths: PodNamespacePaths;
  readonly cgroupsPath: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly sysctls: Readonly<Record<string, string>>;
}

const noCapabilities = { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] };

/** The container that stands for the sandbox: a program that waits, with nothing of the host. */
export function sandboxSpec(sandbox: SandboxContainer): OciSpec {
  const { id, hostname, namespaces, paths, cgroupsPath, annotations, sysctls } = sandbox;
  const list: OciNamespace[] = [{ type: "mount" }];
  if (namespaces.pid !== "host") list.push({ type: "pid" });
  if (namespaces.ipc === "pod") list.push({ type: "ipc" });
  if (namespaces.uts === "pod") list.push({ type: "uts" });
  if (paths.network !== undefined) list.push({ type: "network", path: paths.network });
  return {
    ociVersion: "1.0.2",
    process: {
      user: { uid: 65535, gid: 65535 },
      args: ["/pause"],
      env: ["PATH=/"],
      cwd: "/",
      capabilities: noCapabilities,
      noNewPrivileges: true,
      oomScoreAdj: 0,
    },
    root: { path: "rootfs", readonly: true },
    ...(namespaces.uts === "pod" && hostname !== "" ? { hostname } : {}),
    mounts: [
      { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755"] },
    ],
    annotations: {
      ...annotations,
      "io.kubernetes.cri.container-type": "sandbox",
      "io.kubernetes.cri.sandbox-id": id,
    },
    linux: {
      namespaces: list,
      cgroupsPath,
      resources: { cpu: { shares: 2 }, devices: [{ allow: false, access: "rwm" }] },
      sysctl: sysctls,
      maskedPaths: [],
      readonlyPaths: [],
    },
  };
}
