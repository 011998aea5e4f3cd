/** root, mounts and linux.rootfsPropagation, field by field: what /proc/self/mountinfo in the container says. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, describe } from "vitest";
import type { Bundle, Spec } from "../../integration/oci/bundle.ts";
import { type Answer, compare } from "../compare.ts";
import { field, refused } from "./field.ts";

/** Of each mount below /m, by its name there: flags, propagation, filesystem, superblock options. */
function shown(text: string): Answer {
  const lines = text.split("\n").filter((line) => line.includes(" /m/"));
  return Object.fromEntries(
    lines.map((line) => {
      const [, , , , at = "", flags = "", ...rest] = line.split(" ");
      const dash = rest.indexOf("-");
      const propagation = rest.slice(0, dash).map((word) => word.replace(/:.*/, ""));
      return [at.slice(3), [flags.replace(/^rw,?/, ""), ...propagation].filter((t) => t !== "").join(" ")];
    }),
  );
}
const superblock = (text: string) =>
  text
    .split("\n")
    .filter((line) => line.includes(" /m/"))
    .map((line) => line.replace(/.* - (\S+) \S+ /, "$1 "));

const mountinfo = { show: "cat /proc/self/mountinfo", answer: shown };
const tmpfs = (name: string, ...options: string[]) => ({
  destination: `/m/${name}`,
  type: "tmpfs",
  source: "tmpfs",
  options,
});

/** A folder `volume` of the bundle with a file, owned by 5:6, and a folder in it. */
function volume(b: Bundle): void {
  mkdirSync(join(b.folder, "volume/inner"), { recursive: true });
  writeFileSync(join(b.folder, "volume/file"), "text\n");
  chownSync(join(b.folder, "volume/file"), 5, 6);
}

const bind = (name: string, ...options: string[]) => ({
  destination: `/m/${name}`,
  type: "bind",
  source: "volume",
  options,
});

/**
 * What stands before a runtime that is to find the volume as a mount, made by `line` in the bundle ($b), in a mount
 * namespace whose mounts pass theirs on (as on a host with systemd) or do not.
 */
function mounted(line: string, propagation: "rshared" | "rprivate"): readonly string[] {
  const folder = `b=$(echo "$*" | sed -n 's/.*-b \\([^ ]*\\).*/\\1/p')`;
  const script = `${folder}; mount --make-${propagation} /; if [ "$b" ]; then ${line}; fi; exec "$@"`;
  return ["/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/sh", "-ec", script, "sh"];
}
const shared = mounted(
  "mount -t tmpfs v $b/volume; mkdir $b/volume/inner; mount -t tmpfs w $b/volume/inner",
  "rshared",
);
const inner = mounted("mount -t tmpfs w $b/volume/inner; touch $b/volume/inner/file", "rprivate");
const readOnly = mounted("mount --bind -o ro $b/volume $b/volume", "rprivate");

/** v1: a folder with a mount for each hierarchy. */
const cgroupType = existsSync("/sys/fs/cgroup/cgroup.controllers") ? "cgroup2\n" : "tmpfs\n";

describe("root", () => {
  field("path: relative to the bundle", {
    show: "ls /",
    change: (_s, b) => mkdirSync(join(b.rootfs, "here")),
  });
  field("path: absolute", {
    change: (s, b) => {
      s.root.path = b.rootfs;
    },
    show: "echo yes",
    expected: "yes\n",
  });
  field("path: not there", {
    change: (s) => {
      s.root.path = "nowhere";
    },
    expected: refused,
  });
  for (const readonly of [true, false])
    field(`readonly: ${readonly}`, {
      change: (s) => {
        s.root.readonly = readonly;
        s.mounts.push(tmpfs("rw"));
      },
      show: "touch /x 2>/dev/null && echo written; touch /m/rw/x && echo below",
      expected: `${readonly ? "" : "written\n"}below\n`,
    });
});

describe("mounts[].options", () => {
  // What mountinfo then has; relatime unless the access times are said.
  const flags: Readonly<Record<string, string>> = {
    ...Object.fromEntries(["rw", "suid", "dev", "exec", "diratime"].map((o) => [o, "relatime"])),
    ...Object.fromEntries(["relatime", "norelatime", "atime", "nostrictatime"].map((o) => [o, "relatime"])),
    ...Object.fromEntries(["ro", "nosuid", "nodev", "noexec", "nodiratime"].map((o) => [o, `${o},relatime`])),
    noatime: "noatime",
    strictatime: "",
  };
  for (const [title, make] of [
    ["tmpfs", (o: string) => tmpfs(o, o)],
    ["bind", (o: string) => bind(o, "bind", o)],
  ] as const)
    field(`flags of a ${title} mount`, {
      change: (s, b) => {
        volume(b);
        s.mounts.push(...Object.keys(flags).map(make));
      },
      ...mountinfo,
      expected: flags,
    });
  for (const quiet of [["async", "nomand", "nolazytime"], ["noiversion", "loud", "silent"], ["defaults"]])
    field(`${quiet.join(", ")}: what is so anyway`, {
      change: (s) => s.mounts.push(...quiet.map((o) => tmpfs(o, o))),
      ...mountinfo,
      expected: Object.fromEntries(quiet.map((o) => [o, "relatime"])),
    });
  field("the last one of a pair holds", {
    change: (s) => s.mounts.push(tmpfs("a", "ro", "rw"), tmpfs("b", "rw", "ro")),
    ...mountinfo,
    expected: { a: "relatime", b: "ro,relatime" },
  });
  field("the last one of noatime and relatime holds", {
    change: (s) => s.mounts.push(tmpfs("a", "relatime", "noatime"), tmpfs("b", "noatime", "relatime")),
    ...mountinfo,
    expected: { a: "noatime", b: "relatime" },
    differs: "as of every other pair; for the others noatime holds whatever follows",
  });
  field("nosymfollow", {
    change: (s) => s.mounts.push(tmpfs("a", "nosymfollow")),
    ...mountinfo,
    expected: { a: "relatime,nosymfollow" },
  });
  field("sync, dirsync, lazytime and the filesystem's own: of the superblock", {
    change: (s) =>
      s.mounts.push(
        tmpfs("a", "sync", "dirsync"),
        tmpfs("b", "size=1m", "mode=750", "uid=3", "gid=4", "nr_inodes=90"),
        tmpfs("c", "lazytime"),
      ),
    show: "cat /proc/self/mountinfo; stat -c '%a %u:%g' /m/b",
    answer: (out) => [...superblock(out), out.trim().split("\n").at(-1) ?? ""],
    expected: [
      "tmpfs rw,sync,dirsync",
      "tmpfs rw,size=1024k,nr_inodes=90,mode=750,uid=3,gid=4",
      "tmpfs rw,lazytime",
      "750 3:4",
    ],
  });
  field("an option that nobody knows", {
    change: (s) => s.mounts.push(tmpfs("a", "wish")),
    expected: refused,
  });
  const recursive = {
    rro: "ro,relatime",
    rnosuid: "nosuid,relatime",
    rnodev: "nodev,relatime",
    rnoexec: "noexec,relatime",
    rnoatime: "noatime",
    rnodiratime: "nodiratime,relatime",
    rnosymfollow: "relatime,nosymfollow",
  };
  field("the recursive ones hold for mounts below", {
    before: inner,
    change: (s, b) => {
      volume(b);
      s.mounts.push(...[...Object.keys(recursive), "ro"].map((o) => bind(o, "rbind", o)));
    },
    ...mountinfo,
    expected: {
      ...Object.fromEntries(
        Object.entries(recursive).flatMap(([o, f]) => [
          [o, f],
          [`${o}/inner`, f],
        ]),
      ),
      ro: "ro,relatime",
      "ro/inner": "relatime",
    },
  });
  field("ro of a read-only source, rw of it", {
    before: readOnly,
    change: (s, b) => {
      volume(b);
      s.mounts.push(bind("ro", "bind", "ro"), bind("rw", "bind", "rw"), bind("nothing", "bind"));
    },
    ...mountinfo,
    expected: { ro: "ro,relatime", rw: "relatime", nothing: "ro,relatime" },
  });
  const alone = ["private", "slave", "unbindable"].flatMap((o) => [o, `r${o}`]);
  const together = ["shared", "rshared"];
  const bound = (options: readonly string[]) => (s: Spec, b: Bundle) => {
    volume(b);
    s.mounts.push(...options.map((o) => bind(o, "rbind", o)));
  };
  field("propagation: private, slave, unbindable, of the top and of all below", {
    before: shared,
    change: bound(alone),
    ...mountinfo,
    expected: {
      private: "relatime",
      "private/inner": "relatime master",
      rprivate: "relatime",
      "rprivate/inner": "relatime",
      slave: "relatime master",
      "slave/inner": "relatime master",
      rslave: "relatime master",
      "rslave/inner": "relatime master",
      unbindable: "relatime unbindable",
      "unbindable/inner": "relatime master",
      runbindable: "relatime unbindable",
      "runbindable/inner": "relatime unbindable",
    },
  });
  field("propagation: shared", {
    before: shared,
    change: bound(together),
    ...mountinfo,
    expected: {
      shared: "relatime shared",
      "shared/inner": "relatime shared",
      rshared: "relatime shared",
      "rshared/inner": "relatime shared",
    },
    differs: "with the mount that was given, as asked; with runc so only if rootfsPropagation is shared too",
  });
  field("propagation: nothing said", {
    before: shared,
    change: (s, b) => {
      volume(b);
      s.mounts.push(bind("none", "rbind"));
    },
    ...mountinfo,
    expected: { none: "relatime", "none/inner": "relatime" },
  });
  field("propagation of a tmpfs", {
    change: (s) => s.mounts.push(...[...alone, ...together].map((o) => tmpfs(o, o))),
    ...mountinfo,
  });
  field("tmpcopyup: starts with what the image has there", {
    change: (s, b) => {
      mkdirSync(join(b.rootfs, "up/in"), { recursive: true });
      writeFileSync(join(b.rootfs, "up/in/file"), "text\n", { mode: 0o640 });
      symlinkSync("/etc/nowhere", join(b.rootfs, "up/link"));
      s.mounts.push({ destination: "/up", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"] });
    },
    show: "cat /up/in/file; stat -c %a /up/in/file; readlink /up/link; touch /up/x && echo writable",
    expected: "text\n640\n/etc/nowhere\nwritable\n",
  });
  /** An overlay of folders of the bundle with names that are so long that fsconfig(2) does not take them together. */
  const layers = (...options: string[]) => ({
    change: (s: Spec, b: Bundle) => {
      const lower = ["a", "b"].map((name) => {
        const folder = join(b.folder, name.repeat(150));
        mkdirSync(folder);
        writeFileSync(join(folder, name), `${name}\n`);
        return folder;
      });
      const overlay = { destination: "/m/o", type: "overlay", source: "overlay" };
      s.mounts.push({ ...overlay, options: [`lowerdir=${lower.join(":")}`, ...options] });
    },
    show: "cat /m/o/a /m/o/b; awk '$5 == \"/m/o\" {print $6}' /proc/self/mountinfo; awk '$5 == \"/\"' /proc/self/mountinfo | wc -l",
  });
  field("a value of more than 255 bytes", { ...layers(), expected: "a\nb\nrw,relatime\n1\n" });
  field("a value of more than 255 bytes, with flags", {
    ...layers("nosuid", "noatime", "ro", "sync"),
    expected: "a\nb\nro,nosuid,noatime\n1\n",
  });
  field("remount: another look at what is mounted there", {
    change: (s) => s.mounts.push(tmpfs("a"), tmpfs("a", "remount", "ro")),
    ...mountinfo,
    expected: { a: "ro,relatime" },
  });
});

describe("mounts[].destination, type and source", () => {
  field("a folder and a file are bound, targets that are missing are made", {
    change: (s, b) => {
      volume(b);
      const file = { destination: "/new/deep/file", type: "bind", source: "volume/file", options: ["bind"] };
      s.mounts.push(bind("folder", "rbind"), { ...file, source: join(b.folder, "volume/file") });
    },
    show: "cat /m/folder/file /new/deep/file; stat -c '%F %a' /new /m /m/folder",
    expected: "text\ntext\ndirectory 755\ndirectory 755\ndirectory 755\n",
  });
  field("a bind by its option alone, and with the type none", {
    change: (s, b) => {
      volume(b);
      const source = join(b.folder, "volume");
      s.mounts.push(
        { destination: "/m/option", source, options: ["bind"] },
        { destination: "/m/none", type: "none", source, options: ["rbind"] },
      );
    },
    show: "cd /m; cat */file | wc -l; ls",
    expected: "2\nnone\noption\n",
  });
  field("a bind by its type alone", {
    change: (s, b) => {
      volume(b);
      s.mounts.push({ destination: "/m/x", type: "bind", source: join(b.folder, "volume") });
    },
    show: "cat /m/x/file",
    expected: "text\n",
    differs: "there is no filesystem of that name: nothing else can be meant",
  });
  field("a source that is not there", {
    change: (s) => s.mounts.push(bind("x", "bind")),
    expected: refused,
  });
  field("a destination that is relative is below the root", {
    change: (s) => s.mounts.push({ ...tmpfs("x"), destination: "m/x" }),
    ...mountinfo,
    expected: { x: "relatime" },
  });
  field("a destination with dots and links stays below the root", {
    change: (s, b) => {
      mkdirSync(join(b.rootfs, "m"));
      symlinkSync("../../../m", join(b.rootfs, "up"));
      s.mounts.push({ ...tmpfs("x"), destination: "/up/../m/./x" });
    },
    ...mountinfo,
    expected: { x: "relatime" },
  });
  field("mounts are made in their order", {
    change: (s) => s.mounts.push(tmpfs("a", "size=1m"), tmpfs("a/b", "size=2m"), tmpfs("a", "size=3m")),
    show: "awk '$5 ~ /^.m./ {print $5, $NF}' /proc/self/mountinfo",
    expected: "/m/a rw,size=1024k\n/m/a/b rw,size=2048k\n/m/a rw,size=3072k\n",
  });
  for (const type of ["mqueue", "devpts", "proc", "sysfs", "cgroup", "nofs"])
    field(`type: ${type}`, {
      change: (s) => s.mounts.push({ destination: "/m/x", type, source: type }),
      show: "grep ' /m/x ' /proc/self/mountinfo | sed 's/.* - \\([^ ]*\\) .*/\\1/'",
      expected: type === "nofs" ? refused : type === "cgroup" ? cgroupType : `${type}\n`,
    });
});

/** Tools that make a disk of a file, or why there is none. */
const noDisks = ["/usr/sbin/losetup", "/usr/sbin/mkfs.ext4", "/dev/loop-control"].filter(
  (path) => !existsSync(path),
);
if (noDisks.length > 0) console.log(`mounts of block devices are not tried: no ${noDisks.join(", ")}`);

describe.skipIf(noDisks.length > 0)("a filesystem on a block device", () => {
  const disks: string[] = [];
  const image = (b: Bundle) => join(b.folder, "disk.img");
  const digest = (b: Bundle) =>
    createHash("sha256")
      .update(readFileSync(image(b)))
      .digest("hex");
  const detach = (disk: string) => execFileSync("/usr/sbin/losetup", ["--detach", disk]);

  /** An ext4 on a disk of its own; what stands in `resources` says nothing of it. */
  function disk(s: Spec, b: Bundle, options: readonly string[]): void {
    writeFileSync(image(b), "");
    truncateSync(image(b), 4 << 20);
    execFileSync("/usr/sbin/mkfs.ext4", ["-q", image(b)]);
    const source = execFileSync("/usr/sbin/losetup", ["--find", "--show", image(b)], {
      encoding: "utf8",
    }).trim();
    disks.push(source);
    s.mounts.push({ destination: "/m/disk", type: "ext4", source, options: [...options] });
  }
  afterEach(() => {
    for (const each of disks.splice(0)) detach(each);
  });

  for (const [option, expected] of [
    ["ro", { shown: "lost+found\nro,relatime ext4 ro\n", written: false }],
    ["rw", { shown: "lost+found\nrw,relatime ext4 rw\nwritten\n", written: true }],
  ] as const)
    compare(`${option}: under the default device rules`, {
      change: (s, b) => {
        disk(s, b, [option]);
        const line = "awk '$5 == \"/m/disk\" {print $6, $(NF - 2), $NF}' /proc/self/mountinfo";
        const touch = "touch /m/disk/x 2>/dev/null && echo written";
        s.process.args = ["/bin/sh", "-c", `ls /m/disk; ${line}; ${touch}; true`];
      },
      observe: (b) => {
        const before = digest(b);
        const { stdout, stderr } = b.run();
        const written = digest(b) !== before;
        return { shown: stdout === "" ? stderr : stdout, written };
      },
      expected,
    });
});

describe("options of a cgroup mount", () => {
  const cgroup = (...options: string[]) => ({
    change: (s: Spec) => s.mounts.push({ destination: "/m/c", type: "cgroup", source: "cgroup", options }),
    show: 'awk \'$5 == "/m/c" {print $6, ($7 ~ /shared/) ? "shared" : "private"}\' /proc/self/mountinfo | tail -n 1',
  });
  field("propagation", {
    ...cgroup("nosuid", "nodev", "noexec", "rshared"),
    expected: `rw,nosuid,nodev,noexec,relatime shared\n`,
    // v2, where the others leave it out.
    ...(cgroupType === "tmpfs\n" ? {} : { differs: "as of any other mount" }),
  });
});

describe("mounts[].uidMappings, mounts[].gidMappings", () => {
  const map = (containerID: number, hostID: number) => [{ containerID, hostID, size: 1 }];
  const mapped = (s: Spec, option: string, members: Record<string, unknown>) =>
    s.mounts.push({ ...bind("v", "rbind", option), ...members });
  const owners = { show: "stat -c %u:%g /m/v/file /m/v/inner/file 2>/dev/null" };
  for (const [option, below] of [
    ["idmap", "0:0"],
    ["ridmap", "65534:65534"], // nobody's: root is not mapped
  ] as const)
    field(`${option}: owners are shown as others`, {
      before: inner,
      change: (s, b) => {
        volume(b);
        mapped(s, option, { uidMappings: map(5, 1005), gidMappings: map(6, 1006) });
      },
      ...owners,
      expected: `1005:1006\n${below}\n`,
    });
  field("idmap without mappings and without a user namespace", {
    change: (s, b) => {
      volume(b);
      mapped(s, "idmap", {});
    },
    expected: refused,
  });
  field("mappings of a mount that is no bind", {
    change: (s) => s.mounts.push({ ...tmpfs("v"), ...{ uidMappings: map(5, 6), gidMappings: map(5, 6) } }),
    expected: refused,
  });
});

describe("linux.rootfsPropagation", () => {
  const of = (line: string) =>
    line
      .split(" - ")[0]
      ?.split(" ")
      .slice(6)
      .map((w) => w.replace(/:.*/, "")) ?? [];
  const [none, master, own, no] = [[], ["master"], ["shared"], ["unbindable"]] as const;
  const cases: readonly [string, Answer, string?][] = [
    ["", { "/": none, "/m/v": none, "/m/v/inner": none }],
    ["private", { "/": none, "/m/v": none, "/m/v/inner": none }],
    ["rprivate", { "/": none, "/m/v": none, "/m/v/inner": none }],
    [
      "slave",
      { "/": master, "/m/v": master, "/m/v/inner": master },
      "a volume is never more shared than the root",
    ],
    ["rslave", { "/": master, "/m/v": master, "/m/v/inner": master }],
    ["shared", { "/": own, "/m/v": none, "/m/v/inner": none }],
    ["rshared", { "/": own, "/m/v": own, "/m/v/inner": own }],
    ["unbindable", { "/": no, "/m/v": none, "/m/v/inner": none }],
    ["runbindable", { "/": no, "/m/v": no, "/m/v/inner": no }, "the others bind what they can't any more"],
    ["wish", refused],
  ];
  for (const [propagation, expected, differs] of cases)
    field(propagation === "" ? "absent" : propagation, {
      before: shared,
      change: (s, b) => {
        if (propagation !== "") s.linux.rootfsPropagation = propagation;
        volume(b);
        s.mounts.push(bind("v", "rbind"));
      },
      show: "awk '$5 == \"/\" || $5 ~ /^.m.v/' /proc/self/mountinfo",
      answer: (out) =>
        Object.fromEntries(
          out
            .trim()
            .split("\n")
            .map((line) => [line.split(" ")[4] ?? "", of(line)]),
        ),
      expected,
      ...(differs === undefined ? {} : { differs }),
    });
});
