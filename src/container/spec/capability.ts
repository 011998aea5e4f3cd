/** Capability sets of a container. Pure. Source: capabilities(7); CRI's Capability message. */
import { RuntimeError } from "../../errors/runtime-error.ts";
import type { OciCapabilities } from "../../oci/runtime-spec.ts";

/** Every capability, by number. Source: include/uapi/linux/capability.h. */
export const capabilityNames: readonly string[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_LINUX_IMMUTABLE",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_BROADCAST",
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
  "CAP_IPC_LOCK",
  "CAP_IPC_OWNER",
  "CAP_SYS_MODULE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
  "CAP_SYS_PACCT",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_NICE",
  "CAP_SYS_RESOURCE",
  "CAP_SYS_TIME",
  "CAP_SYS_TTY_CONFIG",
  "CAP_MKNOD",
  "CAP_LEASE",
  "CAP_AUDIT_WRITE",
  "CAP_AUDIT_CONTROL",
  "CAP_SETFCAP",
  "CAP_MAC_OVERRIDE",
  "CAP_MAC_ADMIN",
  "CAP_SYSLOG",
  "CAP_WAKE_ALARM",
  "CAP_BLOCK_SUSPEND",
  "CAP_AUDIT_READ",
  "CAP_PERFMON",
  "CAP_BPF",
  "CAP_CHECKPOINT_RESTORE",
];

/** What a container has when nothing is added or dropped: the set that containerd and Docker give. */
export const defaultCapabilities: readonly string[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
];

const known: ReadonlySet<string> = new Set(capabilityNames);

export interface CapabilityRequest {
  readonly add: readonly string[];
  readonly drop: readonly string[];
  readonly addAmbient: readonly string[];
  readonly privileged: boolean;
}

/**
 * The five sets. "ALL" is taken first, so that single names still add to or drop from it. What nobody
 * named (the defaults, "ALL", privileged) is cut to what the daemon itself holds; a name that the
 * daemon can't give fails the request. The inheritable set is empty unless ambient capabilities are
 * asked for, which the kernel takes from there.
 * @throws RuntimeError `invalid-argument` for an unknown name, `failed-precondition` for one that
 * this host can't give.
 */
export function capabilitySets(request: CapabilityRequest, held: readonly string[]): OciCapabilities {
  const available = new Set(held);
  if (request.privileged) return sets([...available], ambientNames(request.addAmbient, available));
  const add = names(request.add, "add_capabilities");
  const drop = names(request.drop, "drop_capabilities");
  let base: readonly string[] = defaultCapabilities;
  if (add.all) base = held;
  if (drop.all) base = [];
  const granted = new Set(base.filter((name) => available.has(name)));
  for (const name of add.single) {
    if (!available.has(name)) {
      throw new RuntimeError(
        "failed-precondition",
        `capability ${name} can't be given: the runtime does not hold it`,
      );
    }
    granted.add(name);
  }
  for (const name of drop.single) granted.delete(name);
  return sets([...granted], ambientNames(request.addAmbient, granted));
}

function ambientNames(requested: readonly string[], granted: ReadonlySet<string>): string[] {
  const { all, single } = names(requested, "add_ambient_capabilities");
  if (all) return [...granted];
  for (const name of single) {
    if (!granted.has(name)) {
      throw new RuntimeError(
        "invalid-argument",
        `ambient capability ${name} is not among those that the container has`,
      );
    }
  }
  return single;
}

function sets(granted: readonly string[], ambient: readonly string[]): OciCapabilities {
  return { bounding: granted, effective: granted, permitted: granted, inheritable: ambient, ambient };
}

/** Full names; the prefix may be left out, as CRI does. */
function names(list: readonly string[], field: string): { all: boolean; single: string[] } {
  const single = new Set<string>();
  let all = false;
  for (const entry of list) {
    const upper = entry.toUpperCase();
    if (upper === "ALL") {
      all = true;
      continue;
    }
    const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
    if (!known.has(name)) throw new RuntimeError("invalid-argument", `${field}: "${entry}" is no capability`);
    single.add(name);
  }
  return { all, single: [...single] };
}
