import { describe, expect, it } from "vitest";
import { defaultCapabilities } from "./capability.ts";
import { parseSeccompProfile } from "./seccomp-file.ts";
import { allowedSocketFamilies, defaultSeccomp } from "./seccomp-profile.ts";

const profile = defaultSeccomp("x64", defaultCapabilities);
const rulesOf = (name: string, from = profile) =>
  (from.syscalls ?? []).filter(({ names }) => names.includes(name));
const allowed = (name: string, from = profile) =>
  rulesOf(name, from).some(({ action, args }) => action === "SCMP_ACT_ALLOW" && !args);

describe("the default profile (K1)", () => {
  it("refuses with EPERM what it does not name", () => {
    expect(profile).toMatchObject({ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 1 });
    expect(profile.architectures).toEqual(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]);
    expect(defaultSeccomp("arm64", []).architectures).toEqual(["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]);
  });

  it.each(
    `io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key userfaultfd bpf perf_event_open
    unshare setns mount umount2 move_mount open_tree fsopen pivot_root open_by_handle_at kexec_load kexec_file_load
    init_module finit_module delete_module reboot swapon swapoff settimeofday clock_settime iopl ioperm nfsservctl
    quotactl syslog acct vhangup sethostname setdomainname kcmp pidfd_getfd lookup_dcookie uselib ustat sysfs _sysctl
    vm86 vm86old move_pages migrate_pages mbind set_mempolicy get_mempolicy process_madvise fanotify_init clone3
    create_module get_kernel_syms query_module`.split(/\s+/),
  )("does not allow %s", (name) => {
    expect(rulesOf(name).filter(({ action }) => action === "SCMP_ACT_ALLOW")).toEqual([]);
  });

  it("allows socket for listed families only: no AF_ALG, no AF_VSOCK, none that is not known", () => {
    const families = rulesOf("socket").map(({ args }) =>
      args?.map(({ index, op, value }) => [index, op, value]),
    );
    expect(families).toEqual(
      Object.values(allowedSocketFamilies).map((family) => [[0, "SCMP_CMP_EQ", family]]),
    );
    for (const family of [0, 38, 40, 46]) expect(Object.values(allowedSocketFamilies)).not.toContain(family);
  });

  it("answers socketcall with ENOSYS before any rule on socket, so that no family slips through", () => {
    expect(profile.syscalls?.[0]).toEqual({ names: ["socketcall"], action: "SCMP_ACT_ERRNO", errnoRet: 38 });
  });

  it("allows clone without namespaces, and answers clone3 with ENOSYS", () => {
    expect(rulesOf("clone")).toEqual([
      {
        names: ["clone"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 0, value: 0x7e020000, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
      },
    ]);
    expect(rulesOf("clone3")).toEqual([{ names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38 }]);
  });

  it.each([
    ["CAP_SYS_ADMIN", ["mount", "unshare", "setns", "clone", "clone3", "bpf"]],
    ["CAP_SYS_TIME", ["settimeofday", "clock_settime"]],
    ["CAP_SYS_MODULE", ["init_module"]],
    ["CAP_SYS_NICE", ["mbind", "set_mempolicy"]],
    ["CAP_SYS_PTRACE", ["kcmp", "pidfd_getfd"]],
    ["CAP_BPF", ["bpf"]],
    ["CAP_PERFMON", ["perf_event_open"]],
    ["CAP_DAC_READ_SEARCH", ["open_by_handle_at"]],
    ["CAP_SYS_CHROOT", ["chroot"]],
    ["CAP_SYSLOG", ["syslog"]],
  ])("allows with %s what needs it", (capability, names) => {
    for (const name of names) {
      expect(allowed(name, defaultSeccomp("x64", []))).toBe(false);
      expect(allowed(name, defaultSeccomp("x64", [capability]))).toBe(true);
    }
  });

  it("adds nothing for the default capabilities but chroot", () => {
    const names = (from: typeof profile) => new Set((from.syscalls ?? []).flatMap((rule) => rule.names));
    expect([...names(profile).difference(names(defaultSeccomp("x64", [])))]).toEqual(["chroot"]);
  });

  it("names each call once per rule, in an order that does not change", () => {
    const big = profile.syscalls?.[1]?.names ?? [];
    expect(new Set(big).size).toBe(big.length);
    expect(JSON.stringify(defaultSeccomp("x64", ["CAP_BPF", "CAP_CHOWN"]))).toBe(
      JSON.stringify(defaultSeccomp("x64", ["CAP_CHOWN", "CAP_BPF"])),
    );
  });
});

describe("a profile from a file", () => {
  const target = { arch: "x64", bounding: ["CAP_CHOWN"], kernel: "6.1.0" } as const;
  const parse = (json: unknown) =>
    parseSeccompProfile(typeof json === "string" ? json : JSON.stringify(json), "/p.json", target);
  const rule = (more: object) => ({ names: ["chmod"], action: "SCMP_ACT_ERRNO", ...more });
  const base = { defaultAction: "SCMP_ACT_ALLOW" };

  it("is read in the OCI form", () => {
    const json = {
      ...base,
      defaultErrnoRet: 38,
      architectures: ["SCMP_ARCH_X86_64"],
      flags: ["SECCOMP_FILTER_FLAG_LOG"],
      syscalls: [
        rule({ errnoRet: 13, args: [{ index: 1, value: 7, valueTwo: 3, op: "SCMP_CMP_MASKED_EQ" }] }),
      ],
    };
    expect(parse(json)).toEqual(json);
  });

  it("is read in Docker's form, its conditions settled for this container", () => {
    const conditions = [
      [{ includes: { caps: ["CAP_CHOWN"] } }, 1],
      [{ includes: { caps: ["CAP_CHOWN", "CAP_SYS_ADMIN"] } }, 0],
      [{ excludes: { caps: ["CAP_CHOWN"] } }, 0],
      [{ excludes: { caps: ["CAP_SYS_ADMIN"] } }, 1],
      [{ includes: { arches: ["amd64", "x32"] } }, 1],
      [{ includes: { arches: ["s390x"] } }, 0],
      [{ excludes: { arches: ["amd64"] } }, 0],
      [{ includes: { minKernel: "4.8" } }, 1],
      [{ includes: { minKernel: "6.2" } }, 0],
      [{ excludes: { minKernel: "4.8" } }, 0],
      [{ comment: "x", includes: {}, excludes: null, args: null }, 1],
    ] as const;
    for (const [condition, expected] of conditions) {
      expect(
        parse({ ...base, syscalls: [rule(condition)] }).syscalls,
        JSON.stringify(condition),
      ).toHaveLength(expected);
    }
    const archMap = [
      { architecture: "SCMP_ARCH_AARCH64", subArchitectures: ["SCMP_ARCH_ARM"] },
      { architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86"] },
    ];
    expect(parse({ ...base, archMap }).architectures).toEqual(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
    expect(
      parse({ ...base, syscalls: [{ name: "chmod", action: "SCMP_ACT_ERRNO" }] }).syscalls?.[0]?.names,
    ).toEqual(["chmod"]);
  });

  it.each([
    ["no JSON", "{"],
    ["a list", []],
    ["no default action", {}],
    ["an unknown action", { defaultAction: "SCMP_ACT_NOPE" }],
    ["an action that waits for a listener", { defaultAction: "SCMP_ACT_NOTIFY" }],
    ["a listener", { ...base, listenerPath: "/x" }],
    ["an unknown flag", { ...base, flags: ["X"] }],
    ["calls that are no list", { ...base, syscalls: {} }],
    ["a rule without names", { ...base, syscalls: [{ action: "SCMP_ACT_ERRNO" }] }],
    ["an empty name", { ...base, syscalls: [rule({ names: [""] })] }],
    ["a name that is no text", { ...base, syscalls: [rule({ names: [1] })] }],
    ["an unknown comparison", { ...base, syscalls: [rule({ args: [{ index: 0, value: 0, op: "EQ" }] })] }],
    [
      "a seventh argument",
      { ...base, syscalls: [rule({ args: [{ index: 6, value: 0, op: "SCMP_CMP_EQ" }] })] },
    ],
    [
      "a number that JSON can't hold",
      `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":18446744073709551615,"op":"SCMP_CMP_EQ"}]}]}`,
    ],
    ["a negative errno", { ...base, defaultErrnoRet: -1 }],
    ["an odd architecture", { ...base, architectures: ["x86"] }],
    [
      "both lists of architectures",
      { ...base, architectures: ["SCMP_ARCH_X86"], archMap: [{ architecture: "SCMP_ARCH_X86_64" }] },
    ],
    ["an odd kernel version", { ...base, syscalls: [rule({ includes: { minKernel: "new" } })] }],
    ["too many rules", { ...base, syscalls: Array.from({ length: 10_001 }, () => rule({})) }],
  ])("is refused with %s", (_, json) => {
    expect(() => parse(json)).toThrow(
      expect.objectContaining({
        kind: "invalid-argument",
        message: expect.stringMatching(/^seccomp profile \/p\.json/),
      }),
    );
  });
});
