import { describe, expect, it } from "vitest";
import type { ContainerMount } from "../config.ts";
import type { MountSource } from "./facts.ts";
import { usesPodShm } from "./mount.ts";
import { specOf } from "./spec.fixture.ts";

const invalid = (part: RegExp) =>
  expect.objectContaining({ kind: "invalid-argument", message: expect.stringMatching(part) });
const impossible = (part: RegExp) =>
  expect.objectContaining({ kind: "failed-precondition", message: expect.stringMatching(part) });

const mount = (
  containerPath: string,
  hostPath = "/src",
  more: Partial<ContainerMount> = {},
): ContainerMount => ({
  containerPath,
  hostPath,
  readonly: false,
  recursiveReadonly: false,
  selinuxRelabel: false,
  propagation: "private",
  ...more,
});

function planned(mounts: ContainerMount[], source: Partial<MountSource> = {}, more = {}) {
  const sources = new Map(
    mounts.map(({ hostPath }) => [
      hostPath,
      { path: hostPath, propagation: "private" as const, mountPoint: "/", ...source },
    ]),
  );
  return specOf({ container: { mounts }, facts: { sources }, ...more }).spec;
}
const destinations = (spec: ReturnType<typeof planned>) => spec.mounts.map(({ destination }) => destination);
const optionsOf = (spec: ReturnType<typeof planned>, path: string) =>
  spec.mounts.find(({ destination }) => destination === path)?.options;

describe("mounts of a request", () => {
  it("are id-mapped as their pod is, or not at all", () => {
    const idMap = { hostId: 100_000, length: 65_536 };
    const namespaces = {
      network: "pod",
      pid: "container",
      ipc: "pod",
      targetId: "",
      user: "pod",
      idMap,
    } as const;
    const inPod = { pod: { namespaces }, security: { namespaces } };
    const spec = planned([mount("/mapped", "/a", { idMap }), mount("/plain", "/b")], {}, inPod);
    const lines = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
    const find = (path: string) => spec.mounts.find(({ destination }) => destination === path);
    expect(find("/mapped")).toMatchObject({ uidMappings: lines, gidMappings: lines });
    expect(find("/plain")).not.toHaveProperty("uidMappings");
    const other = { ...idMap, hostId: 1 };
    expect(() => planned([mount("/m", "/a", { idMap: other })], {}, inPod)).toThrow(
      invalid(/"\/m".*not the pod's range/),
    );
    expect(() => planned([mount("/m", "/a", { idMap })])).toThrow(invalid(/"\/m".*no user namespace/));
    expect(() => planned([mount("/m", "/a", { idMap }), mount("/m", "/a")], {}, inPod)).toThrow(
      invalid(/two mounts/),
    );
  });

  it("come after the kernel's, the deeper after the shallower, equal depth in their order", () => {
    const order = destinations(
      planned([mount("/a/b/c"), mount("/z"), mount("/a/b"), mount("/a"), mount("/b")]),
    ).slice(6);
    expect(order).toEqual([
      "/z",
      "/a",
      "/b",
      "/a/b",
      "/etc/hosts",
      "/etc/hostname",
      "/etc/resolv.conf",
      "/a/b/c",
    ]);
  });

  it("of a pod with a user namespace receive the host's mounts, and send none", () => {
    const namespaces = { network: "pod", pid: "container", ipc: "pod", targetId: "", user: "pod" } as const;
    const inPod = { pod: { namespaces: { ...namespaces, idMap: { hostId: 1, length: 9 } } } };
    const security = { namespaces: { ...namespaces, user: undefined } };
    const plan = (propagation: "slave" | "shared") =>
      planned([mount("/m", "/a", { propagation })], { propagation: "shared" }, { ...inPod, security });
    expect(optionsOf(plan("slave"), "/m")).toContain("rslave");
    expect(() => plan("shared")).toThrow(invalid(/"\/m" has bidirectional propagation/));
  });

  it("replace one of ours at the same place", () => {
    for (const path of [
      "/etc/hosts",
      "/etc/hostname",
      "/etc/resolv.conf",
      "/dev/mqueue",
      "/sys",
      "/sys/fs/cgroup",
      "/dev/pts",
    ]) {
      const spec = planned([mount(`${path}/`)]);
      expect(
        spec.mounts.filter(({ destination }) => destination === path).map(({ source }) => source),
      ).toEqual(["/src"]);
    }
  });

  it("at /dev replace all of ours below it", () => {
    expect(destinations(planned([mount("/dev", "/dev")])).filter((path) => path.startsWith("/dev"))).toEqual([
      "/dev",
    ]);
  });

  it("are made from the source as found, its links resolved", () => {
    expect(planned([mount("/a", "/link")], { path: "/real" }).mounts.at(-4)).toEqual({
      destination: "/a",
      type: "bind",
      source: "/real",
      options: ["rbind", "rprivate", "rw"],
    });
  });

  it("have a clean destination", () => {
    expect(destinations(planned([mount("//a/./b//")]))).toContain("/a/b");
    expect(destinations(planned([mount("rel/x")]))).toContain("/rel/x");
    expect(destinations(planned([mount("/a/../../b")]))).toContain("/b");
    for (const path of ["", "/a\0b"]) expect(() => planned([mount(path)])).toThrow(invalid(/destination/));
    for (const path of ["/", "/..", "/a/.."]) expect(() => planned([mount(path)])).toThrow(invalid(/root/));
  });

  it("never replace what the kernel says in /proc, but for known tables (M3)", () => {
    for (const path of [
      "/proc",
      "/proc/self/attr",
      "/proc/sys/kernel/core_pattern",
      "/proc/../proc/1",
      "/proc/cpuinfo/x",
    ]) {
      expect(() => planned([mount(path)])).toThrow(invalid(/\/proc/));
    }
    expect(destinations(planned([mount("/proc/cpuinfo"), mount("/proc/meminfo")]))).toContain(
      "/proc/cpuinfo",
    );
    expect(destinations(planned([mount("/proc", "/proc")])).filter((path) => path === "/proc")).toHaveLength(
      1,
    );
    expect(destinations(planned([mount("/process")]))).toContain("/process");
  });

  it("at one place are one when equal, and refused when not", () => {
    expect(destinations(planned([mount("/a"), mount("/a/")])).filter((path) => path === "/a")).toHaveLength(
      1,
    );
    expect(() => planned([mount("/a"), mount("/a", "/other")])).toThrow(invalid(/two mounts at "\/a"/));
    expect(() => planned([mount("/a"), mount("/a", "/src", { readonly: true })])).toThrow(
      invalid(/two mounts/),
    );
  });

  it("never become options, whatever their text (M12)", () => {
    const nasty = "/a,rw:suid\\ \n\t,upperdir=";
    const spec = planned([mount(nasty, nasty)]);
    const bind = spec.mounts.find(({ source }) => source === nasty);
    expect(bind).toEqual({
      destination: nasty,
      type: "bind",
      source: nasty,
      options: ["rbind", "rprivate", "rw"],
    });
    const known =
      /^(r?bind|r(private|slave|shared)|rw|ro|rro|nosuid|noexec|nodev|strictatime|relatime|newinstance|(mode|size|gid|ptmxmode)=[0-9]+k?)$/;
    for (const option of spec.mounts.flatMap(({ options }) => options ?? [])) expect(option).toMatch(known);
  });
});

describe("read-only mounts (M13)", () => {
  it.each([
    [false, false, "rw"],
    [true, false, "ro"],
    [true, true, "rro"],
  ])("read-only %s, recursively %s: %s", (readonly, recursiveReadonly, expected) => {
    expect(optionsOf(planned([mount("/a", "/src", { readonly, recursiveReadonly })]), "/a")).toEqual([
      "rbind",
      "rprivate",
      expected,
    ]);
  });

  it("are recursive only when read-only, private, and with the kernel's help", () => {
    const recursiveReadonly = true;
    expect(() => planned([mount("/a", "/s", { recursiveReadonly })])).toThrow(invalid(/not read-only/));
    const slave = mount("/a", "/s", { recursiveReadonly, readonly: true, propagation: "slave" });
    expect(() => planned([slave], { propagation: "shared" })).toThrow(invalid(/private propagation/));
    const asked = [mount("/a", "/s", { recursiveReadonly, readonly: true })];
    expect(() => planned(asked, {}, { host: { recursiveReadonly: false } })).toThrow(impossible(/5\.12/));
  });
});

describe("propagation (M13)", () => {
  const refused = "refused";
  it.each([
    ["private", "private", undefined],
    ["private", "shared", undefined],
    ["slave", "shared", "rslave"],
    ["slave", "slave", "rslave"],
    ["slave", "private", refused],
    ["shared", "shared", "rshared"],
    ["shared", "slave", refused],
    ["shared", "private", refused],
  ] as const)("%s from a %s mount", (propagation, held, expected) => {
    const plan = () =>
      planned([mount("/a", "/mnt/x", { propagation })], { propagation: held, mountPoint: "/mnt" });
    if (expected === refused)
      return expect(plan).toThrow(impossible(/"\/mnt\/x" lies on "\/mnt", which is not a shared/));
    expect(optionsOf(plan(), "/a")?.[1]).toBe(`r${propagation}`);
    expect(plan().linux.rootfsPropagation).toBe(expected);
  });

  it("of the root is shared as soon as one mount is", () => {
    const mounts = [
      mount("/a", "/x", { propagation: "shared" }),
      mount("/b", "/y", { propagation: "slave" }),
    ];
    expect(planned(mounts, { propagation: "shared" }).linux.rootfsPropagation).toBe("rshared");
    expect(planned(mounts.toReversed(), { propagation: "shared" }).linux.rootfsPropagation).toBe("rshared");
  });
});

describe("/dev/shm", () => {
  it("is the pod's, unless the pod has the host's IPC or the request mounts there", () => {
    expect(usesPodShm([], false)).toBe(true);
    expect(usesPodShm([mount("/dev/shm/x")], false)).toBe(true);
    expect(usesPodShm([], true)).toBe(false);
    expect(usesPodShm([mount("/dev/shm/")], false)).toBe(false);
    expect(usesPodShm([mount("/dev")], false)).toBe(false);
  });

  it("is the host's with the host's IPC", () => {
    const namespaces = { network: "pod", pid: "container", ipc: "node", targetId: "", user: "node" } as const;
    const { spec } = specOf({ pod: { namespaces }, security: { namespaces } });
    expect(spec.mounts.find(({ destination }) => destination === "/dev/shm")).toEqual({
      destination: "/dev/shm",
      type: "bind",
      source: "/dev/shm",
      options: ["rbind", "rprivate", "rw"],
    });
    expect(specOf().spec.mounts.map(({ destination }) => destination)).not.toContain("/dev/shm");
  });
});
