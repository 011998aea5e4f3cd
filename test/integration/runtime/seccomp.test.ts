/** The default profile in force (K1): a program tries what must be refused, by each ABI of the kernel. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cgroups } from "../../../src/cgroup/cgroup.ts";
import { readHostFacts } from "../../../src/container/spec/host.ts";
import { allowedSocketFamilies } from "../../../src/container/spec/seccomp-profile.ts";
import { specOf } from "../../../src/container/spec/spec.fixture.ts";
import { run } from "../../../src/process/spawn.ts";
import type { SeccompProfile } from "../../../src/sandbox/config.ts";
import { ownName } from "../../support/run.ts";
import { toolPaths } from "../../support/shims.ts";
import { where } from "../../support/where.ts";

const oci = new URL("../../../build/bin/kobako-oci", import.meta.url).pathname;
const source = new URL("../../fixtures/programs/seccomp-probe.c", import.meta.url).pathname;
const cgroups = new Cgroups();
const host = readHostFacts(cgroups.facts);
const within = () => AbortSignal.timeout(30_000);

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "kobako-seccomp-"));
  for (const name of ["proc", "sys", "dev", "etc"])
    mkdirSync(join(folder, "rootfs", name), { recursive: true });
  const built = await run(
    "/usr/bin/cc",
    ["-static", "-no-pie", "-O1", "-o", join(folder, "rootfs/probe"), source],
    { env: { PATH: "/usr/bin" } },
    within(),
  );
  expect(built.stderr.toString()).toBe("");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** "ABI NAME" -> result of each call. */
async function probe(
  seccomp: SeccompProfile,
  {
    addCapabilities = [],
    runtime = oci,
    args = [],
  }: { addCapabilities?: string[]; runtime?: string; args?: string[] } = {},
): Promise<Map<string, number>> {
  const id = ownName();
  const { spec } = specOf({
    host,
    container: { command: ["/probe", ...args] },
    security: { seccomp, addCapabilities },
    input: {
      files: { hosts: undefined, hostname: undefined, resolvConf: undefined },
      cgroupsPath: `/${id}`,
      image: { env: [], entrypoint: [], cmd: [], workingDir: "" },
    },
  });
  writeFileSync(join(folder, "config.json"), JSON.stringify(spec));
  try {
    const { stdout, stderr, code } = await run(
      runtime,
      ["--root", join(folder, "state"), "run", "--bundle", folder, id],
      {},
      within(),
    );
    expect(`${code} ${stderr}`).toBe("0 ");
    return new Map(
      stdout
        .toString()
        .trim()
        .split("\n")
        .map((line) => {
          const at = line.lastIndexOf(" ");
          return [line.slice(0, at), Number(line.slice(at + 1))];
        }),
    );
  } finally {
    await cgroups.killAll(`/${id}`, within());
    await cgroups.remove(`/${id}`, within());
  }
}

const EPERM = -1;
const EINVAL = -22;
const ENOSYS = -38;

where(process.arch === "x64", `the probe makes x86 system calls, and this is ${process.arch}`)(
  "the default seccomp profile",
  () => {
    it("refuses on both ABIs what it must, and lets ordinary calls through", async () => {
      const results = await probe({ type: "runtime-default" });
      const has32 = results.get("32 allowed: getpid") !== ENOSYS;
      if (!has32) console.log("no 32-bit ABI in this kernel: only the 64-bit half is tested");
      expect(results.size).toBeGreaterThan(50);
      for (const [name, result] of results) {
        if (name.startsWith("32") && !has32) continue;
        if (name.includes("allowed")) expect([name, result >= 0]).toEqual([name, true]);
        else expect([name, [EPERM, ENOSYS].includes(result)]).toEqual([name, true]);
      }
      expect(results.get("64 clone3")).toBe(ENOSYS);
      if (has32) expect(results.get("32 socketcall(AF_ALG)")).toBe(ENOSYS);
    });

    it.each(["kobako-oci", "runc"])(
      "lets the values through that it names, and no others, by %s",
      async (name) => {
        const runtime = name === "runc" ? (toolPaths("runc")[0] ?? "") : oci;
        const results = await probe({ type: "runtime-default" }, { runtime, args: ["values"] });
        const has32 = results.get("32 socket 2") !== ENOSYS;
        const families: readonly number[] = Object.values(allowedSocketFamilies);
        const wrong = [...results].filter(([call, result]) => {
          const [abi, what, value = ""] = call.split(" ");
          if (abi === "32" && !has32) return false;
          const allowed =
            what === "socket"
              ? families.includes(Number(value))
              : [0, 8, 0x20000, 0x20008, 0xffffffff].includes(Number(value));
          return allowed !== (what === "socket" ? result === EINVAL : result !== EPERM);
        });
        expect(results.size).toBeGreaterThan(300);
        expect(wrong).toEqual([]);
      },
    );

    it("is what refuses: without it most of these calls get further", async () => {
      const results = await probe({ type: "unconfined" });
      for (const name of ["64 unshare(NEWUSER)", "64 keyctl", "64 clone3"])
        expect([name, results.get(name) === EPERM]).toEqual([name, false]);
    });

    it("lets CAP_SYS_ADMIN mount", async () => {
      const results = await probe({ type: "runtime-default" }, { addCapabilities: ["SYS_ADMIN"] });
      expect(results.get("64 setns")).not.toBe(EPERM);
      expect(results.get("64 bpf")).not.toBe(ENOSYS);
      for (const name of ["64 keyctl", "64 io_uring_setup", "64 socket(AF_ALG)"])
        expect([name, results.get(name)]).toEqual([name, EPERM]);
    });
  },
);
