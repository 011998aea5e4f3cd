/**
 * What a create that fails says, on stderr and in the log: the step, the object (the field, as it is written in
 * config.json, where one is to blame) and the cause; and what it leaves: nothing.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { waitFor } from "../../support/wait.ts";
import { Bundle, type Spec } from "./bundle.ts";

type Change = (s: Spec, b: Bundle) => void;

/** Members that Spec does not name. */
const more = (o: object, members: object): void => void Object.assign(o, members);
const namespace = (s: Spec, type: string, path: string): void => {
  s.linux.namespaces = [...s.linux.namespaces.filter((n) => n.type !== type), { type, path }];
};

const cases: readonly [string, Change, string][] = [
  [
    "root.path that is not there",
    (s) => more(s.root, { path: "nowhere" }),
    'rootfs "BUNDLE/nowhere": no such file or directory',
  ],
  [
    "root.path that is a file",
    (s, b) => {
      writeFileSync(join(b.folder, "file"), "");
      s.root.path = "file";
    },
    'rootfs "BUNDLE/file": not a directory',
  ],
  [
    "a bind source that is not there",
    (s) => {
      s.mounts.push({ destination: "/m", type: "bind", source: "/no/such", options: ["bind"] });
    },
    'mount on "/m": source "/no/such": no such file or directory',
  ],
  [
    "a filesystem that is none",
    (s) => {
      s.mounts.push({ destination: "/m", type: "nofs", source: "x" });
    },
    'mount nofs "x" on "/m": filesystem "nofs": no such device',
  ],
  [
    "a mount option that is none",
    (s) => {
      s.mounts.push({ destination: "/m", type: "tmpfs", source: "x", options: ["size=x"] });
    },
    'mount tmpfs "x" on "/m": option "size=x" of tmpfs: invalid argument',
  ],
  [
    "a cgroup mount with tmpcopyup",
    (s) => {
      s.mounts.push({ destination: "/m", type: "cgroup", source: "cgroup", options: ["tmpcopyup"] });
    },
    'mount cgroup "cgroup" on "/m": option "tmpcopyup" is for tmpfs only: invalid argument',
  ],
  [
    "mount options that are longer than a page",
    (s) => {
      const lower = Array.from({ length: 50 }, (_, i) => `/${"x".repeat(97)}${i + 10}`).join(":");
      s.mounts.push({ destination: "/m", type: "overlay", source: "x", options: [`lowerdir=${lower}`] });
    },
    'mount overlay "x" on "/m": options of overlay: 5058 bytes together, 4095 are the most',
  ],
  [
    "a destination below a file",
    (s) => {
      s.mounts.push({ destination: "/bin/busybox/m", type: "tmpfs", source: "x" });
    },
    'mount tmpfs "x" on "/bin/busybox/m": make folder "/bin/busybox/m" inside the root: not a directory',
  ],
  [
    "a cgroup path with a name that is too long",
    (s) => {
      s.linux.cgroupsPath += `/${"x".repeat(300)}`;
    },
    'cgroup path "/',
  ],
  [
    "a limit that the kernel refuses",
    (s) => {
      s.linux.resources = { cpu: { quota: 5 } };
    },
    'linux.resources.cpu.quota: write "5" to cpu',
  ],
  [
    "processors that are not there",
    (s) => {
      s.linux.resources = { cpu: { cpus: "4000" } };
    },
    'linux.resources.cpu.cpus: write "4000" to cpuset.cpus',
  ],
  [
    "a memory limit that nothing fits in",
    (s) => {
      s.linux.resources = { memory: { limit: 4096, swap: 4096 } };
    },
    "linux.resources.memory.limit: too low",
  ],
  [
    "a hook that fails",
    (s) => {
      s.hooks = { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", "echo why >&2; exit 3"] }] };
    },
    'createRuntime hook /bin/sh: exit status 3: "why"',
  ],
  [
    "a hook in the container that fails",
    (s) => {
      s.hooks = { createContainer: [{ path: "/bin/sh", args: ["sh", "-c", "echo why >&2; kill -9 $$"] }] };
    },
    'createContainer hook /bin/sh: ended by signal 9: "why"',
  ],
  [
    "a hook that is not there",
    (s) => {
      s.hooks = { prestart: [{ path: "/no/such" }] };
    },
    'prestart hook /no/such: exit status 127: "No such file or directory"',
  ],
  [
    "a seccomp action that is none",
    (s) => {
      s.linux.seccomp = { defaultAction: "SCMP_ACT_WHAT" };
    },
    'linux.seccomp.defaultAction: "SCMP_ACT_WHAT" is no action',
  ],
  [
    "a seccomp rule that is none",
    (s) => {
      s.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["read"], action: "WHAT" }] };
    },
    'linux.seccomp.syscalls[0].action: "WHAT" is no action',
  ],
  [
    "a user that is none",
    (s) => {
      s.process.user.uid = -1;
    },
    "process.user.uid: not a whole number of 0 or more",
  ],
  [
    "a user that is not mapped",
    (s) => {
      const ids = [{ containerID: 0, hostID: 100_000, size: 10 }];
      s.linux.namespaces.push({ type: "user" });
      more(s.linux, { uidMappings: ids, gidMappings: ids });
      s.process.user.uid = 4711;
    },
    "process.user.uid: become user 4711, which is not mapped: invalid argument",
  ],
  [
    "a group that is not mapped",
    (s) => {
      const ids = [{ containerID: 0, hostID: 100_000, size: 10 }];
      s.linux.namespaces.push({ type: "user" });
      more(s.linux, { uidMappings: ids, gidMappings: ids });
      s.process.user.gid = 4711;
    },
    "process.user.gid: become group 4711, which is not mapped: invalid argument",
  ],
  [
    "a working folder that is a file",
    (s) => {
      s.process.cwd = "/bin/busybox";
    },
    'working folder "/bin/busybox": make folder "/bin/busybox" inside the root: not a directory',
  ],
  [
    "a working folder that is relative",
    (s) => {
      s.process.cwd = "tmp";
    },
    'process: cwd "tmp" is not absolute',
  ],
  [
    "a network namespace that is not there",
    (s) => namespace(s, "network", "/no/such"),
    'open the network namespace "/no/such": no such file or directory',
  ],
  [
    "a network namespace of another kind",
    (s) => namespace(s, "network", "/proc/self/ns/uts"),
    '"/proc/self/ns/uts" is no network namespace',
  ],
  [
    "a device below a file",
    (s) => {
      s.linux.devices = [{ path: "/bin/busybox/x", type: "c", major: 1, minor: 3 }];
    },
    'device "/bin/busybox/x": make folder "/bin/busybox" inside the root: not a directory',
  ],
  [
    "a device where something else is",
    (s) => {
      s.linux.devices = [{ path: "/bin/busybox", type: "c", major: 1, minor: 3 }];
    },
    'device "/bin/busybox": device node "busybox": something else is there: file exists',
  ],
  [
    "a device of a type that is none",
    (s) => {
      s.linux.devices = [{ path: "/dev/x", type: "z", major: 1, minor: 3 }];
    },
    'linux.devices[0]: "z" is no device type',
  ],
  [
    "a sysctl that is not there",
    (s) => {
      s.linux.sysctl = { "net.ipv4.nothing": "1" };
    },
    'sysctl net.ipv4.nothing = "1": no such file or directory',
  ],
  [
    "a limit of processes that is none",
    (s) => {
      s.process.rlimits = [{ type: "RLIMIT_WHAT", soft: 1, hard: 1 }];
    },
    'process.rlimits[0]: "RLIMIT_WHAT" is no resource limit',
  ],
  [
    "a hostname of the machine",
    (s) => {
      s.linux.namespaces = s.linux.namespaces.filter((n) => n.type !== "uts");
    },
    "hostname: the container has no uts namespace of its own",
  ],
  [
    "another specification",
    (s) => {
      s.ociVersion = "3.0.0";
    },
    'config.json: ociVersion: "3.0.0" is not 1.x',
  ],
  [
    "a program that is not there",
    (s) => {
      s.process.args = ["/nope"];
    },
    'exec "/nope": no such file or directory (in the rootfs)',
  ],
];

/** Processes that were started with this bundle's state folder, or have it as theirs. */
function processes(b: Bundle): string[] {
  return readdirSync("/proc").filter((p) => {
    try {
      return /^\d+$/.test(p) && readFileSync(`/proc/${p}/cmdline`, "utf8").includes(b.folder);
    } catch {
      return false; // it ended while we looked
    }
  });
}

describe("a create that fails", () => {
  it.each(cases)(
    "%s: named with its cause, in the log as well; nothing stays",
    async (_title, change, message) => {
      await using b = new Bundle(change);
      b.write();
      const log = join(b.folder, "log");
      const r = b.oci(["create", "-b", b.folder, b.id], "", ["--log", log, "--log-format", "json"]);
      expect(r.code).toBe(1);
      const text = r.stderr.trimEnd().replaceAll(b.folder, "BUNDLE");
      expect(text.startsWith("kobako-oci: container create: ")).toBe(true);
      expect(text).toContain(`: ${message}`);
      const entry = JSON.parse(readFileSync(log, "utf8").trimEnd().split("\n").at(-1) ?? "") as object;
      expect(entry).toMatchObject({ level: "error", msg: r.stderr.trimEnd().replace("kobako-oci: ", "") });
      expect([...b.traces(), ...processes(b)]).toEqual([]);
    },
  );

  it("a device node that may not be made (no CAP_MKNOD) and that the host has not: named, nothing stays", async () => {
    await using b = new Bundle((s) => {
      s.linux.devices = [{ path: "/dev/x", type: "c", major: 10, minor: 200 }];
    });
    b.write();
    const r = b.through('exec setpriv --bounding-set -mknod "$@"', ["create", "-b", b.folder, b.id]);
    expect(r).toMatchObject({ code: 1, stdout: "" });
    expect(r.stderr).toContain(
      'device "/dev/x": device node "/dev/x" of the host: no such file or directory',
    );
    expect([...b.traces(), ...processes(b)]).toEqual([]);
  });

  it("a capability that is none is a warning, by its name, and no error", async () => {
    await using b = new Bundle((s) =>
      more(s.process.capabilities ?? {}, { bounding: ["CAP_KILL", "CAP_WHAT"] }),
    );
    expect(b.create()).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('process.capabilities: "CAP_WHAT"'),
    });
  });
});

describe("a start that fails", () => {
  const cases: readonly [string, Change, string][] = [
    [
      "an interpreter that is not there",
      (s, b) => {
        writeFileSync(join(b.rootfs, "script"), "#!/no/such\n", { mode: 0o755 });
        s.process.args = ["/script"];
      },
      'exec "/script": its interpreter is missing: no such file or directory (in the rootfs)',
    ],
    [
      "a startContainer hook that fails",
      (s) => {
        const args = ["sh", "-c", "echo why >&2; exit 3"];
        s.hooks = { startContainer: [{ path: "/bin/sh", args }] };
      },
      'startContainer hook /bin/sh: exit status 3: "why"',
    ],
    [
      "a poststart hook that fails",
      (s) => {
        s.process.args = ["/bin/sleep", "1000"];
        s.hooks = { poststart: [{ path: "/bin/false" }] };
      },
      "poststart hook /bin/false: exit status 1",
    ],
  ];
  it.each(cases)(
    "%s: named, from inside the container too, and in the log; it ends",
    async (_title, change, message) => {
      await using b = new Bundle(change);
      expect(b.create()).toMatchObject({ code: 0, stderr: "" });
      const log = join(b.folder, "log");
      const r = b.oci(["start", b.id], "", ["--log", log, "--log-format", "json"]);
      expect(r).toMatchObject({ code: 1, stdout: "", stderr: `kobako-oci: container start: ${message}\n` });
      expect(JSON.parse(readFileSync(log, "utf8"))).toMatchObject({
        level: "error",
        msg: `container start: ${message}`,
      });
      await waitFor("its end", () => b.status() === "stopped");
      expect(b.oci(["delete", b.id])).toMatchObject({ code: 0, stderr: "" });
      expect([...b.traces(), ...processes(b)]).toEqual([]);
    },
  );

  it("of run: nothing stays either", async () => {
    await using b = new Bundle((s) => {
      s.hooks = { startContainer: [{ path: "/bin/false" }] };
    });
    expect(b.run()).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("startContainer hook /bin/false: exit status 1"),
    });
    expect([...b.traces(), ...processes(b)]).toEqual([]);
  });
});

describe("an exec that fails", () => {
  const cases: readonly [string, readonly string[], string][] = [
    ["a program that is not there", ["/nope"], 'exec "/nope": no such file or directory (in the rootfs)'],
    ["a working folder that is not there", ["--cwd", "/no/such", "/bin/true"], 'working folder "/no/such"'],
    ["a user that is none", ["--user", "x", "/bin/true"], 'option --user: "x" is not UID[:GID]'],
    ["a process file that is not there", ["-p", "/no/such"], 'open "/no/such": no such file or directory'],
    ["a cgroup that is not there", ["--cgroup", "/no/such", "/bin/true"], "/no/such"],
  ];
  it.each(cases)(
    "%s: named with its cause, in the log as well; the container goes on",
    async (_title, args, message) => {
      await using b = new Bundle((s) => {
        s.process.args = ["/bin/sleep", "1000"];
      });
      b.create();
      b.start();
      const log = join(b.folder, "log");
      const options = args.slice(0, args[0]?.startsWith("-") ? 2 : 0);
      const exec = ["exec", ...options, b.id, ...args.slice(options.length)];
      const r = b.oci(exec, "", ["--log", log, "--log-format", "json"]);
      expect(r.code).toBe(255);
      expect(r.stderr).toMatch(/^kobako-oci: container exec: /);
      expect(r.stderr).toContain(message);
      expect(JSON.parse(readFileSync(log, "utf8"))).toMatchObject({
        msg: r.stderr.trimEnd().replace("kobako-oci: ", ""),
      });
      expect(b.status()).toBe("running");
      expect(JSON.parse(b.oci(["ps", "-f", "json", b.id]).stdout)).toEqual([b.pid()]);
    },
  );
});
