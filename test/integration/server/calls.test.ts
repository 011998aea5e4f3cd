import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { imageService, runtimeService } from "../../../cri-api/index.ts";
import { statusCode } from "../../../src/server/grpc-status.ts";
import type { CriCalls } from "../../support/cri-client.ts";
import { waitFor } from "../../support/wait.ts";
import { type Served, served } from "./serve.ts";

let server: Served;
beforeAll(async () => {
  server = await served();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const execSync = (
  containerId: string,
  o: { timeout?: number; cmd?: string[]; timeoutMs?: number; signal?: AbortSignal } = {},
) =>
  server.client.execSync(
    { containerId, cmd: o.cmd ?? ["x"], timeout: BigInt(o.timeout ?? 0) },
    { timeoutMs: o.timeoutMs ?? 20_000, ...(o.signal ? { signal: o.signal } : {}) },
  );

/** The log line of the last call of a method. */
function lastLine(method: string): Record<string, unknown> {
  const lines = server
    .log()
    .split("\n")
    .slice(0, -1) // what follows the last line end is still being written
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return lines.findLast((line) => line.method === method) ?? {};
}

describe("a call", () => {
  it("is answered, and leaves one line with its subject, how long it took and how it ended", async () => {
    const { stdout, exitCode } = await execSync("echo", { cmd: ["a", "s3cret"] });
    expect([Buffer.from(stdout).toString(), exitCode]).toEqual(["a\ns3cret", 2]);
    const line = await waitFor("the line", () =>
      lastLine("ExecSync").container === "echo" ? lastLine("ExecSync") : undefined,
    );
    expect(line).toMatchObject({ level: "info", code: "OK", msg: "call" });
    expect(line.durationMs).toBeTypeOf("number");
    expect(server.log()).not.toContain("s3cret");
  });

  it("of a method without handler answers UNIMPLEMENTED and names the method", async () => {
    const { client } = server;
    const missing = [...Object.entries(runtimeService), ...Object.entries(imageService)].filter(
      ([name]) =>
        !["version", "listPodSandbox", "execSync", "getContainerEvents", "containerStatus"].includes(name),
    );
    expect(missing).toHaveLength(43 - 5);
    for (const [name, method] of missing) {
      const call = client[name as keyof CriCalls] as (
        request: object,
      ) => Promise<unknown> | AsyncIterable<unknown>;
      const answer = call({});
      const result = method.serverStreaming
        ? (answer as AsyncIterable<unknown>)[Symbol.asyncIterator]().next()
        : (answer as Promise<unknown>);
      await expect(result).rejects.toMatchObject({
        code: statusCode.UNIMPLEMENTED,
        details: `${method.path.slice(1).replace("/", ".")} is not implemented by this version`,
      });
    }
  });

  it.each([
    ["bug", "cannot read what is not there"],
    ["late bug", "not even an Error"],
    ["not to be encoded", "does not fit an int32"],
  ])("that fails by a mistake of ours (%s) is INTERNAL; others go on", async (id, text) => {
    await expect(execSync(id)).rejects.toMatchObject({
      code: statusCode.INTERNAL,
      details: expect.stringContaining(text),
    });
    expect(await server.client.version({ version: "v" })).toMatchObject({ version: "v" });
    await waitFor(
      "the line",
      () => lastLine("ExecSync").container === id && lastLine("ExecSync").level === "error",
    );
  });

  it("gets a message that fits a header, whatever is in it", async () => {
    await expect(execSync("surrogate")).rejects.toMatchObject({
      code: statusCode.NOT_FOUND,
      details: "no \ufffd here",
    });
    await expect(execSync("long")).rejects.toMatchObject({
      code: statusCode.NOT_FOUND,
      details: /^x{2000,2048}\.\.\.$/,
    });
    await expect(execSync("ü\n\t%41")).rejects.toMatchObject({
      details: "container ü\n\t%41 does not exist",
    });
  });

  it("is aborted by its deadline: DEADLINE_EXCEEDED inside too", async () => {
    await expect(execSync("wait", { timeout: 3600, timeoutMs: 150 })).rejects.toMatchObject({
      code: statusCode.DEADLINE_EXCEEDED,
    });
    await waitFor("the line", () => lastLine("ExecSync").code === "DEADLINE_EXCEEDED");
  });

  it("is aborted when the client leaves: CANCELLED inside", async () => {
    const leave = new AbortController();
    const call = execSync("wait", { timeout: 3600, signal: leave.signal });
    await waitFor("the call", async () => (await server.client.containerStatus({})).info.calls === "2");
    leave.abort();
    await expect(call).rejects.toThrow();
    await waitFor("the line", () => lastLine("ExecSync").code === "CANCELLED");
  });

  it("may be 16 MiB large in both directions, not more", async () => {
    const almost = (16 << 20) - 64;
    expect((await execSync("echo", { cmd: ["x".repeat(almost)] })).stdout.length).toBe(almost);
    expect((await execSync("large", { timeout: almost })).stdout.length).toBe(almost);
    await expect(execSync("large", { timeout: 64 << 20 })).rejects.toMatchObject({
      code: statusCode.RESOURCE_EXHAUSTED,
    });
  });
});

describe("a stream", () => {
  it("waits for a slow reader instead of piling up", async () => {
    const before = Number((await server.client.containerStatus({})).info.produced);
    const events = server.client.getContainerEvents({})[Symbol.asyncIterator]();
    await events.next();
    // Nothing is read any more: the count stands still when the windows and queues between us are full.
    const count = async () => Number((await server.client.containerStatus({})).info.produced) - before;
    let last = -1;
    const stopped = await waitFor(
      "the writer to wait",
      async () => {
        const now = await count();
        const same = now === last;
        last = now;
        return same ? now : undefined;
      },
      { intervalMs: 300, timeoutMs: 30_000 },
    );
    expect(stopped).toBeLessThan(2_000);
    await events.next();
    await events.return?.();
    await waitFor("the stream's end", () => lastLine("GetContainerEvents").code === "CANCELLED");
  });
});

describe("the end of the server", () => {
  it("ends streams with UNAVAILABLE, lets calls finish and aborts those that do not", async () => {
    await using own = await served();
    const events = own.client.getContainerEvents({})[Symbol.asyncIterator]();
    await events.next();
    const short = own.client.execSync({ containerId: "wait", cmd: ["x"], timeout: 1n });
    const long = own.client.execSync(
      { containerId: "wait", cmd: ["x"], timeout: 3600n },
      { timeoutMs: 60_000 },
    );
    long.catch(() => {});
    await waitFor("both calls", async () => (await own.client.containerStatus({})).info.calls === "4");
    const started = performance.now();
    own.child.kill("SIGTERM");
    const drained = (async () => {
      for (;;) if ((await events.next()).done) return;
    })();
    await expect(drained).rejects.toMatchObject({ code: statusCode.UNAVAILABLE });
    await expect(short).resolves.toMatchObject({ exitCode: 0 });
    await expect(long).rejects.toMatchObject({ code: statusCode.UNAVAILABLE });
    if (own.child.exitCode === null) await once(own.child, "exit");
    expect(own.child.exitCode).toBe(0);
    expect(performance.now() - started).toBeLessThan(8_000);
  });
});
