/** What a pod asks of its network, and how plugins are told. Pure. */
import { RuntimeError } from "../errors/runtime-error.ts";
import type { JsonObject } from "../oci/document.ts";
import { isPlainName } from "./conflist.ts";

export interface PortMapping {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly containerPort: number;
  /** 0: not published. */
  readonly hostPort: number;
  /** "": every address of the node. */
  readonly hostIp: string;
}

export interface PodAttachmentRequest {
  readonly sandboxId: string;
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly netnsPath: string;
  readonly portMappings: readonly PortMapping[];
  readonly dns?:
    | {
        readonly servers: readonly string[];
        readonly searches: readonly string[];
        readonly options: readonly string[];
      }
    | undefined;
  readonly annotations: Readonly<Record<string, string>>;
  /** cgroup of the pod; "": none. */
  readonly cgroupParent: string;
}

/** CNI_ARGS as kubelets' runtimes have always given them. */
export function cniArgs(request: PodAttachmentRequest): string {
  const pairs = {
    IgnoreUnknown: "1",
    K8S_POD_NAMESPACE: request.namespace,
    K8S_POD_NAME: request.name,
    K8S_POD_INFRA_CONTAINER_ID: request.sandboxId,
    K8S_POD_UID: request.uid,
  };
  for (const [key, value] of Object.entries(pairs)) {
    if (/[;=\0\n]/.test(value))
      throw new RuntimeError(
        "invalid-argument",
        `${key} can't be given to CNI plugins: ${JSON.stringify(value)}`,
      );
  }
  if (!isPlainName(request.sandboxId))
    throw new RuntimeError("invalid-argument", "sandbox id is no plain name");
  return Object.entries(pairs)
    .map(([key, value]) => `${key}=${value}`)
    .join(";");
}

/** Capability arguments (CNI CONVENTIONS.md); each plugin is told those that it asks for. */
export function capabilities(request: PodAttachmentRequest, ports: readonly PortMapping[]): JsonObject {
  const { dns, annotations, cgroupParent } = request;
  const portMappings = ports.map(({ protocol, containerPort, hostPort, hostIp }) => ({
    protocol,
    containerPort,
    hostPort,
    hostIP: hostIp,
  }));
  return {
    ...(portMappings.length > 0 ? { portMappings } : {}),
    ...(dns === undefined ? {} : { dns }),
    ...(cgroupParent === "" ? {} : { cgroupPath: cgroupParent }),
    "io.kubernetes.cri.pod-annotations": annotations,
  };
}
