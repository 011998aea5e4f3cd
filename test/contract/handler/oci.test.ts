/** The handler `oci`: kobako-monitor with external programs, each as it is found by hack/tools or installed by apt. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { pino } from "pino";
import { afterAll, describe, expect, it } from "vitest";
import { OciHandler } from "../../../src/runtime/oci/handler.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { handlerContract } from "./contract.ts";
import { monitorBinary, TestPod } from "./pod.ts";

const folder = await tempDir("oci");
afterAll(() => folder[Symbol.asyncDispose]());
const tools = new URL("../../../hack/tools", import.meta.url).pathname;
const [runc = "", runsc = ""] = execFileSync(tools, ["runc", "runsc"], { encoding: "utf8" })
  .trim()
  .split("\n");

const programs = [
  { name: "runc", path: runc },
  { name: "crun", path: "/usr/bin/crun" },
  {
    name: "kobako-oci",
    path: new URL("../../../build/bin/kobako-oci", import.meta.url).pathname,
  },
  { name: "runsc", path: runsc, hostProcesses: false, oom: false, execTrees: false },
  { name: "youki", path: "/usr/bin/youki" },
];

// Debian has no youki: it takes part where it is installed. The others must be there.
for (const { name, path, ...limits } of programs.filter(
  ({ name, path }) => name !== "youki" || existsSync(path),
)) {
  describe(name, () => {
    const handler = new OciHandler({
      name,
      path,
      options: {},
      timeoutMs: 30_000,
      monitorBinary,
      cacheFolder: join(folder.path, "cache"),
      log: pino({ level: "warn" }),
    });
    handlerContract(handler, { hostProcesses: true, ...limits });

    it("gets a filter for x32 where the kernel's configuration has it", async ({ skip }) => {
      const config = "/proc/config.gz";
      skip(process.arch !== "x64", "x32 is x86-64's");
      skip(!existsSync(config), `this kernel shows no ${config}`);
      const has = /^CONFIG_X86_X32_ABI=y$/m.test(gunzipSync(readFileSync(config)).toString("latin1"));
      await using pod = await TestPod.start(handler);
      const { bundle } = await pod.create({ security: { seccomp: { type: "runtime-default" } } });
      const { architectures } = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")).linux.seccomp;
      expect(architectures).toContain("SCMP_ARCH_X86");
      expect(architectures.includes("SCMP_ARCH_X32")).toBe(has);
    });
  });
}
