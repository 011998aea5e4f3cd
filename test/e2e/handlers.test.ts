/**
 * One node with all handlers at once: pods of each side by side, chosen as RuntimeClasses choose them; Status, errors
 * and `kobako runtime` tell the truth about each; a daemon that is killed finds them all again.
 */
import { execFile, execFileSync } from "node:child_process";
import { chmodSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterAll, describe, expect, it } from "vitest";
import { ContainerState } from "../../cri-api/index.ts";
import { CriError } from "../support/cri-client.ts";
import { kobako } from "../support/daemon.ts";
import { expectAgreement, expectUndisturbed, vitals } from "../support/oracle.ts";
import { container, counter, exec, logFile, pod, runPod, startContainer } from "../support/pods.ts";
import { tempDir } from "../support/temp-dir.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const tools = new URL("../../hack/tools", import.meta.url).pathname;
const runc = execFileSync(tools, ["runc"], { encoding: "utf8" }).trim();
const oci = new URL("../../build/bin/kobako-oci", import.meta.url).pathname;
const folder = await tempDir("handlers");
afterAll(() => folder[Symbol.asyncDispose]());
/** A crun that a test may take away. */
const fragile = join(folder.path, "crun");
const makeFragile = () => {
  writeFileSync(fragile, readFileSync("/usr/bin/crun"), { mode: 0o755 });
  chmodSync(fragile, 0o755);
};
makeFragile();

const handlers = ["builtin", "runc", "crun", "own"] as const;
const node = useNode({
  config: `[runtimes.runc]
type = "oci"
path = "${runc}"
annotations = ["example.org/seen"]
[runtimes.crun]
type = "oci"
path = "/usr/bin/crun"
[runtimes.own]
type = "oci"
path = "${oci}"
[runtimes.fragile]
type = "oci"
path = "${fragile}"
timeout = "3s"
snapshot_options = ["volatile"]`,
});

function command(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { socket } = node().daemon;
  return new Promise((resolve) => {
    execFile(kobako, ["--address", `unix://${socket}`, ...args], { env: {} }, (error, stdout, stderr) =>
      resolve({
        code: typeof error?.code === "number" ? error.code : error === null ? 0 : -1,
        stdout,
        stderr,
      }),
    );
  });
}

describe("a node with several handlers", () => {
  it("runs pods of all of them at once, and a daemon that is killed finds them again", async () => {
    const { daemon, image } = node();
    const pods = await Promise.all(
      handlers.map(async (handler) => {
        const sandbox = await runPod(daemon, pod(daemon), handler);
        const id = await startContainer(
          daemon,
          sandbox,
          container(image, { metadata: { name: "witness" }, command: counter("tick", 10) }),
        );
        return { handler, sandbox, id };
      }),
    );
    for (const { handler, sandbox } of pods) {
      const { status: found } = await daemon.client.podSandboxStatus({ podSandboxId: sandbox.id });
      expect(found?.runtimeHandler).toBe(handler);
    }
    const before = await vitals(daemon);
    expect(before.length).toBe(pods.length);
    await daemon.restart("SIGKILL");
    expectUndisturbed(before);
    for (const { handler, sandbox, id } of pods) {
      const answer = await exec(daemon, id, ["/bin/sh", "-c", "echo $FROM; exit 3"]);
      expect([handler, answer.stdout, answer.exitCode]).toEqual([handler, "image\n", 3]);
      // Another container of the pod, by the daemon that did not start it.
      const next = await startContainer(
        daemon,
        sandbox,
        container(image, { metadata: { name: "next" }, command: ["/bin/sh", "-c", "hostname; exit 7"] }),
      );
      const ended = await waitFor(`the end of ${handler}'s second container`, async () => {
        const { status: now } = await daemon.client.containerStatus({ containerId: next });
        return now?.state === ContainerState.CONTAINER_EXITED ? now : undefined;
      });
      expect([handler, ended.exitCode]).toEqual([handler, 7]);
      expect(readFileSync(logFile(sandbox, "next"), "utf8")).toContain(" stdout F ");
    }
    await expectAgreement(daemon);
  });

  it("says what it knows of each, also of one whose program is gone", async () => {
    const { daemon } = node();
    const answer = await daemon.client.status({ verbose: true });
    const offered = new Map(answer.runtimeHandlers.map(({ name, features }) => [name, features]));
    expect([...offered.keys()]).toEqual(["", "builtin", "runc", "crun", "own", "fragile"]);
    expect(offered.get("")).toEqual(offered.get("builtin"));
    expect(offered.get("runc")).toMatchObject({ recursiveReadOnlyMounts: true, userNamespaces: false });
    const listed = await command("runtime", "list");
    expect(listed.stdout).toMatch(/^runc +oci +runc version \S+ +\/\S+runc\S*$/m);
    rmSync(fragile);
    try {
      const { stdout } = await command("runtime", "list");
      expect(stdout).toMatch(/^fragile .*not usable: .*is not there/m);
      const now = await daemon.client.status({});
      expect(now.runtimeHandlers.find(({ name }) => name === "fragile")?.features).toMatchObject({
        recursiveReadOnlyMounts: false,
      });
      expect(await command("runtime", "check", "fragile")).toMatchObject({
        code: 1,
        stdout: expect.stringContaining("not usable"),
      });
    } finally {
      makeFragile();
    }
  });

  it.each([...handlers, "fragile"])("kobako runtime check %s makes a container", async (handler) => {
    const { code, stdout } = await command("runtime", "check", handler);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^ok {3}removal/m)]);
    expect(stdout).toContain("version: ");
  });

  it("refuses a handler that is not configured, and lists those that are", async () => {
    const { daemon } = node();
    const error = await runPod(daemon, pod(daemon), "nothing").catch((e: unknown) => e);
    expect(error).toBeInstanceOf(CriError);
    expect((error as CriError).code).toBe(status.INVALID_ARGUMENT);
    expect((error as CriError).details).toMatch(/"nothing".*builtin, runc, crun, own, fragile/);
    expect(await command("runtime", "check", "nothing")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("known are builtin, runc"),
    });
  });

  it("hands an annotation to the handler that lists it, by its exact name, and to no other", async () => {
    const { daemon, image } = node();
    const annotations = { "example.org/seen": "yes", "example.org/seen.too": "no" };
    for (const handler of ["runc", "crun"]) {
      const sandbox = await runPod(daemon, pod(daemon, { annotations }), handler);
      const id = await startContainer(daemon, sandbox, container(image, { command: counter("tick", 10) }));
      const { info } = await daemon.client.containerStatus({ containerId: id, verbose: true });
      const { bundle } = JSON.parse(info.info ?? "{}") as { bundle: string };
      const spec = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")) as {
        annotations: Record<string, string>;
      };
      expect(spec.annotations["example.org/seen"]).toBe(handler === "runc" ? "yes" : undefined);
      expect(Object.keys(spec.annotations)).not.toContain("example.org/seen.too");
    }
  });

  it("a monitor that is killed takes its pod along, whatever made the containers", async () => {
    const { daemon, image } = node();
    for (const handler of handlers) {
      const sandbox = await runPod(daemon, pod(daemon), handler);
      const id = await startContainer(daemon, sandbox, container(image, { command: counter("tick", 10) }));
      const { info } = await daemon.client.podSandboxStatus({ podSandboxId: sandbox.id, verbose: true });
      const { pid } = JSON.parse(info.info ?? "{}") as { pid: number };
      process.kill(pid, "SIGKILL");
      const ended = await waitFor(`the end of ${handler}'s container`, async () => {
        const { status: now } = await daemon.client.containerStatus({ containerId: id });
        return now?.state === ContainerState.CONTAINER_EXITED ? now : undefined;
      });
      expect([handler, ended.reason, ended.exitCode]).toEqual([handler, "MonitorLost", 137]);
    }
  });

  it("says once that the second hierarchy of cgroups is hidden from crun", async () => {
    const { daemon, image } = node();
    for (let i = 0; i < 2; i++)
      await startContainer(daemon, await runPod(daemon, pod(daemon), "crun"), container(image));
    const said = daemon.log().match(/the version 2 hierarchy is hidden from it/g) ?? [];
    const mounts = readFileSync("/proc/self/mountinfo", "utf8");
    const hybrid = / - cgroup2 /.test(mounts) && / - cgroup /.test(mounts);
    const controllers = hybrid
      ? readFileSync("/sys/fs/cgroup/unified/cgroup.controllers", "utf8").trim()
      : "";
    // Once by each start of the daemon; the tests above have started it twice.
    expect(said.length).toBeGreaterThanOrEqual(controllers === "" ? 0 : 1);
    expect(said.length).toBeLessThanOrEqual(controllers === "" ? 0 : 4);
  });
});
