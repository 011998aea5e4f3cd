import { createHash } from "node:crypto";

/** The root that a packaged kobako uses; its host-global names are the plain ones. */
export const defaultRoot = "/var/lib/kobako";

/**
 * Every name that a daemon puts into a space shared by the whole host. They derive from the root
 * folder, so that daemons on different roots live side by side and each finds its own again.
 */
export interface InstanceNames {
  /** "" for the default root, else "-" and 8 hex digits. */
  readonly suffix: string;
  /** Bridge of the embedded network; a link name has 15 bytes at most. */
  readonly bridge: string;
  /** Path of a network namespace's pin, less "-" and the pod's short id. */
  readonly netnsPrefix: string;
  /** cgroup below each hierarchy's root: `monitors`, and `pods` for pods without a parent of their own. */
  readonly cgroupRoot: string;
}

export function instanceNames(root: string): InstanceNames {
  const id = createHash("sha256").update(root).digest("hex").slice(0, 8);
  const suffix = root === defaultRoot ? "" : `-${id}`;
  return {
    suffix,
    bridge: root === defaultRoot ? "kobako0" : `kb${id}`,
    netnsPrefix: `/run/netns/kobako${suffix}`,
    cgroupRoot: `/kobako${suffix}`,
  };
}
