/** The handler of containerd shims, over containerd's own for runc. */
import { join } from "node:path";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { ShimHandler } from "../../../src/runtime/shim-v2/handler.ts";
import { noLimits } from "../../../src/container/spec/spec.fixture.ts";
import { fileDir } from "../../support/file-dir.ts";
import { toolPaths } from "../../support/shims.ts";
import { handlerContract } from "./contract.ts";
import { monitorBinary, TestPod, within } from "./pod.ts";

const [shim = "", runc = ""] = toolPaths("containerd-shim-runc-v2", "runc");

const root = fileDir("runc");
const handlerOf = (binary: string) =>
  new ShimHandler({
    name: "runc-shim",
    path: shim,
    options: { binary_name: binary, root },
    timeoutMs: 30_000,
    monitorBinary,
    log: pino({ level: "warn" }),
  });
const handler = handlerOf(runc);

handlerContract(handler, { hostProcesses: true, execTrees: false });

describe("what can't be run", () => {
  it("is the shim's runtime: its container can't be created, and the shim's words say why", async () => {
    const missing = join(root, "missing-runc");
    await using pod = await TestPod.start(handlerOf(missing));
    await expect(pod.create({ command: ["/bin/true"] })).rejects.toMatchObject({
      kind: "internal",
      message: expect.stringContaining(missing),
    });
  });

  it("is a program whose path has a word of other failures: its start says so", async () => {
    await using pod = await TestPod.start(handler);
    for (const program of ["/bin/mountpoint-x", "/bin/cgroup/namespace"]) {
      const { id } = await pod.create({ command: [program] });
      await expect(pod.sandbox.start(id, within())).rejects.toMatchObject({
        kind: "failed-precondition",
        message: expect.stringContaining(program),
      });
    }
    const made = await pod.shell("sleep 100");
    await expect(made.exec(["/bin/mountpoint-x"])).rejects.toMatchObject({ kind: "failed-precondition" });
  });
});

describe("a container whose child was killed for memory", () => {
  it("and that is ended by a signal later is not told as killed for memory", async () => {
    await using pod = await TestPod.start(handler);
    const made = await pod.shell("sh -c 'x=a; while :; do x=$x$x; done'; echo survived; sleep 100", {
      resources: { ...noLimits, memoryLimitBytes: 32n << 20n },
    });
    await expect.poll(() => pod.events).toContainEqual({ type: "oom", containerId: made.id });
    await expect.poll(() => made.output()).toContain("survived");
    await pod.sandbox.kill({ containerId: made.id, signal: 9, all: true }, within());
    expect(await made.exited()).toMatchObject({ exitCode: 137, oomKilled: false });
  });
});
