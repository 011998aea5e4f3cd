/** The namespaces that a container gets made or joins by itself. Pure. */
import { RuntimeError } from "../../errors/runtime-error.ts";
import { sameIdMap } from "../../oci/id-map.ts";
import type { OciNamespace } from "../../oci/runtime-spec.ts";
import type { NamespaceMode, NamespaceOptions } from "../../sandbox/config.ts";
import type { HostFacts } from "./facts.ts";

export interface NamespaceRequest {
  readonly container: NamespaceOptions;
  readonly pod: NamespaceOptions;
  readonly privileged: boolean;
  /** Path of the PID namespace of the container that `targetId` names. */
  readonly targetPidNamespace: string | undefined;
}

/**
 * The pod's network, IPC, UTS and shared PID namespaces are entered by the monitor before the runtime
 * is called; a type not listed is inherited; the pod's user namespace is entered where it is listed. So what is listed is new (mount; pid and cgroup where
 * asked) or another container's (pid).
 * @throws RuntimeError `invalid-argument` where container and pod disagree.
 */
export function planNamespaces(request: NamespaceRequest, host: HostFacts): OciNamespace[] {
  const { container, pod } = request;
  atMost("network", container.network, pod.network);
  atMost("ipc", container.ipc, pod.ipc);
  const namespaces: OciNamespace[] = [{ type: "mount" }];
  switch (container.pid) {
    case "container":
      namespaces.push({ type: "pid" });
      break;
    case "target":
      if (!request.targetPidNamespace) {
        throw new RuntimeError(
          "failed-precondition",
          `container "${container.targetId}", whose PID namespace is asked for, does not run`,
        );
      }
      namespaces.push({ type: "pid", path: request.targetPidNamespace });
      break;
    case "pod":
      // Inherited; without one in the pod that would be the host's.
      if (pod.pid === "container") {
        throw new RuntimeError(
          "invalid-argument",
          "namespace_options.pid: the container asks for POD, its pod has CONTAINER",
        );
      }
      break;
    case "node":
      atMost("pid", "node", pod.pid);
      break;
  }
  checkUser(container, pod);
  if (pod.user === "pod") namespaces.push({ type: "user" });
  // As containerd and CRI-O: v1 has no delegation to hide, and privileged containers see the host's tree.
  if (host.cgroupVersion === 2 && !request.privileged) namespaces.push({ type: "cgroup" });
  return namespaces;
}

/** Its processes are in the pod's user namespace, whatever it says: another one than that is refused. */
function checkUser(container: NamespaceOptions, pod: NamespaceOptions): void {
  if (container.user === undefined) return;
  if (container.user === (pod.user ?? "node") && sameIdMap(container.idMap, pod.idMap)) return;
  const text = ({ user, idMap }: NamespaceOptions) =>
    user === "pod" && idMap !== undefined ? `POD with ${idMap.length} ids from ${idMap.hostId} on` : "NODE";
  throw new RuntimeError(
    "invalid-argument",
    `namespace_options.userns_options: the container asks for ${text(container)}, its pod has ${text(pod)}`,
  );
}

/** A container is where its pod is: POD means that, NODE must be what the pod has. */
function atMost(name: string, container: NamespaceMode, pod: NamespaceMode): void {
  if (container === "pod" || (container === "node" && pod === "node")) return;
  throw new RuntimeError(
    "invalid-argument",
    `namespace_options.${name}: the container asks for ${container.toUpperCase()}, its pod has ${pod.toUpperCase()}`,
  );
}
