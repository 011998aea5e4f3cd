/** The linux object of config.json but for resources and seccomp, and what stands beside it at the top. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, readFileSync, readlinkSync } from "node:fs";
import { afterAll, beforeAll, describe } from "vitest";
import { type Answer, compare } from "../compare.ts";
import { field, refused, set, sleeping } from "./field.ts";

const kinds = [
  "mount:mnt",
  "pid:pid",
  "network:net",
  "ipc:ipc",
  "uts:uts",
  "cgroup:cgroup",
  "user:user",
  "time:time",
];
const all = kinds.map((pair) => pair.split(":") as [string, string]);
const map = (containerID: number, hostID: number, size: number) => [{ containerID, hostID, size }];
const userMaps = { uidMappings: map(0, 100_000, 65_536), gidMappings: map(0, 200_000, 65_536) };
const spaces = (text: string) => text.replaceAll(/ +/g, " ");

describe("ociVersion", () => {
  const taken = ["1.0.0", "1.0.2-dev", "1.2.0", "1.99.0"];
  for (const version of [...taken, "2.0.0", "0.9.0", "one", ""])
    field(`"${version}"`, {
      change: (s) => {
        s.ociVersion = version;
      },
      show: "echo yes",
      expected: taken.includes(version) ? "yes\n" : refused,
    });
});

describe("hostname, domainname", () => {
  field("both", {
    change: (s) => set(s, { hostname: "host-x", domainname: "domain.x" }),
    show: "hostname; cat /proc/sys/kernel/domainname",
    expected: "host-x\ndomain.x\n",
  });
  for (const name of ["hostname", "domainname"])
    field(`${name} without a UTS namespace of its own`, {
      change: (s) => {
        delete s.hostname;
        set(s, { [name]: "x" });
        s.linux.namespaces = s.linux.namespaces.filter(({ type }) => type !== "uts");
      },
      expected: refused,
    });
});

describe("linux.namespaces", () => {
  const links = all.map(([, file]) => `readlink /proc/self/ns/${file}`).join("; ");
  const own = (out: string): Answer => {
    const seen = out.trim().split("\n");
    return all
      .filter(([, file], i) => seen[i] !== readlinkSync(`/proc/self/ns/${file}`))
      .map(([type]) => type);
  };
  field("all eight new", {
    change: (s, b) => {
      chmodSync(b.folder, 0o755); // the way to the rootfs, for its other root
      s.linux.namespaces = all.map(([type]) => ({ type }));
      set(s.linux, userMaps);
    },
    show: links,
    answer: own,
    expected: all.map(([type]) => type),
  });
  field("those that are not listed are the caller's", {
    change: (s) => {
      delete s.hostname;
      s.linux.namespaces = [{ type: "mount" }];
      s.mounts = s.mounts.filter(({ destination }) => destination !== "/sys");
    },
    show: links,
    answer: own,
    expected: ["mount"],
  });
  for (const [title, namespaces] of [
    ["a type that is none", [{ type: "mount" }, { type: "wish" }]],
    ["one given twice", [{ type: "mount" }, { type: "uts" }, { type: "uts" }]],
    ["a path that is not there", [{ type: "mount" }, { type: "network", path: "/nowhere" }]],
    ["a path of another type", [{ type: "mount" }, { type: "network", path: "/proc/self/ns/uts" }]],
    ["a path that is not absolute", [{ type: "mount" }, { type: "network", path: "ns" }]],
  ] as const)
    field(title, {
      change: (s) => {
        delete s.hostname;
        s.linux.namespaces = [...namespaces];
      },
      expected: refused,
    });
});

describe("linux.uidMappings, linux.gidMappings", () => {
  field("of a new user namespace", {
    change: (s, b) => {
      chmodSync(b.folder, 0o755);
      s.linux.namespaces.push({ type: "user" });
      set(s.linux, userMaps);
    },
    show: "cat /proc/self/uid_map /proc/self/gid_map; touch /dev/x && stat -c %u:%g /dev/x",
    answer: spaces,
    expected: " 0 100000 65536\n 0 200000 65536\n0:0\n",
  });
  for (const [title, maps] of [
    ["uidMappings alone", { uidMappings: map(0, 1, 1) }],
    ["a size of 0", { uidMappings: map(0, 1, 0), gidMappings: map(0, 1, 1) }],
    ["ids mapped twice", { uidMappings: [...map(0, 1, 5), ...map(3, 100, 1)], gidMappings: map(0, 1, 1) }],
  ] as const)
    field(title, {
      change: (s) => {
        s.linux.namespaces.push({ type: "user" });
        set(s.linux, maps);
      },
      expected: refused,
    });
  field("without a user namespace", {
    change: (s) => set(s.linux, userMaps),
    expected: refused,
    differs: "maps that nothing has: the container would not have the ids that were asked for",
  });
});

describe("linux.timeOffsets", () => {
  const cases: readonly [string, Record<string, unknown>, boolean, Answer][] = [
    [
      "monotonic and boottime, seconds and nanoseconds",
      { monotonic: { secs: 1000, nanosecs: 5 }, boottime: { secs: -1, nanosecs: 7 } },
      true,
      "monotonic 1000 5\nboottime -1 7\n",
    ],
    ["a clock that can't be set off", { realtime: { secs: 1 } }, true, refused],
    ["without a time namespace", { monotonic: { secs: 1 } }, false, refused],
  ];
  for (const [title, timeOffsets, own, expected] of cases)
    field(title, {
      change: (s) => {
        if (own) s.linux.namespaces.push({ type: "time" });
        set(s.linux, { timeOffsets });
      },
      show: "cat /proc/self/timens_offsets",
      answer: spaces,
      expected,
    });
});

describe("linux.personality", () => {
  const cases: readonly [string, Record<string, unknown>, Answer, string?][] = [
    ["LINUX32", { domain: "LINUX32" }, "i686\n"],
    ["LINUX", { domain: "LINUX" }, "x86_64\n"],
    ["a domain that is none", { domain: "WISH" }, refused],
    ["a flag", { domain: "LINUX", flags: ["ADDR_NO_RANDOMIZE"] }, refused, "the specification knows none"],
  ];
  for (const [title, personality, expected, differs] of cases)
    field(title, {
      change: (s) => set(s.linux, { personality }),
      show: "busybox uname -m",
      ...(process.arch === "x64" || expected === refused ? { expected } : {}),
      ...(differs === undefined ? {} : { differs }),
    });
});

describe("linux.sysctl", () => {
  field("of the network, IPC and UTS namespaces", {
    change: (s) => {
      s.linux.sysctl = {
        "net.ipv4.ip_unprivileged_port_start": "80",
        "net/ipv4/ip_forward": "1",
        "kernel.shm_rmid_forced": "1",
        "kernel.msgmax": "4000",
        "fs.mqueue.msg_max": "7",
      };
      s.mounts.push({ destination: "/dev/mqueue", type: "mqueue", source: "mqueue" });
    },
    show: "cd /proc/sys; cat net/ipv4/ip_unprivileged_port_start net/ipv4/ip_forward kernel/shm_rmid_forced kernel/msgmax fs/mqueue/msg_max",
    expected: "80\n1\n1\n4000\n7\n",
  });
  for (const [name, value] of [
    ["kernel.domainname", "x.y"],
    ["kernel.hostname", "x"],
    ["kernel.core_pattern", "x"],
    ["vm.overcommit_memory", "1"],
    ["net.ipv4.none_such", "1"],
    ["user.max_user_namespaces", "5"],
  ] as const)
    field(name, {
      change: (s) => {
        s.linux.sysctl = { [name]: value };
      },
      show: `cat /proc/sys/${name.replaceAll(".", "/")}`,
      expected: name === "kernel.domainname" ? `${value}\n` : refused,
    });
  for (const type of ["network", "ipc"])
    field(`without a ${type} namespace of its own`, {
      change: (s) => {
        s.linux.namespaces = s.linux.namespaces.filter((n) => n.type !== type);
        s.mounts = s.mounts.filter(({ destination }) => destination !== "/sys");
        s.linux.sysctl = type === "ipc" ? { "kernel.msgmax": "4000" } : { "net.ipv4.ip_forward": "1" };
      },
      expected: refused,
    });
});

describe("linux.devices", () => {
  const device = (more: Record<string, unknown>) => ({
    path: "/dev/x",
    type: "c",
    major: 1,
    minor: 3,
    ...more,
  });
  const cases: readonly [string, Record<string, unknown>, Answer?, string?][] = [
    ["a character device", device({}), "character special file 666 0:0 1,3\n"],
    [
      "fileMode, uid and gid",
      device({ fileMode: 0o640, uid: 7, gid: 8 }),
      "character special file 640 7:8 1,3\n",
    ],
    ["fileMode with the type's bits", device({ fileMode: 0o20640 }), "character special file 640 0:0 1,3\n"],
    ["an unbuffered device", device({ type: "u", minor: 7 }), "character special file 666 0:0 1,7\n"],
    ["a block device", device({ type: "b", major: 7, minor: 2 }), "block special file 666 0:0 7,2\n"],
    ["a FIFO", { path: "/dev/x", type: "p", fileMode: 0o600 }, "fifo 600 0:0 0,0\n"],
    ["in a folder that is missing", device({ path: "/dev/deep/x" }), "character special file 666 0:0 1,3\n"],
    ["outside of /dev", device({ path: "/tmp/x" }), "character special file 666 0:0 1,3\n"],
    ["a type that is none", device({ type: "d" }), refused],
    ["without numbers", { path: "/dev/x", type: "c" }, refused, "they are required; 0:0 is nothing's number"],
    ["a path that is not absolute", device({ path: "dev/x" }), refused],
  ];
  for (const [title, one, expected, differs] of cases)
    field(title, {
      change: (s) => {
        s.linux.devices = [one];
      },
      show: `stat -c '%F %a %u:%g %t,%T' ${String(one.path)}`,
      ...(expected === undefined ? {} : { expected }),
      ...(differs === undefined ? {} : { differs }),
    });
  field("the usual ones are there without being asked for", {
    show: "cd /dev; for f in *; do [ -h $f ] && echo $f $(readlink $f) || stat -c '%n %F %a %t,%T' $f; done | grep -v shm",
  });
});

describe("linux.maskedPaths, linux.readonlyPaths", () => {
  field("a file, a folder, one that is not there", {
    change: (s) => {
      s.linux.maskedPaths = ["/proc/uptime", "/proc/irq", "/etc/nothing", "/proc/nothing"];
      s.linux.readonlyPaths = [];
    },
    show: "wc -c </proc/uptime; ls -A /proc/irq | wc -l; ls /etc; (echo x >/proc/irq/x) 2>/dev/null || echo refused",
    expected: "0\n0\nrefused\n",
  });
  field("read-only: a file, a folder, one that is not there", {
    change: (s) => {
      s.linux.maskedPaths = [];
      s.linux.readonlyPaths = ["/proc/sys", "/tmp", "/etc/nothing"];
    },
    show: "(echo x >/tmp/x) 2>/dev/null || echo refused; grep -c -E ' /(tmp|proc/sys) ro' /proc/self/mountinfo",
    expected: "refused\n2\n",
  });
  for (const name of ["maskedPaths", "readonlyPaths"] as const)
    field(`${name}: not absolute`, {
      change: (s) => {
        s.linux[name] = ["proc/keys"];
      },
      expected: refused,
      differs: "they must be absolute: nothing would be protected",
    });
});

describe("linux.cgroupsPath", () => {
  for (const [title, change] of [
    ["absolute", (path: string) => path],
    ["relative: a place of the runtime's choice", (path: string) => path.slice(1)],
  ] as const)
    compare(title, {
      change: (s) => {
        sleeping(s);
        s.linux.cgroupsPath = change(s.linux.cgroupsPath);
      },
      observe: (b) => {
        const name = b.cgroup.replace(/^\//, "");
        if (b.create().code !== 0) return refused;
        const pids = readFileSync(`/proc/${b.pid()}/cgroup`, "utf8").split("\n");
        return (
          pids.find((line) => line.includes(":pids:") || line.startsWith("0::/"))?.includes(name) ?? false
        );
      },
      expected: true,
    });
});

describe("linux.netDevices", () => {
  // A network namespace that stands for the host's: nothing of the machine is moved.
  const host = `kobako-fields-${randomBytes(4).toString("hex")}`;
  const ip = (...args: string[]) => execFileSync("ip", ["-n", host, ...args]);
  beforeAll(() => void execFileSync("ip", ["netns", "add", host]));
  afterAll(() => void execFileSync("ip", ["netns", "del", host]));
  let links = 0;
  const cases: readonly [string, (name: string) => Record<string, unknown>, Answer][] = [
    [
      "a link is moved with its addresses and renamed",
      (name) => ({ [name]: { name: "eth7" } }),
      ["eth7 UP", "eth7 192.0.2.7/24", "eth7 2001:db8::7/64"],
    ],
    ["one that is not there", () => ({ nobody: {} }), refused],
    ["a name that is taken", (name) => ({ [name]: { name: "lo" } }), refused],
    ["a name that is none", (name) => ({ [name]: { name: "a/b" } }), refused],
  ];
  for (const [title, netDevices, expected] of cases)
    field(title, {
      before: ["/usr/bin/nsenter", `--net=/run/netns/${host}`],
      change: (s) => {
        const name = `one${links++}`; // the last one goes with its container, some time
        ip("link", "add", name, "type", "veth", "peer", "name", `peer${name}`);
        ip("addr", "add", "192.0.2.7/24", "dev", name);
        ip("addr", "add", "2001:db8::7/64", "nodad", "dev", name);
        set(s.linux, { netDevices: netDevices(name) });
      },
      show: "busybox ip -o link show; busybox ip -o addr show",
      answer: (out) => [
        ...Array.from(
          out.matchAll(/^\d+: (eth\d+)@?\S*: <[^>]*\b(UP)\b/gm),
          ([, name, up]) => `${name} ${up}`,
        ),
        ...Array.from(
          out.matchAll(/^\d+: (eth\d+) +inet6? (\S+).* scope global/gm),
          ([, name, address]) => `${name} ${address}`,
        ),
      ],
      expected,
    });
});

describe("annotations", () => {
  compare("are told by state", {
    change: (s) => {
      sleeping(s);
      s.annotations = { "org.example.a": "b", "org.example.empty": "" };
    },
    observe: (b) => {
      b.create();
      const { annotations = {} } = JSON.parse(b.oci(["state", b.id]).stdout) as {
        annotations?: Record<string, string>;
      };
      return Object.fromEntries(Object.entries(annotations).filter(([key]) => key.startsWith("org.example")));
    },
    expected: { "org.example.a": "b", "org.example.empty": "" },
  });
  field("a value that is no text", {
    change: (s) => set(s, { annotations: { a: 1 } }),
    expected: refused,
  });
});

describe("fields that can't be had here", () => {
  field("linux.intelRdt without resctrl in the kernel", {
    change: (s) => set(s.linux, { intelRdt: { closID: "a", l3CacheSchema: "L3:0=f" } }),
    expected: refused,
  });
  field("linux.mountLabel without SELinux", {
    change: (s) => set(s.linux, { mountLabel: "system_u:object_r:container_file_t:s0" }),
    expected: refused,
  });
  field("a member that nobody knows", {
    change: (s) => set(s.linux, { wish: { a: 1 } }),
    show: "echo yes",
    expected: "yes\n",
  });
  field("what is another platform's", {
    change: (s) => set(s, { windows: { layerFolders: ["x"] } }),
    expected: refused,
    differs: "nothing of it can be had here: not the container that was asked for",
  });
});
