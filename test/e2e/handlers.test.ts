/**
 * One node with all handlers at once: pods of each side by side, chosen as RuntimeClasses choose them; Status, errors
 * and `kobako runtime` tell the truth about each; a daemon that is killed finds them all again.
 */
import { execFile, execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterAll, describe, expect, it } from "vitest";
import { CriError } from "../support/cri-client.ts";
import { kobako } from "../support/daemon.ts";
import {
  expectAgreement,
  expectCounting,
  expectNoLeak,
  expectUndisturbed,
  vitals,
} from "../support/oracle.ts";
import {
  container,
  counter,
  exec,
  exited,
  logFile,
  pod,
  runPod,
  sleeper,
  startContainer,
} from "../support/pods.ts";
import { shimHandlers, toolPaths } from "../support/shims.ts";
import { within } from "../support/slowness.ts";
import { tempDir } from "../support/temp-dir.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const [runc = "", runsc = ""] = toolPaths("runc", "runsc");
const trixie = new URL("../../hack/trixie", import.meta.url).pathname;
const crun = execFileSync(trixie, ["crun"], { encoding: "utf8" }).trim();
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

const handlers = ["builtin", "runc", "crun", "own", "runsc", "runsc-shim", "runc-shim"] as const;
/** Whose containers' processes are not this host's. */
const sandboxed: readonly string[] = ["runsc", "runsc-shim"];
const node = useNode({
  config: `[runtimes.runc]
type = "oci"
path = "${runc}"
annotations = ["example.org/seen"]
[runtimes.crun]
type = "oci"
path = "${crun}"
[runtimes.own]
type = "oci"
path = "${oci}"
[runtimes.runsc]
type = "oci"
path = "${runsc}"
${shimHandlers(folder.path)}
[runtimes.fragile]
type = "oci"
path = "${fragile}"
timeout = "3s"
snapshot_options = ["index=on"]`,
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
  it("runs pods of all of them at once, through the death of the daemon, and gives all of it back", async () => {
    const { daemon, image, clean } = node();
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
    const each = async <T>(work: (pod: (typeof pods)[number]) => Promise<T>) =>
      Object.fromEntries(await Promise.all(pods.map(async (one) => [one.handler, await work(one)] as const)));
    const all = <T>(value: T) => Object.fromEntries(handlers.map((handler) => [handler, value]));
    const lookAt = async () => {
      const answers = await each(
        async ({ id }) => await exec(daemon, id, ["/bin/sh", "-c", "echo $FROM; echo e >&2; exit 3"]),
      );
      expect(answers).toEqual(all({ stdout: "image\n", stderr: "e\n", exitCode: 3 }));
      const { stats } = await daemon.client.listContainerStats({});
      const used = await each(async ({ id }) => {
        const one = stats.find(({ attributes }) => attributes?.id === id);
        const [cpu, memory] = [one?.cpu?.usageCoreNanoSeconds?.value, one?.memory?.usageBytes?.value];
        return [(cpu ?? 0n) > 0n, (memory ?? 0n) > 0n];
      });
      expect(used).toEqual(all([true, true]));
      await expectAgreement(daemon);
    };
    const handlerOf = async ({ sandbox }: (typeof pods)[number]) =>
      (await daemon.client.podSandboxStatus({ podSandboxId: sandbox.id })).status?.runtimeHandler;
    expect(await each(handlerOf)).toEqual(Object.fromEntries(handlers.map((name) => [name, name])));
    await lookAt();

    const before = await vitals(daemon);
    expect(before.length).toBe(pods.length - sandboxed.length);
    await daemon.kill9();
    const lines = await each(async ({ sandbox }) => expectCounting(logFile(sandbox, "witness"), "tick"));
    await daemon.start();
    expectUndisturbed(before);
    await lookAt();
    for (const { handler, sandbox } of pods)
      await waitFor(`more lines of ${handler}'s container`, () =>
        expectCounting(logFile(sandbox, "witness"), "tick") > (lines[handler] ?? 0) ? true : undefined,
      );

    // Another container of each pod, by the daemon that did not start it.
    const ends = await each(async ({ sandbox }) => {
      const next = await startContainer(
        daemon,
        sandbox,
        container(image, { metadata: { name: "next" }, command: ["/bin/sh", "-c", "hostname; exit 7"] }),
      );
      const { exitCode } = await exited(daemon, next, 20_000);
      return [exitCode, readFileSync(logFile(sandbox, "next"), "utf8").split(" stdout F ")[1]?.trim()];
    });
    expect(ends).toEqual(
      Object.fromEntries(pods.map(({ handler, sandbox }) => [handler, [7, sandbox.config.hostname]])),
    );

    const stopped = await each(async ({ id }) => {
      await daemon.client.stopContainer({ containerId: id, timeout: 10n }, { timeoutMs: within(30_000) });
      const { exitCode, reason } = await exited(daemon, id);
      await daemon.client.removeContainer({ containerId: id });
      return [exitCode, reason];
    });
    expect(stopped).toEqual(all([0, "Completed"]));
    await each(async ({ sandbox }) => {
      await daemon.client.stopPodSandbox({ podSandboxId: sandbox.id }, { timeoutMs: within(30_000) });
      await daemon.client.removePodSandbox({ podSandboxId: sandbox.id });
    });
    expect((await daemon.client.listPodSandbox({})).items).toEqual([]);
    expect((await daemon.client.listContainers({})).containers).toEqual([]);
    await expectNoLeak(clean, daemon.scope, { daemonPid: daemon.pid });
  });

  it("says what it knows of each, also of one whose program is gone", async () => {
    const { daemon } = node();
    const answer = await daemon.client.status({ verbose: true });
    const offered = new Map(answer.runtimeHandlers.map(({ name, features }) => [name, features]));
    expect([...offered.keys()]).toEqual(["", ...handlers, "block", "fragile"]);
    expect(offered.get("")).toEqual(offered.get("builtin"));
    expect(offered.get("runc")).toMatchObject({ recursiveReadOnlyMounts: true, userNamespaces: true });
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
    expect((error as CriError).details).toMatch(
      /"nothing".*builtin, runc, crun, own, runsc, runsc-shim, runc-shim, block, fragile/,
    );
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

  it("pods of crun share the seccomp filters that it has compiled", async () => {
    const { daemon, image } = node();
    const seccomp = { profileType: 0, localhostRef: "" };
    await Promise.all(
      Array.from({ length: 4 }, async () =>
        startContainer(
          daemon,
          await runPod(daemon, pod(daemon), "crun"),
          container(image, { command: sleeper, linux: { securityContext: { seccomp } } }),
        ),
      ),
    );
    const filters = join(daemon.state, "cache/crun/seccomp");
    const links = () => readdirSync(filters).map((name) => statSync(join(filters, name)).nlink);
    const [before = 0, ...others] = links();
    expect(others).toEqual([]);
    // Those that found none made their own; the next one has a link to what is kept.
    const later = await runPod(daemon, pod(daemon), "crun");
    await startContainer(daemon, later, container(image, { linux: { securityContext: { seccomp } } }));
    expect(links()).toEqual([before + 1]);
  });

  it("a monitor that is killed takes its pod along, whatever made the containers", async () => {
    const { daemon, image } = node();
    for (const handler of handlers) {
      const sandbox = await runPod(daemon, pod(daemon), handler);
      const id = await startContainer(daemon, sandbox, container(image, { command: counter("tick", 10) }));
      const { info } = await daemon.client.podSandboxStatus({ podSandboxId: sandbox.id, verbose: true });
      const { pid } = JSON.parse(info.info ?? "{}") as { pid: number };
      process.kill(pid, "SIGKILL");
      const ended = await exited(daemon, id, 30_000).catch((cause: unknown) => {
        throw new Error(`${handler}:\n${daemon.log()}`, { cause });
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

describe("a node whose state folder is behind a symbolic link", () => {
  const [real, link] = [join(folder.path, "state"), join(folder.path, "link")];
  mkdirSync(real, { mode: 0o700 });
  symlinkSync(real, link);
  const linked = useNode({ flags: ["--state", link] });

  it("gives runtimes the real paths of containers: gVisor refuses others", async () => {
    const { daemon, image } = linked();
    const id = await startContainer(daemon, await runPod(daemon, pod(daemon)), container(image));
    const { info } = await daemon.client.containerStatus({ containerId: id, verbose: true });
    const { bundle } = JSON.parse(info.info ?? "{}") as { bundle: string };
    expect(bundle.startsWith(`${real}/pods/`)).toBe(true);
    expect(realpathSync(bundle)).toBe(bundle);
  });
});
