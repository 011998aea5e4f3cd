import { describe, expect, it } from "vitest";
import { defaultMaskedPaths } from "./security.ts";
import { host, namespaces, noLimits, pod, specOf } from "./spec.fixture.ts";

const invalid = (part: RegExp) =>
  expect.objectContaining({ kind: "invalid-argument", message: expect.stringMatching(part) });
const impossible = (part: RegExp) =>
  expect.objectContaining({ kind: "failed-precondition", message: expect.stringMatching(part) });

describe("containerSpec", () => {
  it("of a plain pod is what its peers make", () => {
    const { spec, warnings } = specOf();
    expect(warnings).toEqual([]);
    const { linux, ...rest } = spec;
    expect(rest).toMatchObject({
      ociVersion: "1.1.0",
      process: {
        terminal: false,
        user: { uid: 0, gid: 0, additionalGids: [0] },
        args: ["/app", "--serve"],
        env: ["PATH=/bin", "HOSTNAME=web-0", "HOME=/root"],
        cwd: "/srv",
        noNewPrivileges: false,
        oomScoreAdj: 0,
      },
      root: { path: "rootfs", readonly: false },
    });
    expect(spec.process.rlimits).toBeUndefined();
    expect(Object.keys(spec)).not.toContain("hooks");
    expect(spec.mounts.map(({ destination, options }) => `${destination} ${options?.join(",")}`)).toEqual([
      "/proc nosuid,noexec,nodev",
      "/dev nosuid,strictatime,mode=755,size=65536k",
      "/dev/pts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5",
      "/dev/mqueue nosuid,noexec,nodev",
      "/sys nosuid,noexec,nodev,ro",
      "/sys/fs/cgroup nosuid,noexec,nodev,relatime,ro",
      "/etc/hosts rbind,rprivate,rw",
      "/etc/hostname rbind,rprivate,rw",
      "/etc/resolv.conf rbind,rprivate,rw",
    ]);
    expect(linux.namespaces).toEqual([{ type: "mount" }, { type: "pid" }, { type: "cgroup" }]);
    expect(linux.cgroupsPath).toBe("/kubepods/pod1/c1");
    expect(linux.seccomp).toBeUndefined();
    expect(linux.devices).toBeUndefined();
  });

  it("of a privileged pod sees and may do all that the daemon may", () => {
    const disk = { path: "/dev/sda", type: "b", major: 8, minor: 0, mode: 0o660, uid: 0, gid: 6 } as const;
    const { spec } = specOf({
      security: {
        privileged: true,
        seccomp: { type: "runtime-default" },
        apparmorProfile: "runtime/default",
      },
      pod: { privileged: true },
      host: { apparmor: true, capabilities: ["CAP_CHOWN", "CAP_SYS_ADMIN"] },
      facts: { hostDevices: [disk] },
    });
    expect(spec.process.capabilities.effective).toEqual(["CAP_CHOWN", "CAP_SYS_ADMIN"]);
    expect(spec.linux).toMatchObject({
      maskedPaths: [],
      readonlyPaths: [],
      resources: { devices: [{ allow: true, access: "rwm" }] },
      devices: [{ path: "/dev/sda", type: "b", major: 8, minor: 0, fileMode: 0o660, gid: 6 }],
      namespaces: [{ type: "mount" }, { type: "pid" }],
    });
    expect(spec.linux.seccomp).toBeUndefined();
    expect(spec.process.apparmorProfile).toBeUndefined();
    const options = spec.mounts
      .filter(({ destination }) => destination.startsWith("/sys"))
      .map((m) => m.options?.at(-1));
    expect(options).toEqual(["rw", "rw"]);
  });

  it("refuses a privileged container in a pod that is not", () => {
    expect(() => specOf({ security: { privileged: true } })).toThrow(invalid(/privileged sandbox/));
  });

  it("holds the root and the pod's files read-only when asked", () => {
    const { spec } = specOf({ security: { readonlyRootfs: true } });
    expect(spec.root.readonly).toBe(true);
    expect(
      spec.mounts.filter(({ destination }) => destination.startsWith("/etc")).map((m) => m.options?.at(-1)),
    ).toEqual(["ro", "ro", "ro"]);
  });

  it("sets no_new_privs and the tty as asked (I7)", () => {
    const { process } = specOf({ security: { noNewPrivs: true }, container: { tty: true } }).spec;
    expect(process.noNewPrivileges).toBe(true);
    expect(process.terminal).toBe(true);
    expect(process.env).toContain("TERM=xterm");
  });

  it("has the primary group in the group list, each once (I3)", () => {
    const user = { uid: 1000, gid: 1000, additionalGids: [10, 1000, 10], home: "/" };
    expect(specOf({ input: { user } }).spec.process.user).toEqual({
      uid: 1000,
      gid: 1000,
      additionalGids: [1000, 10],
    });
  });

  it.each([2147483648, 4294967295, 4294967296, -1, 1.5, Number.NaN])("refuses the id %d (I1)", (id) => {
    const user = { uid: 1, gid: 1, additionalGids: [], home: "/" };
    expect(() => specOf({ input: { user: { ...user, uid: id } } })).toThrow(invalid(/id .* is not from 0/));
    expect(() => specOf({ input: { user: { ...user, gid: id } } })).toThrow(invalid(/id .* is not from 0/));
    expect(() => specOf({ input: { user: { ...user, additionalGids: [id] } } })).toThrow(
      invalid(/id .* is not from 0/),
    );
  });

  it.each(["/", "", "a/b", "/a/../b", "/a//b", "x.slice:y", "a/b.slice:kobako:c"])(
    "refuses the cgroup %j",
    (cgroupsPath) => {
      expect(() => specOf({ input: { cgroupsPath } })).toThrow(invalid(/cgroup/));
    },
  );

  it("takes systemd's form of a cgroup", () => {
    const cgroupsPath = "kubepods-pod1.slice:kobako:c1";
    expect(specOf({ input: { cgroupsPath } }).spec.linux.cgroupsPath).toBe(cgroupsPath);
  });

  it("does not change with what it is given twice", () => {
    expect(JSON.stringify(specOf())).toBe(JSON.stringify(specOf()));
  });
});

describe("annotations (C2)", () => {
  const asked = {
    "org.systemd.property.TimeoutStopUSec": "1",
    "run.oci.handler": "krun",
    "io.kubernetes.cri-o.Devices": "/dev/sda",
    "allowed.x": "yes",
    "allowed.x/name": "no",
    "io.kubernetes.cri.container-type": "sandbox",
    __proto__x: "1",
  };

  it("reach the runtime by exact name only, and can't take the place of ours", () => {
    const { annotations } = specOf({
      container: { annotations: asked },
      pod: { annotations: { ...asked, "pod.only": "1" } },
      input: {
        allowedAnnotations: [
          "allowed.x",
          "pod.only",
          "absent",
          "io.kubernetes.cri.container-type",
          "toString",
        ],
      },
    }).spec;
    expect(annotations).toEqual({
      "allowed.x": "yes",
      "pod.only": "1",
      "io.kubernetes.cri.container-type": "container",
      "io.kubernetes.cri.container-name": "app",
      "io.kubernetes.cri.image-name": "example.org/app:1",
      "io.kubernetes.cri.sandbox-id": "p".repeat(64),
      "io.kubernetes.cri.sandbox-name": "web",
      "io.kubernetes.cri.sandbox-namespace": "default",
      "io.kubernetes.cri.sandbox-uid": "uid-1",
    });
  });
});

describe("namespaces", () => {
  const of = (
    pid: "pod" | "container" | "node" | "target",
    podPid: "pod" | "container" | "node",
    target?: string,
  ) =>
    specOf({
      security: { namespaces: { ...namespaces, pid, targetId: "t" } },
      pod: { namespaces: { ...namespaces, pid: podPid } },
      input: { targetPidNamespace: target },
    }).spec.linux.namespaces.filter(({ type }) => type === "pid");

  it.each([
    ["its own", "container", "container", [{ type: "pid" }]],
    ["its own, in a pod that shares", "container", "pod", [{ type: "pid" }]],
    ["the pod's, which the monitor has entered", "pod", "pod", []],
    ["the host's", "node", "node", []],
    ["the host's by its pod", "pod", "node", []],
  ] as const)("of processes: %s", (_, pid, podPid, expected) => {
    expect(of(pid, podPid)).toEqual(expected);
  });

  it("of processes: another container's", () => {
    expect(of("target", "container", "/proc/42/ns/pid")).toEqual([{ type: "pid", path: "/proc/42/ns/pid" }]);
    expect(() => of("target", "container")).toThrow(impossible(/"t".* does not run/));
  });

  it("never give a container the host's where its pod has its own", () => {
    expect(() => of("node", "container")).toThrow(invalid(/pid/));
    expect(() => of("node", "pod")).toThrow(invalid(/pid/));
    expect(() => of("pod", "container")).toThrow(invalid(/pid/));
    for (const key of ["network", "ipc"] as const) {
      expect(() => specOf({ security: { namespaces: { ...namespaces, [key]: "node" } } })).toThrow(
        invalid(new RegExp(key)),
      );
      expect(() => specOf({ security: { namespaces: { ...namespaces, [key]: "target" } } })).toThrow(
        invalid(new RegExp(key)),
      );
    }
  });

  describe("of users", () => {
    const idMap = { hostId: 65_536, length: 65_536 };
    const mapped = { ...namespaces, user: "pod", idMap } as const;
    const lines = [{ containerID: 0, hostID: 65_536, size: 65_536 }];
    const inPod = (container: Partial<typeof mapped> | object, more = {}) =>
      specOf({
        pod: { namespaces: mapped },
        security: { namespaces: { ...namespaces, user: undefined, ...container } },
        ...more,
      }).spec;

    it("are the pod's, with its range, whether the container says so or nothing", () => {
      for (const said of [mapped, {}]) {
        const { linux } = inPod(said);
        expect(linux.namespaces).toContainEqual({ type: "user" });
        expect(linux.uidMappings).toEqual(lines);
        expect(linux.gidMappings).toEqual(lines);
      }
      const { linux } = specOf({}).spec;
      expect(linux.namespaces).not.toContainEqual({ type: "user" });
      expect(linux).not.toHaveProperty("uidMappings");
    });

    it("are no others than the pod's", () => {
      expect(() => inPod({ user: "node" })).toThrow(invalid(/asks for NODE, its pod has POD with 65536 ids/));
      expect(() => inPod({ ...mapped, idMap: { ...idMap, hostId: 1 } })).toThrow(
        invalid(/65536 ids from 1 on/),
      );
      expect(() => specOf({ security: { namespaces: mapped } })).toThrow(invalid(/its pod has NODE/));
    });

    it("have the container's user and groups", () => {
      const user = { uid: 0, gid: 0, additionalGids: [], home: "/" };
      expect(inPod({}, { input: { user: { ...user, uid: 65_535 } } }).process.user.uid).toBe(65_535);
      for (const more of [{ uid: 65_536 }, { gid: 65_536 }, { additionalGids: [65_536] }])
        expect(() => inPod({}, { input: { user: { ...user, ...more } } })).toThrow(
          invalid(/65536 is not in the pod's/),
        );
    });

    it("of few ids give terminals to no group that is not there", () => {
      const options = (length: number) =>
        inPod({}, { pod: { namespaces: { ...mapped, idMap: { hostId: 1, length } } } }).mounts.find(
          ({ destination }) => destination === "/dev/pts",
        )?.options;
      expect(options(6)).toContain("gid=5");
      expect(options(5)).not.toContain("gid=5");
    });

    it("leave masked paths as a kubelet says, also none (procMount: Unmasked), and mask them when nothing is said", () => {
      expect(inPod(mapped).linux.maskedPaths).toEqual([]);
      expect(inPod({}).linux.maskedPaths).toContain("/proc/kcore");
    });
  });

  it("of cgroups are new on v2 only", () => {
    expect(specOf({ host: { cgroupVersion: 1 } }).spec.linux.namespaces).toEqual([
      { type: "mount" },
      { type: "pid" },
    ]);
  });
});

describe("hidden and read-only paths (M17)", () => {
  it("by default are the kernel's tables that tell of, or steer, the host", () => {
    const { maskedPaths, readonlyPaths } = specOf().spec.linux;
    expect(maskedPaths).toEqual(defaultMaskedPaths(2));
    for (const path of ["acpi", "kcore", "keys", "timer_list", "sched_debug", "scsi", "interrupts"]) {
      expect(maskedPaths).toContain(`/proc/${path}`);
    }
    expect(maskedPaths).toEqual(
      expect.arrayContaining([
        "/sys/firmware",
        "/sys/devices/virtual/powercap",
        "/sys/devices/system/cpu/cpu1/thermal_throttle",
      ]),
    );
    expect(readonlyPaths).toEqual(["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]);
  });

  it("are the request's where it has any", () => {
    expect(specOf({ security: { maskedPaths: ["/bin/ls"] } }).spec.linux).toMatchObject({
      maskedPaths: ["/bin/ls"],
      readonlyPaths: [],
    });
    expect(specOf({ security: { readonlyPaths: ["/tmp"] } }).spec.linux).toMatchObject({
      maskedPaths: [],
      readonlyPaths: ["/tmp"],
    });
  });

  it("must be absolute", () => {
    expect(() => specOf({ security: { maskedPaths: ["proc"] } })).toThrow(invalid(/not absolute/));
    expect(() => specOf({ security: { readonlyPaths: ["/a\0"] } })).toThrow(invalid(/not absolute/));
  });
});

describe("security labels (K6)", () => {
  it.each([
    ["", false, undefined],
    ["runtime/default", false, undefined],
    ["unconfined", false, undefined],
    ["unconfined", true, "unconfined"],
    ["localhost/mine", true, "mine"],
  ])("AppArmor %j where the kernel has it: %s", (apparmorProfile, apparmor, expected) => {
    expect(specOf({ security: { apparmorProfile }, host: { apparmor } }).spec.process.apparmorProfile).toBe(
      expected,
    );
  });

  it("fails where an AppArmor profile asked for by name can't be applied, and for what is no form", () => {
    expect(() => specOf({ security: { apparmorProfile: "localhost/mine" } })).toThrow(
      impossible(/no AppArmor/),
    );
    for (const apparmorProfile of ["unconfined_x", "localhost/", "mine", "localhost/a\nb"]) {
      expect(() => specOf({ security: { apparmorProfile }, host: { apparmor: true } })).toThrow(
        invalid(/AppArmor profile/),
      );
    }
  });

  it("says that no default AppArmor profile is there", () => {
    expect(specOf({ host: { apparmor: true } }).warnings).toEqual([expect.stringMatching(/AppArmor/)]);
  });

  const label = { user: "", role: "", type: "spc_t", level: "s0:c1,c2" };
  it("does not apply an SELinux label without SELinux, and says so", () => {
    const { spec, warnings } = specOf({ security: { selinux: label } });
    expect(spec.process.selinuxLabel).toBeUndefined();
    expect(warnings).toEqual([expect.stringMatching(/SELinux/)]);
  });

  it("applies an SELinux label, the pod's where the container has none", () => {
    const change = { host: { selinux: true } };
    const own = specOf({ ...change, security: { selinux: label } }).spec;
    expect(own.process.selinuxLabel).toBe("system_u:system_r:spc_t:s0:c1,c2");
    expect(own.linux.mountLabel).toBe("system_u:object_r:container_file_t:s0:c1,c2");
    expect(specOf({ ...change, pod: { selinux: label } }).spec.process.selinuxLabel).toContain("spc_t");
  });

  it.each([
    { ...label, level: "s0:c1 x" },
    { ...label, type: "a:b" },
    { ...label, user: "a\nb" },
  ])("refuses a malformed SELinux label %j", (selinux) => {
    expect(() => specOf({ security: { selinux } })).toThrow(invalid(/selinux_options/));
  });
});

describe("seccomp (K2)", () => {
  it("is none without a profile and with unconfined", () => {
    expect(specOf({ security: { seccomp: { type: "unconfined" } } }).spec.linux.seccomp).toBeUndefined();
    expect(specOf({ security: { seccomp: undefined } }).spec.linux.seccomp).toBeUndefined();
  });

  it("fails where the kernel has none", () => {
    expect(() =>
      specOf({ security: { seccomp: { type: "runtime-default" } }, host: { seccomp: false } }),
    ).toThrow(impossible(/no seccomp/));
  });

  const localhost = { security: { seccomp: { type: "localhost", path: "/p.json" } } } as const;
  it("of a file is what the file says", () => {
    const seccompFile =
      '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["chmod"],"action":"SCMP_ACT_ERRNO"}]}';
    expect(specOf({ ...localhost, facts: { seccompFile } }).spec.linux.seccomp).toEqual({
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["chmod"], action: "SCMP_ACT_ERRNO" }],
    });
  });

  it("never starts unconfined because a file is broken", () => {
    for (const seccompFile of ["", "{", "[]", "{}", '{"defaultAction":"ALLOW"}']) {
      expect(() => specOf({ ...localhost, facts: { seccompFile } })).toThrow(invalid(/\/p\.json/));
    }
    expect(() => specOf(localhost)).toThrow(expect.objectContaining({ kind: "internal" }));
  });
});

describe("resources of the container", () => {
  it("come with the device rules and the oom score", () => {
    const resources = { ...noLimits, oomScoreAdj: 997n, memoryLimitBytes: 1024n };
    const { spec } = specOf({ container: { resources } });
    expect(spec.process.oomScoreAdj).toBe(997);
    expect(spec.linux.resources.memory).toEqual({ limit: 1024, swap: 1024 });
    expect(spec.linux.resources.devices?.[0]).toEqual({ allow: false, access: "rwm" });
  });

  it.each([-1001n, 1001n])("refuse the oom score %d", (oomScoreAdj) => {
    expect(() => specOf({ container: { resources: { ...noLimits, oomScoreAdj } } })).toThrow(
      invalid(/oom_score_adj/),
    );
  });
});

describe("fields that are names only (C4)", () => {
  it("never become a path or a program", () => {
    const nasty = "../../bin/sh\n";
    const { spec } = specOf({
      pod: { metadata: { ...pod.metadata, name: nasty, namespace: nasty, uid: nasty } },
      container: { metadata: { name: nasty, attempt: 0 }, userSpecifiedImage: nasty },
    });
    const { annotations: _names, ...rest } = spec;
    expect(JSON.stringify(rest)).toBe(JSON.stringify({ ...specOf().spec, annotations: undefined }));
  });

  it("leave the hostname to the variable alone", () => {
    expect(specOf({ pod: { hostname: "" } }).spec.process.env).toContain(`HOSTNAME=${host.hostname}`);
    expect(specOf().spec.hostname).toBeUndefined();
  });
});
