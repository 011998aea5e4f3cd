/** Back-pressure, idle connections and leaks. Rows S4, S5 and U6 of the security bar. */
import { readdirSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitFor } from "../../support/wait.ts";
import { openStreams, RawWebSocket, spdy } from "../../support/stream-clients.ts";
import { cpuTicks, HostProcess, Scripted } from "./processes.ts";
import { type Serving, serving } from "./serve.ts";

let server: Serving;
beforeAll(async () => {
  server = await serving();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const mebibyte = 1 << 20;
/** What the kernel's socket buffers and pipes may hold on the way, beside our own queues. */
const kernelBytes = 16 * mebibyte;

function exec(
  args: readonly string[],
  stdin: boolean,
): { url: string; process: () => HostProcess | undefined } {
  let started: HostProcess | undefined;
  const url = server.streaming.exec({
    stdin,
    stdout: true,
    stderr: false,
    tty: false,
    containerId: "c",
    open: async (signal) => {
      started = await HostProcess.start(args, signal);
      return started;
    },
  });
  return { url, process: () => started };
}

/** Waits until `value` has not changed for a while; returns it. */
async function settled(value: () => number): Promise<number> {
  for (let last = -1; ; await delay(150)) {
    const now = value();
    if (now === last) return now;
    last = now;
  }
}

const transports = ["spdy", "websocket"] as const;

describe.each(transports)("over %s", (transport) => {
  it("a client that does not read stops the process, and nothing grows", async () => {
    const { url, process: started } = exec(["/bin/sh", "-c", "exec yes"], false);
    const session = transport === "spdy" ? await spdy(url, { read: false }) : await RawWebSocket.open(url);
    using _ = session;
    const { socket } = session.connection;
    if ("client" in session)
      for (const streamtype of ["error", "stdout"]) session.client.open({ streamtype });
    socket.pause();
    await waitFor("the process", started);
    const written = () => cpuTicks(started()?.pid ?? 0);
    await settled(written);
    const before = process.memoryUsage().rss;
    expect(await settled(written)).toBe(written());
    // The client is in this process, too; the daemon's own bound is tested on a daemon.
    expect(process.memoryUsage().rss - before).toBeLessThan(16 * mebibyte);
    // And goes on where it stopped.
    let read = 0;
    socket.on("data", (bytes: Buffer) => {
      read += bytes.length;
    });
    socket.resume();
    await waitFor("the rest", () => read > kernelBytes + 8 * mebibyte);
    socket.destroy();
    expect(await started()?.ended).toMatchObject({ signal: 9 });
  });

  it("a process that does not read stops the client; its leaving is noticed all the same", async () => {
    await using quick = await serving({ limits: { pingMs: 200 } });
    let started: HostProcess | undefined;
    const url = quick.streaming.exec({
      stdin: true,
      stdout: true,
      stderr: false,
      tty: false,
      containerId: "c",
      open: async (signal) => {
        started = await HostProcess.start(["/bin/sleep", "1000"], signal);
        return started;
      },
    });
    const session = transport === "spdy" ? await spdy(url) : await RawWebSocket.open(url);
    using _ = session;
    const { socket } = session.connection;
    const piece = Buffer.alloc(64 << 10, "x");
    let send = () => (session as RawWebSocket).send(0, piece);
    if ("client" in session) {
      const { stdin } = await openStreams(session, "error", "stdin", "stdout");
      send = () => session.client.send(stdin, piece);
    }
    await waitFor("the process", () => started);
    let sent = 0;
    // Until the kernel takes no more: half a second without a drain.
    for (let stuck = false; !stuck && sent < 256 * mebibyte; ) {
      send();
      sent += piece.length;
      if (!socket.writableNeedDrain) continue;
      const drained = Promise.withResolvers<boolean>();
      const done = () => drained.resolve(true);
      socket.once("drain", done);
      const timer = setTimeout(() => drained.resolve(false), 500);
      stuck = !(await drained.promise);
      clearTimeout(timer);
      socket.off("drain", done);
    }
    expect(sent).toBeLessThan(kernelBytes);
    expect(started?.stdinBytes).toBeLessThan(mebibyte);
    socket.destroy();
    expect(await started?.ended).toMatchObject({ signal: 9 });
  });

  it("a hundred MiB go through in either direction, whole, with memory flat", async () => {
    const total = 100 * mebibyte;
    const { url } = exec(["/bin/cat"], true);
    const session =
      transport === "spdy"
        ? await spdy(url, { read: false })
        : await RawWebSocket.open(url, { protocols: ["v5.channel.k8s.io"] });
    using _ = session;
    const { socket } = session.connection;
    let seen = 0;
    const piece = Buffer.alloc(256 << 10, "0123456789abcdef");
    let send = () => (session as RawWebSocket).send(0, piece);
    let end = () => (session as RawWebSocket).send(255, Buffer.of(0));
    if ("client" in session) {
      socket.on("data", (bytes: Buffer) => {
        session.client.feed(bytes);
        for (const pieces of session.client.output.values()) pieces.length = 0;
      });
      const { stdin } = await openStreams(session, "error", "stdin", "stdout");
      send = () => session.client.send(stdin, piece);
      end = () => session.client.send(stdin, "", true);
    } else {
      socket.removeAllListeners("data");
      socket.on("data", (bytes: Buffer) => {
        seen += bytes.length;
      });
    }
    let peak = 0;
    const before = process.memoryUsage().rss;
    for (let sent = 0; sent < total; sent += piece.length) {
      send();
      peak = Math.max(peak, process.memoryUsage().rss - before);
      if (socket.writableNeedDrain)
        await new Promise<void>((resolve) => socket.once("drain", () => resolve()));
    }
    end();
    await session.connection.closed;
    const received = "client" in session ? session.client.received : seen;
    expect(received).toBeGreaterThanOrEqual(total);
    expect(received - total).toBeLessThan(total / 100);
    // The client's part of it is in this process, too.
    expect(peak).toBeLessThan(64 * mebibyte);
  });

  it("a client that makes us answer without reading the answers is not read", async () => {
    const script = new Scripted();
    const url = server.streaming.exec({
      stdin: false,
      stdout: true,
      stderr: false,
      tty: false,
      containerId: "c",
      open: async () => script,
    });
    const session =
      transport === "spdy"
        ? await spdy(url, { read: false })
        : await RawWebSocket.open(url, { protocols: ["v5.channel.k8s.io"] });
    using _ = session;
    const { socket } = session.connection;
    socket.pause();
    // 64 KiB of pings, again and again.
    const ping =
      transport === "spdy"
        ? Buffer.from([0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1])
        : Buffer.concat([Buffer.from([0x89, 0x80 | 125, 0, 0, 0, 0]), Buffer.alloc(125)]);
    const flood = Buffer.concat(Array.from({ length: Math.ceil(65_536 / ping.length) }, () => ping));
    const before = process.memoryUsage().rss;
    let stuck = false;
    for (let sent = 0; !stuck && sent < 512 * mebibyte; sent += flood.length) {
      if (socket.write(flood)) continue;
      const drained = Promise.withResolvers<boolean>();
      const done = () => drained.resolve(true);
      socket.once("drain", done);
      const timer = setTimeout(() => drained.resolve(false), 500);
      stuck = !(await drained.promise);
      clearTimeout(timer);
      socket.off("drain", done);
    }
    expect(stuck).toBe(true);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * mebibyte);
    socket.destroy();
    await waitFor("the session's end", () => server.streaming.sessions === 0);
    expect(script.closed).toBe(transport === "websocket");
  });
});

describe("connections that carry nothing", () => {
  it("are ended after a while", async () => {
    await using impatient = await serving({ limits: { idleMs: 400 } });
    const script = new Scripted();
    const url = impatient.streaming.exec({
      stdin: false,
      stdout: true,
      stderr: false,
      tty: false,
      containerId: "c",
      open: async () => script,
    });
    using session = await spdy(url);
    await openStreams(session, "error", "stdout");
    // Life keeps it: output for longer than the limit.
    for (let i = 0; i < 6; i++) {
      script.say(".");
      await delay(100);
    }
    expect(script.closed).toBe(false);
    await session.connection.closed;
    expect(script.closed).toBe(true);
  });

  it("hear from us now and then", async () => {
    await using lively = await serving({ limits: { pingMs: 100 } });
    const open = async () => new Scripted();
    const url = lively.streaming.exec({
      stdin: false,
      stdout: true,
      stderr: false,
      tty: false,
      containerId: "c",
      open,
    });
    using session = await spdy(url);
    await openStreams(session, "error", "stdout");
    await session.client.until(() => session.client.pings.length >= 3, "pings");
    expect(session.client.pings.every((id) => id % 2 === 0)).toBe(true);
  });
});

describe("after a thousand of each", () => {
  it("sessions that ended in any way leave no descriptor and no session behind", async () => {
    const descriptors = () => readdirSync("/proc/self/fd").length;
    const before = descriptors();
    for (let i = 0; i < 1000; i++) {
      const script = new Scripted();
      const open = i % 5 === 0 ? () => Promise.reject(new Error("no")) : async () => script;
      const wanted = { stdin: true, stdout: true, stderr: false, tty: false, containerId: "c", open };
      const url = i % 2 === 0 ? server.streaming.exec(wanted) : server.streaming.attach(wanted);
      if (i % 3 === 0) {
        using socket = await RawWebSocket.open(url);
        if (i % 4 !== 0) script.exit(0);
        if (i % 8 !== 0) socket.send(0, "x");
        if (i % 4 !== 0) await socket.connection.closed;
      } else {
        using session = await spdy(url);
        if (i % 7 !== 0) await openStreams(session, "error", "stdin", "stdout");
        if (i % 4 !== 0 && i % 7 !== 0) {
          script.exit(i % 3);
          await session.client.until(() => session.client.goAway !== undefined);
        }
      }
    }
    await waitFor("the sessions' end", () => server.streaming.sessions === 0);
    await waitFor("the descriptors", () => descriptors() <= before + 2);
  });

  it("a thousand idle sessions are held at once", async () => {
    const open = async () => new Scripted();
    const wanted = { stdin: true, stdout: true, stderr: true, tty: false, containerId: "c", open };
    globalThis.gc?.();
    const before = process.memoryUsage().rss;
    const sessions = [];
    for (let i = 0; i < 1000; i++) {
      const session = await spdy(server.streaming.exec(wanted));
      await openStreams(session, "error", "stdin", "stdout", "stderr");
      sessions.push(session);
    }
    expect(server.streaming.sessions).toBe(1000);
    // Both sides of it are in this process.
    expect((process.memoryUsage().rss - before) / 1000).toBeLessThan(160 << 10);
    for (const session of sessions) session[Symbol.dispose]();
    await waitFor("the sessions' end", () => server.streaming.sessions === 0);
  });
});
