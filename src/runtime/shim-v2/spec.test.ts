import { mkdtempSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { OciSpec } from "../../oci/runtime-spec.ts";
import { MetricsV1, MetricsV2 } from "../../ttrpc/message.ts";
import { parseUsage } from "./metrics.ts";
import { overlayMount } from "./rootfs.ts";
import { sandboxSpec, shimSpec } from "./spec.ts";

const paths = { network: "/run/netns/p", ipc: "/proc/1/fd/5", uts: "/proc/1/fd/6", pid: undefined };
const spec = {
  mounts: [
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/dev/shm", type: "tmpfs", source: "shm" },
  ],
  linux: { namespaces: [{ type: "mount" }, { type: "pid" }] },
} as unknown as OciSpec;

describe("the spec of a shim's container", () => {
  it("names the pod's namespaces by path for a runtime on the host", () => {
    expect(shimSpec(spec, paths, false, undefined).linux.namespaces).toEqual([
      { type: "mount" },
      { type: "pid" },
      { type: "network", path: "/run/netns/p" },
      { type: "ipc", path: "/proc/1/fd/5" },
      { type: "uts", path: "/proc/1/fd/6" },
    ]);
  });

  it("names the network alone for a sandboxed one, which has the others inside", () => {
    expect(shimSpec(spec, paths, true, undefined).linux.namespaces).toEqual([
      { type: "mount" },
      { type: "pid" },
      { type: "network", path: "/run/netns/p" },
      { type: "ipc" },
      { type: "uts" },
    ]);
  });

  it("names none that is the host's", () => {
    const host = { network: undefined, ipc: undefined, uts: undefined, pid: undefined };
    expect(shimSpec(spec, host, false, undefined)).toEqual(spec);
  });

  it("has the pod's /dev/shm", () => {
    expect(shimSpec(spec, paths, false, "/run/pod/shm").mounts).toContainEqual({
      destination: "/dev/shm",
      type: "bind",
      source: "/run/pod/shm",
      options: ["rbind", "rw"],
    });
  });
});

it("a sandbox's own container has nothing but its program, and says whose it is", () => {
  const made = sandboxSpec({
    id: "p",
    hostname: "web",
    namespaces: { network: "pod", ipc: "pod", uts: "pod", pid: "container" },
    paths,
    cgroupsPath: "/pods/p",
    annotations: { "io.kubernetes.cri.container-type": "container", a: "b" },
    sysctls: { "net.ipv4.ip_forward": "1" },
  });
  expect(made.process.capabilities.effective).toEqual([]);
  expect(made.root.readonly).toBe(true);
  expect(made.annotations).toEqual({
    a: "b",
    "io.kubernetes.cri.container-type": "sandbox",
    "io.kubernetes.cri.sandbox-id": "p",
  });
  expect(made.linux.namespaces).toContainEqual({ type: "network", path: "/run/netns/p" });
  expect(made.linux.sysctl).toEqual({ "net.ipv4.ip_forward": "1" });
});

describe("the mount of a root filesystem", () => {
  it("is an overlay of the layers, top first", () => {
    const mount = overlayMount(
      { lower: ["/l/2", "/l/1"], upper: "/u", work: "/w", options: ["volatile"] },
      "/b",
    );
    expect(mount).toEqual({
      type: "overlay",
      source: "overlay",
      options: ["lowerdir=/l/2:/l/1", "upperdir=/u", "workdir=/w", "index=off", "volatile"],
    });
  });

  it("gives short names to layers that are too many for mount(2)", () => {
    const bundle = mkdtempSync(join(tmpdir(), "kobako-b-"));
    const lower = Array.from({ length: 100 }, (_, i) => `/var/lib/kobako/layers/${"f".repeat(64)}${i}`);
    const { options = [] } = overlayMount({ lower, upper: "/u", work: "/w", options: [] }, bundle);
    const names = (options[0] ?? "").slice("lowerdir=".length).split(":");
    expect(names.map((name) => readlinkSync(name))).toEqual(lower);
    rmSync(bundle, { recursive: true });
  });
});

describe("what a shim counts", () => {
  it("is read in the form of cgroup v1", () => {
    const value = MetricsV1.encode({
      cpu: { usage: { total: 7n } },
      memory: {
        usage: { usage: 100n, limit: 9223372036854771712n },
        swap: { usage: 130n },
        totalRss: 60n,
        totalInactiveFile: 10n,
      },
      pids: { current: 3n },
    });
    expect(parseUsage({ typeUrl: "io.containerd.cgroups.v1.Metrics", value })).toEqual({
      cpuUsageNs: 7n,
      memoryUsageBytes: 100n,
      memoryLimitBytes: undefined,
      inactiveFileBytes: 10n,
      rssBytes: 60n,
      pageFaults: 0n,
      majorPageFaults: 0n,
      swapUsageBytes: 30n,
      swapLimitBytes: undefined,
      processes: 3n,
    });
  });

  it("is read in the form of cgroup v2, whose time is microseconds", () => {
    const value = MetricsV2.encode({
      cpu: { usageUsec: 2n },
      memory: { usage: 5n, usageLimit: 50n, anon: 4n },
    });
    expect(
      parseUsage({ typeUrl: "types.containerd.io/io.containerd.cgroups.v2.Metrics", value }),
    ).toMatchObject({
      cpuUsageNs: 2000n,
      memoryUsageBytes: 5n,
      memoryLimitBytes: 50n,
      rssBytes: 4n,
    });
  });

  it("is nothing in a form that is not known", () => {
    expect(parseUsage(undefined)).toBeUndefined();
    expect(parseUsage({ typeUrl: "x", value: new Uint8Array() })).toBeUndefined();
    expect(() =>
      parseUsage({ typeUrl: "io.containerd.cgroups.v2.Metrics", value: Buffer.from([0xff]) }),
    ).toThrow(/not a valid MetricsV2/);
  });
});
