/** Annotations of a container that a runtime makes for the sandbox itself. Pure. */
import type { Sandbox } from "./sandbox.ts";

/** What a user wrote only by a name that is allowed exactly; our own say whose sandbox it is, and win. */
export function sandboxAnnotations(
  { id, config }: Pick<Sandbox, "id" | "config">,
  allowed: readonly string[],
): Record<string, string> {
  const { name, namespace, uid } = config.metadata;
  const asked = allowed.filter((key) => Object.hasOwn(config.annotations, key));
  return {
    ...Object.fromEntries(asked.map((key) => [key, config.annotations[key] ?? ""])),
    "io.kubernetes.cri.container-type": "sandbox",
    "io.kubernetes.cri.sandbox-id": id,
    "io.kubernetes.cri.sandbox-name": name,
    "io.kubernetes.cri.sandbox-namespace": namespace,
    "io.kubernetes.cri.sandbox-uid": uid,
  };
}
