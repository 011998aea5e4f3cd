/** The host-global names of a daemon, which derive from its root folder (docs/architecture.md, "Instance"). */
import { createHash } from "node:crypto";

export interface InstanceNames {
  /** "" for the default root, else "-" and 8 hex digits. */
  readonly suffix: string;
  readonly bridge: string;
}

export function instanceNames(root: string): InstanceNames {
  if (root === "/var/lib/kobako") return { suffix: "", bridge: "kobako0" };
  const id = createHash("sha256").update(root).digest("hex").slice(0, 8);
  return { suffix: `-${id}`, bridge: `kb${id}` };
}
