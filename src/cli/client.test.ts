import { createServer, type ServerHttp2Session } from "node:http2";
import { createServer as createSocketServer, type Server } from "node:net";
import { join } from "node:path";
import { setImmediate as immediate } from "node:timers/promises";
import { expect, it } from "vitest";
import { runtimeService } from "../../cri-api/index.ts";
import { testDir } from "../../test/support/file-dir.ts";
import { CliError, exitCode } from "./cli-error.ts";
import { Daemon } from "./client.ts";

/** Lets `server` listen until it is disposed of. */
async function listening(server: Pick<Server, "listen" | "close">) {
  const path = join(testDir("client"), "s");
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return { path, [Symbol.dispose]: () => void server.close() };
}

/** What a daemon does with a call that it has begun to read. */
function http2Server(onCall: (session: ServerHttp2Session) => void) {
  return createServer().on("stream", (stream) => {
    stream.on("error", () => {});
    if (stream.session !== undefined) onCall(stream.session as ServerHttp2Session);
  });
}

it.each(["an end", "a reset"])(
  "a call that %s cuts off tells it; the next one connects anew",
  async (how) => {
    let calls = 0;
    using server = await listening(
      how === "an end"
        ? http2Server((session) => {
            calls++;
            session.destroy();
          })
        : createSocketServer({ pauseOnConnect: true }, async (socket) => {
            calls++;
            // Closed with bytes unread, which the client of this same loop writes meanwhile: the kernel tells a reset.
            for (let turn = 0; turn < 50; turn++) await immediate();
            socket.destroy();
          }),
    );
    using daemon = new Daemon(server.path);
    for (const turn of [1, 2]) {
      const error = await daemon.call(runtimeService.version, {}).catch((cause: unknown) => cause);
      expect(error).toBeInstanceOf(CliError);
      expect(error).toMatchObject({
        exitCode: exitCode.unreachable,
        message: expect.stringContaining(server.path),
      });
      expect(calls).toBe(turn);
    }
  },
);

it("a call that is given up is that, whatever becomes of its connection", async () => {
  const stop = new AbortController();
  using server = await listening(http2Server(() => stop.abort()));
  using daemon = new Daemon(server.path);
  const call = daemon.call(runtimeService.version, {}, { timeoutMs: 0, signal: stop.signal });
  await expect(call).rejects.toThrow(expect.objectContaining({ name: "AbortError" }));
});
