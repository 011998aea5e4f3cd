/** ExecSync where its command is not well-behaved. Rows U4 and U5 of the security bar. */
import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { heldDescriptors, MemoryWatch, runtimePids } from "../../support/costs.ts";
import { container, exec, output, runPod, startContainer } from "../../support/pods.ts";
import { scale } from "../../support/scale.ts";
import { within } from "../../support/slowness.ts";
import { useNode } from "../../support/use-node.ts";
import { waitFor } from "../../support/wait.ts";

const node = useNode();
const limit = (16 << 20) - (64 << 10);

async function started() {
  const { daemon, image } = node();
  const sandbox = await runPod(daemon);
  const id = await startContainer(daemon, sandbox, container(image));
  return { daemon, id };
}

describe("output", () => {
  it("up to the limit is whole", async () => {
    const { daemon, id } = await started();
    const script = `head -c ${limit - 3} /dev/zero; printf err >&2`;
    const { stdout, stderr, exitCode } = await exec(daemon, id, script, 60);
    expect([stdout.length, stderr, exitCode]).toEqual([limit - 3, "err", 0]);
  });

  it.each([
    ["stdout", ""],
    ["stderr", ">&2"],
  ])("beyond the limit is cut, said so, and holds nothing up: %s", async (_, to) => {
    const { daemon, id } = await started();
    const script = `echo begun >&2; head -c 30000000 /dev/zero ${to}; exit 4`;
    const { stdout, stderr, exitCode } = await exec(daemon, id, script, 60);
    expect(exitCode).toBe(4);
    expect(stderr).toMatch(/^begun\n/);
    expect(stderr.endsWith(`\nkobako: output cut at ${limit} bytes\n`)).toBe(true);
    expect(limit - stdout.length - stderr.length).toBeGreaterThanOrEqual(0);
    expect(limit - stdout.length - stderr.length).toBeLessThan(64);
  });

  it("without an end, ten times at once: ended in time, within 200 MiB of the daemon's", async () => {
    const { daemon, id } = await started();
    using memory = new MemoryWatch(runtimePids(daemon));
    const seconds = scale(3, 60);
    const calls = Array.from({ length: 10 }, (_, i) =>
      exec(daemon, id, i % 2 === 0 ? ["/bin/yes"] : ["/bin/cat", "/dev/zero"], seconds),
    );
    for (const call of await Promise.allSettled(calls))
      expect(call).toMatchObject({ status: "rejected", reason: { code: status.DEADLINE_EXCEEDED } });
    const [ofDaemon = 0, ...ofMonitors] = memory.growth;
    expect(ofDaemon).toBeLessThan(200);
    expect(Math.max(...ofMonitors)).toBeLessThan(4);
    expect(await output(daemon, id, "pidof yes cat || true")).toBe("");
  });
});

describe("children", () => {
  it("left behind hold no call up, and nothing of the runtime's", async () => {
    const { daemon, id } = await started();
    const leave = () => exec(daemon, id, "sleep 3600 & echo $!");
    await leave();
    const before = heldDescriptors(daemon);
    for (let i = 0; i < scale(40, 2000); i++) {
      const begun = performance.now();
      const { stdout, exitCode } = await leave();
      expect([/^\d+\n$/.test(stdout), exitCode]).toEqual([true, 0]);
      expect(performance.now() - begun).toBeLessThan(within(5000));
    }
    await waitFor("the descriptors' return", () => heldDescriptors(daemon) <= before);
  });

  it("are killed with a command that takes too long, also those of another session", async () => {
    const { daemon, id } = await started();
    const script = "setsid sleep 4242 & (sleep 4243 & sleep 4244) & exec sleep 4245";
    await expect(exec(daemon, id, script, 1)).rejects.toMatchObject({
      code: status.DEADLINE_EXCEEDED,
      details: expect.stringMatching(/timed out after 1 s/),
    });
    expect(await output(daemon, id, "ps | grep '[s]leep 424' || true")).toBe("");
  });

  it("are killed when the caller gives up", async () => {
    const { daemon, id } = await started();
    const leave = new AbortController();
    const cmd = ["/bin/sh", "-c", "sleep 4246 & exec sleep 4247"];
    const call = daemon.client.execSync({ containerId: id, cmd }, { signal: leave.signal });
    call.catch(() => {});
    const sleeping = () => output(daemon, id, "ps | grep '[s]leep 424' || true");
    await waitFor("both", async () => (await sleeping()).split("\n").length === 2);
    leave.abort();
    await expect(call).rejects.toMatchObject({ code: status.CANCELLED });
    await waitFor("their end", async () => (await sleeping()) === "");
  });
});
