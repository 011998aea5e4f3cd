/**
 * Annotations that reach the OCI runtime. Pure. What a user wrote goes there only by a name that the
 * handler's configuration lists exactly; our own say whose container it is, which sandboxed
 * runtimes (gVisor, Kata) need.
 */
import type { PodConfig } from "../../sandbox/config.ts";
import type { ContainerConfig } from "../config.ts";

export interface AnnotationRequest {
  readonly podId: string;
  readonly pod: Pick<PodConfig, "metadata" | "annotations">;
  readonly container: Pick<ContainerConfig, "metadata" | "annotations">;
  readonly imageName: string;
  /** Exact names, of the handler's configuration. */
  readonly allowed: readonly string[];
}

/** Ours win over what a user wrote. */
export function planAnnotations(request: AnnotationRequest): Record<string, string> {
  const { pod, container } = request;
  const annotations: Record<string, string> = {};
  for (const name of request.allowed) {
    const from = Object.hasOwn(container.annotations, name) ? container.annotations : pod.annotations;
    if (Object.hasOwn(from, name)) annotations[name] = from[name] ?? "";
  }
  return {
    ...annotations,
    "io.kubernetes.cri.container-type": "container",
    "io.kubernetes.cri.container-name": container.metadata.name,
    "io.kubernetes.cri.image-name": request.imageName,
    "io.kubernetes.cri.sandbox-id": request.podId,
    "io.kubernetes.cri.sandbox-name": pod.metadata.name,
    "io.kubernetes.cri.sandbox-namespace": pod.metadata.namespace,
    "io.kubernetes.cri.sandbox-uid": pod.metadata.uid,
  };
}
