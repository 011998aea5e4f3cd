import { describe, expect, it } from "vitest";
import type { OciSpec } from "../../oci/runtime-spec.ts";
import { type ExternalRequest, externalSpec, systemdPath } from "./spec.ts";

const bundle = "/run/pod/c1";
const own: OciSpec = {
  ociVersion: "1.2.0",
  process: {
    terminal: false,
    user: { uid: 0, gid: 0 },
    args: ["/bin/true"],
    env: [],
    cwd: "/",
    oomScoreAdj: -997,
  },
  root: { path: "rootfs", readonly: false },
  mounts: [
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: [] },
    { destination: "/data", type: "bind", source: "/srv/data", options: ["rbind", "rshared", "rw"] },
    { destination: "/etc/hosts", type: "bind", source: "/run/hosts", options: ["rbind", "rprivate", "rw"] },
  ],
  annotations: {},
  linux: {
    cgroupsPath: "/kubepods.slice/kubepods-pod1.slice/kobako-c1.scope",
    namespaces: [{ type: "mount" }],
    resources: {},
    maskedPaths: [],
    readonlyPaths: [],
  },
} as unknown as OciSpec;

const input = (over: Partial<ExternalRequest> = {}): ExternalRequest => ({
  request: { spec: own, bundle, shm: true },
  namespaces: { network: "pod", ipc: "pod", uts: "pod", pid: "pod" },
  kind: "runc",
  ociVersion: "1.3.0",
  oomScoreAdjMin: -1000,
  systemdCgroup: false,
  x32: false,
  ...over,
});

describe("the config.json of an external runtime", () => {
  it("names the pod's namespaces and /dev/shm by path, and what is shared by a clone of it", () => {
    const { spec, shares } = externalSpec(input());
    expect(spec.linux.namespaces).toEqual([
      { type: "mount" },
      { type: "network", path: `${bundle}/ns/net` },
      { type: "ipc", path: `${bundle}/ns/ipc` },
      { type: "uts", path: `${bundle}/ns/uts` },
      { type: "pid", path: `${bundle}/ns/pid` },
    ]);
    expect(spec.mounts.map(({ destination, source }) => [destination, source])).toEqual([
      ["/dev/mqueue", "mqueue"],
      ["/dev/shm", `${bundle}/shm`],
      ["/data", `${bundle}/share-0`],
      ["/etc/hosts", "/run/hosts"],
    ]);
    expect(shares).toEqual([{ source: "/srv/data", target: `${bundle}/share-0` }]);
  });

  it("leaves the host's namespaces out, and of a sandbox's all but the network", () => {
    const host = { network: "host", ipc: "host", uts: "host", pid: "host" } as const;
    expect(externalSpec(input({ namespaces: host })).spec.linux.namespaces).toEqual([{ type: "mount" }]);
    expect(externalSpec(input({ kind: "runsc" })).spec.linux.namespaces).toEqual([
      { type: "mount" },
      { type: "network", path: `${bundle}/ns/net` },
    ]);
  });

  it.each([
    ["1.0.0", "1.0.0"],
    ["1.1.0", "1.1.0"],
    ["1.0.2-dev", "1.0.2-dev"],
    ["1.2.0", "1.2.0"],
    ["1.3.0", "1.2.0"],
  ])("for a program that takes %s is of version %s", (ociVersion, written) => {
    expect(externalSpec(input({ ociVersion })).spec.ociVersion).toBe(written);
  });

  it("asks for no lower OOM score than the host lets anybody set", () => {
    expect(externalSpec(input()).spec.process.oomScoreAdj).toBe(-997);
    expect(externalSpec(input({ oomScoreAdjMin: 0 })).spec.process.oomScoreAdj).toBe(0);
  });

  it("names its cgroup by path, for systemd by slice, prefix and name, and not at all in a sandbox", () => {
    expect(externalSpec(input()).spec.linux.cgroupsPath).toBe(own.linux.cgroupsPath);
    const { linux } = externalSpec(input({ systemdCgroup: true })).spec;
    expect(linux.cgroupsPath).toBe("kubepods-pod1.slice:kobako:c1");
    expect(externalSpec(input({ kind: "runsc" })).spec.linux.cgroupsPath).toBe("");
    for (const path of ["/kubepods/pod1/c1", "/a.slice/c1", "/a.slice/b/kobako-c1.scope", "kobako-c1.scope"])
      expect(() => systemdPath(path)).toThrow(/no scope in a slice/);
  });

  it("has a filter for the ABIs that the kernel has", () => {
    const architectures = (names: string[] | undefined, x32: boolean) => {
      const seccomp = {
        ...(names && { architectures: names }),
        defaultAction: "SCMP_ACT_ERRNO",
        syscalls: [],
      };
      const request = { spec: { ...own, linux: { ...own.linux, seccomp } } as OciSpec, bundle, shm: true };
      return externalSpec(input({ request, x32 })).spec.linux.seccomp;
    };
    const all = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];
    expect(architectures(all, true)).toMatchObject({ architectures: all, defaultAction: "SCMP_ACT_ERRNO" });
    expect(architectures(all, false)).toMatchObject({
      architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
      defaultAction: "SCMP_ACT_ERRNO",
    });
    expect(architectures(undefined, false)).not.toHaveProperty("architectures");
    expect(externalSpec(input()).spec.linux).not.toHaveProperty("seccomp");
  });
});
