import { createServer, type ServerHttp2Session } from "node:http2";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { runtimeService } from "../../cri-api/index.ts";
import { testDir } from "../../test/support/file-dir.ts";
import { CliError, exitCode } from "./cli-error.ts";
import { Daemon } from "./client.ts";

/** What the server does with a call that it has begun to read. */
let onCall: (session: ServerHttp2Session) => void;
let path: string;
const server = createServer();
server.on("stream", (stream) => {
  stream.on("error", () => {});
  if (stream.session !== undefined) onCall(stream.session as ServerHttp2Session);
});

beforeEach(async () => {
  path = join(testDir("client"), "s");
  await new Promise<void>((resolve) => server.listen(path, resolve));
});
afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
});

it("a call that a daemon's end cuts off tells that there is none; the next one connects anew", async () => {
  let calls = 0;
  onCall = (session) => {
    calls++;
    session.destroy();
  };
  using daemon = new Daemon(path);
  for (const turn of [1, 2]) {
    const error = await daemon.call(runtimeService.version, {}).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(CliError);
    expect(error).toMatchObject({ exitCode: exitCode.unreachable, message: expect.stringContaining(path) });
    expect(calls).toBe(turn);
  }
});

it("a call that is given up is that, whatever becomes of its connection", async () => {
  onCall = () => stop.abort();
  const stop = new AbortController();
  using daemon = new Daemon(path);
  const call = daemon.call(runtimeService.version, {}, { timeoutMs: 0, signal: stop.signal });
  await expect(call).rejects.toThrow(expect.objectContaining({ name: "AbortError" }));
});
