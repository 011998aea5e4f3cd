/** Rows K1-K4 of the security bar: system calls, profiles that are no profiles, sysctls, devices. */
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { makeCanary } from "../../support/canary.ts";
import { program } from "../../support/programs.ts";
import type { Bundle, Spec } from "../../integration/oci/bundle.ts";
import { bothWays } from "./ways.ts";

const architectures = [
  "SCMP_ARCH_X86_64",
  "SCMP_ARCH_X86",
  "SCMP_ARCH_X32",
  "SCMP_ARCH_AARCH64",
  "SCMP_ARCH_ARM",
];
const refused = [
  "io_uring_setup",
  "keyctl",
  "add_key",
  "userfaultfd",
  "bpf",
  "unshare",
  "kexec_load",
  "init_module",
  "perf_event_open",
  "open_by_handle_at",
  "mount",
  "ptrace",
];

/** What a default profile refuses, by name; sockets of two families by their argument. */
function profile(): Record<string, unknown> {
  const family = (value: number) => ({
    names: ["socket"],
    action: "SCMP_ACT_ERRNO",
    errnoRet: 1,
    args: [{ index: 0, value, op: "SCMP_CMP_EQ" }],
  });
  return {
    defaultAction: "SCMP_ACT_ALLOW",
    architectures,
    syscalls: [{ names: refused, action: "SCMP_ACT_ERRNO", errnoRet: 1 }, family(38), family(40)],
  };
}

function putProgram(bundle: Bundle, name: string): void {
  writeFileSync(join(bundle.rootfs, name), program(name), { mode: 0o755 });
}

bothWays("seccomp", (way) => {
  it("K1: what a profile refuses is refused for every ABI, in the container and in an exec", async ({
    skip,
  }) => {
    skip(process.arch !== "x64", "the ABIs of the test are x86-64's");
    await using b = way.bundle((s, bundle) => {
      putProgram(bundle, "syscalls");
      // All that could otherwise be the reason.
      const all = [
        "CAP_SYS_ADMIN",
        "CAP_SYS_BOOT",
        "CAP_SYS_MODULE",
        "CAP_DAC_READ_SEARCH",
        "CAP_BPF",
        "CAP_PERFMON",
      ];
      s.process.capabilities = { bounding: all, permitted: all, effective: all };
      s.linux.seccomp = profile();
      s.process.args = ["/bin/sleep", "1000"];
    });
    expect(b.create()).toMatchObject({ code: 0 });
    expect(b.start()).toMatchObject({ code: 0 });
    const abis = ["64", "32", "x32"];
    const inExec = abis.map((abi) => b.exec(["/syscalls", abi]).stdout);
    b.oci(["delete", "--force", b.id]);
    const inContainer = abis.map((abi) => {
      b.spec.process.args = ["/syscalls", abi];
      return b.run().stdout;
    });
    for (const texts of [inExec, inContainer]) {
      for (const [i, text] of texts.entries()) {
        const lines = text.trim().split("\n");
        if (lines[0] === "no 32-bit entry") continue;
        expect(lines.length).toBe(14);
        // A kernel without x32 knows none of its numbers: EPERM can only be the filter's.
        for (const line of lines)
          expect(`${abis[i]} ${line}`).toMatch(abis[i] === "x32" ? / 1$/ : / (1|38)$/);
      }
    }
    // The program is able to tell: without the profile something works.
    b.spec.linux.seccomp = undefined as never;
    b.spec.process.args = ["/syscalls", "64"];
    expect(b.run().stdout).toMatch(/ 0$/m);
  });

  it.each<[string, (s: Record<string, unknown>) => void]>([
    ["an unknown action", (s) => (s.defaultAction = "SCMP_ACT_WISH")],
    ["no default action", (s) => delete s.defaultAction],
    ["an unknown architecture", (s) => (s.architectures = ["SCMP_ARCH_Z80"])],
    ["an unknown flag", (s) => (s.flags = ["SECCOMP_FILTER_FLAG_WISH"])],
    ["an unknown comparison", (s) => (s.syscalls = [rule({ index: 0, value: 1, op: "SCMP_CMP_LIKE" })])],
    ["a seventh argument", (s) => (s.syscalls = [rule({ index: 6, value: 1, op: "SCMP_CMP_EQ" })])],
    ["a number in quotes", (s) => (s.syscalls = [rule({ index: 0, value: "1", op: "SCMP_CMP_EQ" })])],
    ["rules that are no list", (s) => (s.syscalls = {})],
    ["an action of a rule that is none", (s) => (s.syscalls = [{ names: ["mkdir"], action: 1 }])],
  ])("K2: a profile with %s fails the create; nothing runs without it", async (_what, spoil) => {
    await using b = way.bundle((s) => {
      const broken = profile();
      spoil(broken);
      s.linux.seccomp = broken;
    });
    const r = b.sh("touch /ran");
    expect(r.code).toBe(1);
    expect(r.stderr).toContain("linux.seccomp");
    expect(existsSync(join(b.rootfs, "ran"))).toBe(false);
    expect(b.traces()).toEqual([]);
  });
});

function rule(arg: Record<string, unknown>): Record<string, unknown> {
  return { names: ["mkdir"], action: "SCMP_ACT_ERRNO", args: [arg] };
}

bothWays("sysctls and devices", (way) => {
  it("K3: a sysctl of an own namespace is set; of the machine, of the host's namespace or more than one is refused", async () => {
    await using b = way.bundle((s) => {
      s.linux.sysctl = { "net.ipv4.ip_unprivileged_port_start": "80", "kernel.shm_rmid_forced": "1" };
    });
    expect(
      b.sh("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced").stdout,
    ).toBe("80\n1\n");
    const host = () =>
      ["core_pattern", "shm_rmid_forced", "pid_max"].map((n) =>
        readFileSync(`/proc/sys/kernel/${n}`, "utf8"),
      );
    const before = host();
    for (const [name, value] of [
      ["kernel.shm_rmid_forced", "1+kernel.core_pattern=|/x"],
      ["net/../kernel/core_pattern", "x"],
      ["net.ipv4.ip_forward", "1\n2"],
      ["kernel.core_pattern", "x"],
      ["kernel.pid_max", "400"],
      ["net", "1"],
      ["net.ipv4.", "1"],
      [".net.ipv4.ip_forward", "1"],
    ] as const) {
      b.spec.linux.sysctl = { [name]: value };
      expect(b.run().code, name).toBe(1);
      expect(b.traces()).toEqual([]);
    }
    b.spec.linux.sysctl = { "net.ipv4.ip_forward": "1" };
    b.spec.linux.namespaces = b.spec.linux.namespaces.map((n) =>
      n.type === "network" ? { ...n, path: "/proc/self/ns/net" } : n,
    );
    expect(b.run().stderr).toContain("no network namespace of its own");
    b.spec.linux.namespaces = b.spec.linux.namespaces.filter(({ type }) => type !== "network");
    expect(b.run().stderr).toContain("no network namespace of its own");
    expect(host()).toEqual(before);
  });

  it("K4: default devices have their modes, others can't be opened", async () => {
    await using b = way.bundle((s) => {
      s.linux.devices = [
        { path: "/dev/net/tun", type: "c", major: 10, minor: 200, fileMode: 0o666, uid: 7, gid: 8 },
      ];
    });
    const names = ["null", "zero", "full", "random", "urandom", "tty", "net/tun"];
    const r = b.sh(
      `stat -c '%n %a %u:%g %t,%T' ${names.map((n) => `/dev/${n}`).join(" ")}; head -c 1 /dev/zero | wc -c; head -c1 /dev/net/tun 2>&1; mknod /tmp/mem c 1 1; head -c 1 /tmp/mem 2>&1; ls /dev | tr '\\n' ' '`,
    );
    expect(r.stdout).toBe(
      [
        "/dev/null 666 0:0 1,3",
        "/dev/zero 666 0:0 1,5",
        "/dev/full 666 0:0 1,7",
        "/dev/random 666 0:0 1,8",
        "/dev/urandom 666 0:0 1,9",
        "/dev/tty 666 0:0 5,0",
        "/dev/net/tun 666 7:8 a,c8",
        "1",
        "head: /dev/net/tun: Operation not permitted",
        "head: /tmp/mem: Operation not permitted",
        `${existsSync("/proc/kcore") ? "core " : ""}fd full net null ptmx pts random stderr stdin stdout tty urandom zero `,
      ].join("\n"),
    );
  });

  it("K4: a device that is allowed can be opened, as far as it is", async () => {
    await using b = way.bundle((s) => {
      s.linux.devices = [{ path: "/dev/kmsg", type: "c", major: 1, minor: 11 }];
      s.linux.resources = {
        devices: [
          { allow: false, access: "rwm" },
          { allow: true, type: "c", major: 1, minor: 11, access: "w" },
        ],
      };
    });
    expect(b.sh(": >>/dev/kmsg && echo ok; head -c 1 /dev/kmsg 2>/dev/null || echo no").stdout).toBe(
      "ok\nno\n",
    );
  });

  it.each<[string, (s: Spec, b: Bundle, canary: string) => void, string]>([
    [
      "permissions that are none",
      (s) => devices(s, { allow: true, type: "c", major: 1, minor: 3, access: "rwmx" }),
      "access",
    ],
    ["a kind that is none", (s) => devices(s, { allow: true, type: "x", access: "r" }), "type"],
    [
      "a link in its place",
      (s, b, canary) => {
        s.mounts = s.mounts.filter((m) => !m.destination.startsWith("/dev"));
        symlinkSync(join(canary, "etc/passwd"), join(b.rootfs, "dev/extra"));
        s.linux.devices = [{ path: "/dev/extra", type: "c", major: 1, minor: 3 }];
      },
      "something else is there",
    ],
    [
      "a folder in its place",
      (s, b) => {
        s.mounts = s.mounts.filter((m) => !m.destination.startsWith("/dev"));
        mkdirSync(join(b.rootfs, "dev/extra"));
        s.linux.devices = [{ path: "/dev/extra", type: "c", major: 1, minor: 3 }];
      },
      "something else is there",
    ],
    [
      "another device in its place",
      (s, b) => {
        s.mounts = s.mounts.filter((m) => !m.destination.startsWith("/dev"));
        spawnSync("mknod", [join(b.rootfs, "dev/extra"), "c", "1", "5"]);
        s.linux.devices = [{ path: "/dev/extra", type: "c", major: 1, minor: 3 }];
      },
      "something else is there",
    ],
    [
      "a relative path",
      (s) => (s.linux.devices = [{ path: "dev/x", type: "c", major: 1, minor: 3 }]),
      "not absolute",
    ],
    [
      "a kind of node that is none",
      (s) => (s.linux.devices = [{ path: "/dev/x", type: "d", major: 1, minor: 3 }]),
      "no device type",
    ],
  ])("K4: a device with %s is refused", async (_what, spoil, message) => {
    await using canary = await makeCanary();
    await using b = way.bundle((s, bundle) => spoil(s, bundle, canary.path));
    const r = b.run();
    expect(r.code).toBe(1);
    expect(r.stderr).toContain(message);
    expect(b.traces()).toEqual([]);
    expect(canary.listing()).toEqual(canary.before);
  });
});

function devices(s: Spec, ...list: Record<string, unknown>[]): void {
  s.linux.resources = { devices: list };
}
