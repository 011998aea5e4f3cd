import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ContainerMount } from "../config.ts";
import { capabilityNames } from "./capability.ts";
import {
  cpuCount,
  deviceNumbers,
  heldCapabilities,
  mountOf,
  parseMountInfo,
  readHostFacts,
  readRequestFacts,
} from "./host.ts";
import { container, security } from "./spec.fixture.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "spec-host-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const signal = () => AbortSignal.timeout(10_000);

describe("facts of the host", () => {
  it("are read from this one", () => {
    const facts = readHostFacts({ cgroupVersion: 1, hugetlb: false, swap: false });
    expect(facts.possibleCpus).toBeGreaterThan(0);
    expect(facts.kernel).toMatch(/^\d+\.\d+/);
    expect(capabilityNames).toEqual(expect.arrayContaining([...facts.capabilities]));
  });

  it("hold only capabilities that are permitted and bounded", () => {
    const status =
      "CapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\nCapEff:\t0\nCapBnd:\t0000000000000003\n";
    expect(heldCapabilities(status)).toEqual(["CAP_CHOWN", "CAP_DAC_OVERRIDE"]);
    expect(heldCapabilities("CapPrm:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\n")).toEqual([
      ...capabilityNames,
    ]);
    expect(heldCapabilities("")).toEqual([]);
  });

  it.each([
    ["0-3\n", 4],
    ["0\n", 1],
    ["0-1,4-7\n", 8],
    ["", 1],
  ])("count the CPUs of %j", (list, expected) => expect(cpuCount(list)).toBe(expected));
});

describe("mountinfo", () => {
  const text = `23 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
24 23 0:5 / /mnt rw master:1 - tmpfs tmpfs rw
25 23 0:6 / /mnt/a\\040b rw - tmpfs tmpfs rw
26 23 0:7 / /mnt/both rw shared:3 master:1 - tmpfs tmpfs rw
27 23 0:8 / /mnt/both rw - tmpfs tmpfs rw
broken line`;
  it.each([
    ["/etc", "/", "shared"],
    ["/mnt", "/mnt", "slave"],
    ["/mnt/x/y", "/mnt", "slave"],
    ["/mntx", "/", "shared"],
    ["/mnt/a b/c", "/mnt/a b", "private"],
    ["/mnt/both", "/mnt/both", "private"],
  ])("says of %s that %s holds it, which is %s", (path, mountPoint, propagation) => {
    expect(mountOf(path, parseMountInfo(text))).toEqual({ path, mountPoint, propagation });
  });
});

describe("device numbers", () => {
  it.each([
    [0x103n, 1, 3],
    [0x8800n, 136, 0],
  ])("split like makedev(3): %s", (rdev, major, minor) => {
    expect(deviceNumbers(Number(rdev))).toEqual({ major, minor });
  });

  it("keep large minors apart from majors", () => {
    // minor 0x12345, major 0x678: (minor & ff) | major << 8 | (minor & ~ff) << 12
    const rdev = (0x12300n << 12n) | (0x678n << 8n) | 0x45n;
    expect(deviceNumbers(Number(rdev))).toEqual({ major: 0x678, minor: 0x12345 });
  });
});

describe("facts of a request", () => {
  const mount = (
    hostPath: string,
    propagation: ContainerMount["propagation"] = "private",
  ): ContainerMount => ({
    containerPath: "/x",
    hostPath,
    readonly: false,
    recursiveReadonly: false,
    selinuxRelabel: false,
    propagation,
  });
  const sources = async (...mounts: ContainerMount[]) =>
    (await readRequestFacts({ ...container, mounts }, signal())).sources;

  it("resolve links of a mount source", async () => {
    mkdirSync(join(dir, "real"));
    symlinkSync("real", join(dir, "link"));
    const found = await sources(mount(join(dir, "link")));
    expect(found.get(join(dir, "link"))?.path).toBe(join(dir, "real"));
  });

  it("make a mount source that is missing, as a folder", async () => {
    const path = join(dir, "a/b/c");
    await sources(mount(path), mount(path));
    expect(statSync(path).isDirectory()).toBe(true);
    expect(statSync(path).mode & 0o022).toBe(0);
  });

  it("name a mount source that can't be used", async () => {
    writeFileSync(join(dir, "file"), "");
    symlinkSync("loop", join(dir, "loop"));
    const below = sources(mount(join(dir, "file/x")));
    await expect(below).rejects.toMatchObject({
      kind: "failed-precondition",
      message: expect.stringContaining("file/x"),
    });
    await expect(sources(mount(join(dir, "loop")))).rejects.toMatchObject({ kind: "failed-precondition" });
    await expect(sources(mount("relative"))).rejects.toMatchObject({ kind: "invalid-argument" });
  });

  it("tell the propagation of the mount that holds a source", async () => {
    const found = (await sources(mount("/proc", "slave"))).get("/proc");
    expect(found).toMatchObject({ path: "/proc", mountPoint: "/proc" });
  });

  it("say what stands at a device's path (K4)", async () => {
    symlinkSync("/dev/null", join(dir, "link"));
    const hostPaths = ["/dev/null", join(dir, "link"), dir, join(dir, "none"), "/etc/passwd"];
    const devices = hostPaths.map((hostPath) => ({ hostPath, containerPath: hostPath, permissions: "r" }));
    const facts = await readRequestFacts({ ...container, devices }, signal());
    expect(hostPaths.map((path) => facts.devices.get(path)?.type)).toEqual([
      "c",
      "link",
      "folder",
      undefined,
      "other",
    ]);
    expect(facts.devices.get("/dev/null")).toMatchObject({ major: 1, minor: 3, mode: 0o666 });
    expect(facts.hostDevices).toEqual([]);
  });

  it("list the host's devices for a privileged container only, without those that each container has", async () => {
    const facts = await readRequestFacts(
      { ...container, security: { ...security, privileged: true } },
      signal(),
    );
    const paths = facts.hostDevices.map(({ path }) => path);
    expect(paths).toContain("/dev/null");
    expect(paths.filter((path) => /^\/dev\/(pts|shm|mqueue|console)/.test(path))).toEqual([]);
  });

  const profile = (path: string, privileged = false) =>
    readRequestFacts(
      { ...container, security: { ...security, privileged, seccomp: { type: "localhost", path } } },
      signal(),
    );

  it("hold the text of a seccomp profile", async () => {
    writeFileSync(join(dir, "p.json"), "{}");
    expect((await profile(join(dir, "p.json"))).seccompFile).toBe("{}");
    expect((await profile("/nonexistent", true)).seccompFile).toBeUndefined();
  });

  it("are refused for a profile that is empty, relative, missing, a FIFO, a folder or too large (K2)", async () => {
    execFileSync("mkfifo", [join(dir, "fifo")]);
    writeFileSync(join(dir, "large"), " ".repeat((1 << 20) + 1));
    for (const path of [
      "",
      "p.json",
      "../p.json",
      join(dir, "none"),
      join(dir, "fifo"),
      dir,
      join(dir, "large"),
    ]) {
      await expect(profile(path)).rejects.toMatchObject({
        kind: "invalid-argument",
        message: expect.stringContaining("seccomp profile"),
      });
    }
  });

  it("are not waited for beyond the signal", async () => {
    await expect(readRequestFacts(container, AbortSignal.abort(new Error("x")))).rejects.toMatchObject({
      kind: "cancelled",
    });
  });
});
