/** Hidden and read-only paths, seccomp, AppArmor and SELinux of a container. Pure. */
import { RuntimeError } from "../../errors/runtime-error.ts";
import type { OciSeccomp } from "../../oci/runtime-spec.ts";
import type { SeccompProfile, SelinuxLabel } from "../../sandbox/config.ts";
import type { ContainerSecurity } from "../config.ts";
import type { HostFacts, RequestFacts } from "./facts.ts";
import { parseSeccompProfile } from "./seccomp-file.ts";
import { defaultSeccomp } from "./seccomp-profile.ts";

const hidden: readonly string[] = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
];

const readonly: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];

/** What a container may not read when the request says nothing. */
export function defaultMaskedPaths(possibleCpus: number): string[] {
  const throttle = Array.from(
    { length: possibleCpus },
    (_, n) => `/sys/devices/system/cpu/cpu${n}/thermal_throttle`,
  );
  return [...hidden, ...throttle];
}

/**
 * The paths to hide and to make read-only. A request's lists stand as they are; with none of both the
 * defaults do, so that a client other than a kubelet is safe too. (A kubelet sends empty lists only
 * for `procMount: Unmasked`, which takes a user namespace.) Privileged: none.
 */
export function protectedPaths(
  security: Pick<ContainerSecurity, "privileged" | "maskedPaths" | "readonlyPaths" | "namespaces">,
  host: HostFacts,
): { maskedPaths: readonly string[]; readonlyPaths: readonly string[] } {
  if (security.privileged) return { maskedPaths: [], readonlyPaths: [] };
  const { maskedPaths, readonlyPaths } = security;
  for (const path of [...maskedPaths, ...readonlyPaths]) {
    if (!path.startsWith("/") || path.includes("\0")) {
      throw new RuntimeError("invalid-argument", `masked or read-only path "${path}" is not absolute`);
    }
  }
  const unspecified =
    maskedPaths.length === 0 && readonlyPaths.length === 0 && security.namespaces.user !== "pod";
  if (!unspecified) return { maskedPaths, readonlyPaths };
  return { maskedPaths: defaultMaskedPaths(host.possibleCpus), readonlyPaths: readonly };
}

/**
 * The filter, or undefined for none. A privileged container has none, whatever it asks for, as with
 * every peer; no profile at all means none too (critest holds runtimes to it; a kubelet always says).
 * @throws RuntimeError `failed-precondition` when the kernel has no seccomp, `invalid-argument` for a
 * file that holds no profile.
 */
export function planSeccomp(
  profile: SeccompProfile | undefined,
  privileged: boolean,
  bounding: readonly string[],
  host: HostFacts,
  facts: Pick<RequestFacts, "seccompFile">,
): OciSeccomp | undefined {
  if (privileged || !profile || profile.type === "unconfined") return undefined;
  if (!host.seccomp)
    throw new RuntimeError(
      "failed-precondition",
      "a seccomp profile is asked for, this kernel has no seccomp",
    );
  if (profile.type === "runtime-default") return defaultSeccomp(host.arch, bounding);
  if (facts.seccompFile === undefined) {
    throw new RuntimeError("internal", `seccomp profile ${profile.path} was not read`);
  }
  return parseSeccompProfile(facts.seccompFile, profile.path, {
    arch: host.arch,
    kernel: host.kernel,
    bounding,
  });
}

/**
 * The AppArmor profile, undefined for none. Only a profile asked for by name fails where it can't be
 * applied: the default one is what the host can do.
 * @throws RuntimeError `invalid-argument` for an unknown form, `failed-precondition` without AppArmor.
 */
export function planApparmor(
  profile: string,
  privileged: boolean,
  host: HostFacts,
  warnings: string[],
): string | undefined {
  if (profile === "unconfined") return host.apparmor ? "unconfined" : undefined;
  if (profile === "" || profile === "runtime/default") {
    if (host.apparmor && !privileged)
      warnings.push(
        "no default AppArmor profile is loaded by this runtime: the container is unconfined by it",
      );
    return undefined;
  }
  const name = /^localhost\/(.+)$/.exec(profile)?.[1];
  if (name === undefined || /[\0\n]/.test(name)) {
    throw new RuntimeError(
      "invalid-argument",
      `AppArmor profile "${profile}" is none of runtime/default, unconfined, localhost/NAME`,
    );
  }
  if (!host.apparmor) {
    throw new RuntimeError(
      "failed-precondition",
      `AppArmor profile "${name}" is asked for, this kernel has no AppArmor`,
    );
  }
  return name;
}

export interface SelinuxPlan {
  readonly processLabel: string | undefined;
  readonly mountLabel: string | undefined;
}

/**
 * The SELinux labels. Where the kernel has no SELinux a label is not applied and a warning says so:
 * common manifests carry labels for all hosts, and no policy is there that it could have held to.
 * @throws RuntimeError `invalid-argument` for a level that is none.
 */
export function planSelinux(
  label: SelinuxLabel | undefined,
  privileged: boolean,
  host: HostFacts,
  warnings: string[],
): SelinuxPlan {
  const none = { processLabel: undefined, mountLabel: undefined };
  if (!label) return none;
  for (const [field, value] of Object.entries(label)) {
    const form =
      field === "level" ? /^(s\d+(-s\d+)?(:c\d+(\.c\d+)?(,c\d+(\.c\d+)?)*)?)?$/ : /^[A-Za-z0-9_.-]*$/;
    if (!form.test(value))
      throw new RuntimeError("invalid-argument", `selinux_options.${field} "${value}" is malformed`);
  }
  if (!host.selinux) {
    warnings.push("the SELinux label is not applied: this kernel has no SELinux");
    return none;
  }
  if (privileged) return none;
  const level = label.level || "s0";
  return {
    processLabel: `${label.user || "system_u"}:${label.role || "system_r"}:${label.type || "container_t"}:${level}`,
    mountLabel: `${label.user || "system_u"}:object_r:container_file_t:${level}`,
  };
}
