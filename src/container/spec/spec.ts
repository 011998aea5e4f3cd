/**
 * From a request, an image and facts to the OCI configuration of one container.
 * Enters: plain values; what must be looked up on the host comes from host.ts beforehand.
 * Leaves: a value that is written to config.json as it is, and warnings for the log.
 * Never: touches a file, or leaves out silently what was asked for: it fails or warns.
 */
import { posix } from "node:path";
import { RuntimeError } from "../../errors/runtime-error.ts";
import { type IdMap, ociMappings } from "../../oci/id-map.ts";
import type { OciSpec } from "../../oci/runtime-spec.ts";
import type { PodConfig } from "../../sandbox/config.ts";
import type { ContainerConfig } from "../config.ts";
import { planAnnotations } from "./annotation.ts";
import { capabilitySets } from "./capability.ts";
import { planDevices } from "./device.ts";
import type { HostFacts, RequestFacts } from "./facts.ts";
import { type PodFiles, planMounts } from "./mount.ts";
import { planNamespaces } from "./namespace.ts";
import { type ImageDefaults, processArgs, processCwd, processEnv } from "./process.ts";
import { oomScoreAdj, planResources } from "./resources.ts";
import { planApparmor, planSeccomp, planSelinux, protectedPaths } from "./security.ts";

/** Nothing later is used, so runtimes of any age in use take it. */
export const ociVersion = "1.1.0";

export interface SpecUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly home: string;
}

export interface ContainerSpecInput {
  readonly id: string;
  readonly podId: string;
  readonly pod: PodConfig;
  readonly container: ContainerConfig;
  readonly image: ImageDefaults;
  /** As resolved inside the container's root. */
  readonly user: SpecUser;
  readonly files: PodFiles;
  /** cgroupfs: "/a/b"; systemd: "slice:prefix:name". */
  readonly cgroupsPath: string;
  /** With pid = "target": /proc/<pid>/ns/pid of that container. */
  readonly targetPidNamespace?: string | undefined;
  /** Annotation names that the handler may see. */
  readonly allowedAnnotations?: readonly string[];
  readonly host: HostFacts;
  readonly facts: RequestFacts;
}

export interface ContainerSpec {
  readonly spec: OciSpec;
  /** What could not be applied and is no reason to fail, as sentences. */
  readonly warnings: readonly string[];
}

/**
 * Builds the configuration: what containerd and CRI-O give for the same request.
 * The root filesystem is at `rootfs` in the bundle. Sysctls, hostname and /dev/shm are the pod's:
 * the monitor has made them.
 * @throws RuntimeError `invalid-argument` naming the field, `failed-precondition` for what this host
 * can't do, `unimplemented`.
 */
export function containerSpec(input: ContainerSpecInput): ContainerSpec {
  const { pod, container, image, user, host, facts } = input;
  const { security } = container;
  const { privileged } = security;
  if (privileged && !pod.privileged) {
    throw new RuntimeError("invalid-argument", "a privileged container needs a privileged sandbox");
  }
  const warnings: string[] = [];
  const capabilities = capabilitySets(
    {
      add: security.addCapabilities,
      drop: security.dropCapabilities,
      addAmbient: security.addAmbientCapabilities,
      privileged,
    },
    host.capabilities,
  );
  const hostIpc = pod.namespaces.ipc === "node";
  const { idMap } = pod.namespaces;
  const { mounts, rootfsPropagation } = planMounts(
    {
      mounts: container.mounts,
      sources: facts.sources,
      files: input.files,
      privileged,
      readonlyRootfs: security.readonlyRootfs,
      hostIpc,
      idMap,
    },
    host,
  );
  const { devices, rules } = planDevices({
    devices: container.devices,
    nodes: facts.devices,
    privileged,
    hostDevices: facts.hostDevices,
  });
  const limits = planResources(container.resources, host);
  warnings.push(...limits.warnings);
  const seccomp = planSeccomp(security.seccomp, privileged, capabilities.bounding, host, facts);
  const apparmorProfile = planApparmor(security.apparmorProfile, privileged, host, warnings);
  const selinux = planSelinux(security.selinux ?? pod.selinux, privileged, host, warnings);
  const hostname = pod.hostname || host.hostname;
  return {
    warnings,
    spec: {
      ociVersion,
      process: {
        terminal: container.tty,
        user: checkedUser(user, idMap),
        args: processArgs(container.command, container.args, image),
        env: processEnv({
          image: image.env,
          request: container.envs,
          hostname,
          home: user.home,
          tty: container.tty,
        }),
        cwd: processCwd(container.workingDir, image.workingDir),
        capabilities,
        noNewPrivileges: security.noNewPrivs,
        oomScoreAdj: oomScoreAdj(container.resources),
        ...(apparmorProfile === undefined ? {} : { apparmorProfile }),
        ...(selinux.processLabel === undefined ? {} : { selinuxLabel: selinux.processLabel }),
      },
      root: { path: "rootfs", readonly: security.readonlyRootfs },
      mounts,
      annotations: planAnnotations({
        podId: input.podId,
        pod,
        container,
        imageName: container.userSpecifiedImage || container.image,
        allowed: input.allowedAnnotations ?? [],
      }),
      linux: {
        namespaces: planNamespaces(
          {
            container: security.namespaces,
            pod: pod.namespaces,
            privileged,
            targetPidNamespace: input.targetPidNamespace,
          },
          host,
        ),
        ...(idMap === undefined ? {} : ociMappings(idMap)),
        ...(devices.length > 0 ? { devices } : {}),
        cgroupsPath: checkedCgroup(input.cgroupsPath),
        resources: { ...limits.resources, devices: rules },
        ...(rootfsPropagation === undefined ? {} : { rootfsPropagation }),
        ...(seccomp === undefined ? {} : { seccomp }),
        ...protectedPaths(security, host),
        ...(selinux.mountLabel === undefined ? {} : { mountLabel: selinux.mountLabel }),
      },
    },
  };
}

/** The largest uid and gid: beyond it programs that count in 32 bits with a sign see a negative one. */
const maxId = 2 ** 31 - 1;

function checkedUser(
  { uid, gid, additionalGids }: SpecUser,
  idMap: IdMap | undefined,
): { uid: number; gid: number; additionalGids: number[] } {
  for (const id of [uid, gid, ...additionalGids]) {
    if (!Number.isInteger(id) || id < 0 || id > maxId) {
      throw new RuntimeError("invalid-argument", `user or group id ${id} is not from 0 to ${maxId}`);
    }
    if (idMap !== undefined && id >= idMap.length) {
      throw new RuntimeError(
        "invalid-argument",
        `user or group id ${id} is not in the pod's user namespace, which has ${idMap.length} ids`,
      );
    }
  }
  return { uid, gid, additionalGids: [...new Set([gid, ...additionalGids])] };
}

function checkedCgroup(path: string): string {
  const plain = path.startsWith("/") && path !== "/" && posix.normalize(path) === path;
  const systemd = /^[^/:]*\.slice:[^/:]*:[^/:]+$/.test(path);
  if (!plain && !systemd)
    throw new RuntimeError("invalid-argument", `cgroup "${path}" is no path of a cgroup`);
  return path;
}

export { usesPodShm } from "./mount.ts";
