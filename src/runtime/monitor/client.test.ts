/** The client against a peer that misbehaves: what a real monitor never does on request. */
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { SandboxEvent } from "../handler.ts";
import { BuiltinHandler } from "../builtin.ts";
import { UserNamespaces } from "../user-namespaces.ts";
import { collectExec } from "../exec-output.ts";
import { MonitorConnection } from "./client.ts";
import { Commands } from "./commands.ts";
import {
  encodeMessage,
  encodeStreamHeader,
  FrameReader,
  maxMessageBytes,
  portStreamId,
  streamId,
} from "./frames.ts";
import { openPort } from "./port.ts";
import { openStreams } from "./streams.ts";

type Answer = (message: Record<string, unknown>, socket: Socket) => void;

const monitor = { pid: 4242, startTime: "777" };
const hello = encodeMessage({
  hello: { protocol: 1, version: "0.1.0", id: "s", pid: 4242, start_time: "777" },
});
const signal = () => AbortSignal.timeout(10_000);

let dir: string;
let server: Server | undefined;

/** A peer that greets and leaves every other message to `answer`. */
async function peer(answer: Answer, greet: Buffer | null = hello, runDir = dir): Promise<void> {
  server = createServer((socket) => {
    const reader = new FrameReader(4, maxMessageBytes);
    socket.on("error", () => {});
    socket.on("data", (bytes: Buffer) => {
      reader.feed(bytes, (_, frame) => {
        const message = JSON.parse(frame.toString());
        if (!message.hello) answer(message, socket);
        else if (greet) socket.write(greet);
        return true;
      });
    });
  });
  rmSync(join(runDir, "m.sock"), { force: true });
  const folder = openSync(runDir, "r"); // the path may be longer than a socket address
  await new Promise<void>((resolve) => server?.listen(`/proc/self/fd/${folder}/m.sock`, resolve));
  closeSync(folder);
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "monitor-client-"));
});
afterEach(() => {
  server?.close();
  server = undefined;
  rmSync(dir, { recursive: true });
});

describe("MonitorConnection", () => {
  it("matches answers to requests in any order", async () => {
    const held: [number, Socket][] = [];
    await peer(({ id }, socket) => {
      held.push([Number(id), socket]);
      if (held.length === 3)
        for (const [n, s] of held.reverse()) s.write(encodeMessage({ id: n, result: { n } }));
    });
    const connection = await MonitorConnection.open(dir, {}, signal());
    const results = await Promise.all([1, 2, 3].map(() => connection.request("state", {}, signal())));
    expect(results).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    connection.close();
    expect(await connection.closed).toBeUndefined();
  });

  it("says not-found when nobody listens", async () => {
    await expect(MonitorConnection.open(dir, {}, signal())).rejects.toMatchObject({ kind: "not-found" });
    await expect(MonitorConnection.open(`${dir}/${"x".repeat(120)}`, {}, signal())).rejects.toMatchObject({
      kind: "not-found",
    });
  });

  it("reaches a socket below a path that is longer than a socket address", async () => {
    const deep = join(dir, "d".repeat(100), "e".repeat(100));
    mkdirSync(deep, { recursive: true });
    await peer(() => {}, hello, deep);
    const connection = await MonitorConnection.open(deep, {}, signal());
    expect(connection.hello).toMatchObject(monitor);
    connection.close();
  });

  it("refuses another protocol, and a frame larger than allowed", async () => {
    await peer(
      () => {},
      encodeMessage({ hello: { protocol: 9, version: "9", id: "s", pid: 1, start_time: "1" } }),
    );
    await expect(MonitorConnection.open(dir, {}, signal())).rejects.toMatchObject({
      kind: "failed-precondition",
    });
    server?.close();
    await peer(() => {}, Buffer.from([0xff, 0xff, 0xff, 0xff]));
    await expect(MonitorConnection.open(dir, {}, signal())).rejects.toMatchObject({ kind: "internal" });
  });

  it("fails what is in flight when the connection is lost, and tells why it closed", async () => {
    await peer((_, socket) => socket.destroy());
    const connection = await MonitorConnection.open(dir, {}, signal());
    await expect(connection.request("create", {}, signal())).rejects.toMatchObject({ kind: "unavailable" });
    expect(await connection.closed).toBeInstanceOf(Error);
    await expect(connection.request("state", {}, signal())).rejects.toMatchObject({ kind: "unavailable" });
  });

  it("gives a request up with its signal and drops the late answer", async () => {
    const late: (() => void)[] = [];
    await peer(({ id, method }, socket) => {
      if (method === "state") late.push(() => socket.write(encodeMessage({ id, result: { late: true } })));
      else socket.write(encodeMessage({ id, result: { fresh: true } }));
    });
    const connection = await MonitorConnection.open(dir, {}, signal());
    const abort = new AbortController();
    const given = connection.request("state", {}, abort.signal);
    await expect.poll(() => late.length).toBe(1);
    abort.abort();
    await expect(given).rejects.toMatchObject({ kind: "cancelled" });
    late[0]?.();
    expect(await connection.request("net_stats", {}, signal())).toEqual({ fresh: true });
    connection.close();
  });
});

describe("BuiltinHandler.connect", () => {
  const handler = new BuiltinHandler({
    name: "builtin",
    monitorBinary: "/nonexistent",
    userNamespaces: new UserNamespaces("/nonexistent", ["/", "/"]),
  });
  const status = { pod: { pid_mode: "container", pause_pid: null }, containers: [] };

  it("takes a monitor with another pid or start time for dead", async () => {
    await peer(() => {});
    for (const other of [{ pid: 1 }, { startTime: "778" }, { id: "t" }]) {
      const identity = { id: "s", runDir: dir, ...monitor, ...other };
      await expect(handler.connect(identity, () => {}, signal())).rejects.toMatchObject({
        kind: "not-found",
      });
    }
  });

  it("tells events in order, none before the sandbox is handed over", async () => {
    await peer(({ id }, socket) => {
      socket.write(
        Buffer.concat([
          encodeMessage({ id, result: status }),
          encodeMessage({ event: "oom", params: { container: "a" } }),
          encodeMessage({ event: "unheard-of", params: {} }),
          encodeMessage({ event: "pause_exit", params: {} }),
        ]),
      );
    });
    const events: SandboxEvent[] = [];
    const sandbox = await handler.connect(
      { id: "s", runDir: dir, ...monitor },
      (e) => events.push(e),
      signal(),
    );
    expect(events).toEqual([]);
    await expect.poll(() => events).toEqual([{ type: "oom", containerId: "a" }, { type: "pause-exit" }]);
    sandbox.close();
  });

  it("ends the connection when an event is malformed", async () => {
    await peer(({ id }, socket) => {
      socket.write(encodeMessage({ id, result: status }));
      socket.write(encodeMessage({ event: "exit", params: { container: 7 } }));
    });
    const sandbox = await handler.connect({ id: "s", runDir: dir, ...monitor }, () => {}, signal());
    expect(await sandbox.closed).toMatchObject({ kind: "internal" });
  });
});

const frame = (stream: number, bytes: Buffer) =>
  Buffer.concat([encodeStreamHeader(stream, bytes.length), bytes]);
const status = frame(streamId.status, Buffer.from('{"exit_code":3,"signal":0,"timed_out":false}'));

/** A peer that sends single bytes, one of each of `ids` in turn, and `last`. Gives its socket. */
async function dripping(count: number, ids: readonly number[], last: Buffer) {
  let sender: Socket | undefined;
  await peer(({ id }, socket) => {
    sender = socket;
    socket.write(encodeMessage({ id, result: { pid: 5 } }));
    const drops = Array.from({ length: 1000 }, (_, i) => frame(ids[i % ids.length] ?? 0, Buffer.from("x")));
    for (let sent = 0; sent < count; sent += drops.length) socket.write(Buffer.concat(drops));
    socket.write(last);
  });
  return () => sender;
}

/** What a peer has left to send when nothing moves any more. */
async function unsent(sender: () => Socket | undefined): Promise<number> {
  let last = -1;
  const stands = () => {
    const now = sender()?.writableLength ?? -1;
    const same = now === last;
    last = now;
    return same;
  };
  await expect.poll(stands, { interval: 100 }).toBe(true);
  return last;
}

describe("commands", () => {
  /** What a monitor says of one that wrote `text`; an older one knows no `again`, and the connection is then over. */
  const said = (id: unknown, text: string, again = true) =>
    Buffer.concat([
      encodeMessage({ id, result: { pid: 5, ...(again ? { again } : {}) } }),
      frame(1, Buffer.from(text)),
      status,
    ]);
  /** A peer that answers as `answer` says, told how many connections there have been, and the commands of such a one. */
  const commands = async (answer: (id: unknown, socket: Socket, connections: number) => void) => {
    const sockets = new Set<Socket>();
    await peer(({ id }, socket) => {
      sockets.add(socket);
      answer(id, socket, sockets.size);
    });
    const made = new Commands(dir, monitor);
    const run = async () => String((await made.run({}, 100, signal())).stdout);
    return { made, run, sockets };
  };

  it("come one after the other on one connection", async () => {
    const { made, run, sockets } = await commands((id, socket) => socket.write(said(id, `${id}`)));
    expect([await run(), await run(), await run()]).toEqual(["1", "2", "3"]);
    expect(sockets.size).toBe(1);
    made.close();
    await expect.poll(() => [...sockets].every((socket) => socket.destroyed)).toBe(true);
    expect(await run()).toBe("1"); // by another one, which is not kept
    await expect.poll(() => [...sockets].every((socket) => socket.destroyed)).toBe(true);
  });

  it("at the same time have a connection each, one of which is kept", async () => {
    const { made, run, sockets } = await commands((id, socket, n) => {
      setImmediate(() => socket.write(said(id, `${n}`)));
    });
    expect((await Promise.all([run(), run(), run()])).toSorted()).toHaveLength(3);
    expect(sockets.size).toBe(3);
    await expect.poll(() => [...sockets].filter((socket) => !socket.destroyed).length).toBe(1);
    await run();
    expect(sockets.size).toBe(3);
    made.close();
  });

  it("of a monitor that knows no `again` have a connection each", async () => {
    const { run, sockets } = await commands((id, socket, n) => socket.write(said(id, `${n}`, false)));
    expect([await run(), await run()]).toEqual(["1", "2"]);
    await expect.poll(() => [...sockets].every((socket) => socket.destroyed)).toBe(true);
  });

  it("that are refused leave the connection", async () => {
    const { made, run, sockets } = await commands((id, socket) => {
      if (id === 1)
        socket.write(
          encodeMessage({ id, error: { code: 2, kind: "not-found", message: "no such container" } }),
        );
      else socket.write(said(id, "x"));
    });
    await expect(run()).rejects.toMatchObject({ kind: "not-found", message: "no such container" });
    expect([await run(), sockets.size]).toEqual(["x", 1]);
    made.close();
  });

  it("find another connection when the kept one was closed, or something came on it that nobody asked for", async () => {
    for (const spoil of [(s: Socket) => s.end(), (s: Socket) => s.write(encodeMessage({ id: 1 }))]) {
      const { made, run, sockets } = await commands((id, socket, n) => socket.write(said(id, `${n}`)));
      expect(await run()).toBe("1");
      for (const socket of sockets) spoil(socket);
      await expect.poll(() => [...sockets].every((socket) => socket.destroyed)).toBe(true);
      expect(await run()).toBe("2");
      made.close();
      server?.close();
    }
  });

  it("that are given up, lost, or another monitor's end their connection, and say why", async () => {
    const { made, sockets } = await commands(() => {});
    const leave = new AbortController();
    const given = made.run({}, 100, leave.signal);
    await expect.poll(() => sockets.size).toBe(1);
    leave.abort();
    await expect(given).rejects.toMatchObject({ kind: "cancelled" });
    const lost = made.run({}, 100, signal());
    await expect.poll(() => sockets.size).toBe(2);
    for (const socket of sockets) socket.end(frame(1, Buffer.from("half")));
    await expect(lost).rejects.toMatchObject({ kind: expect.stringMatching(/unavailable|internal/) });
    await expect(made.run({}, 100, AbortSignal.abort())).rejects.toMatchObject({ kind: "cancelled" });
    const other = new Commands(dir, { pid: 1, startTime: "1" });
    await expect(other.run({}, 100, signal())).rejects.toMatchObject({ kind: "unavailable" });
    await expect.poll(() => [...sockets].every((socket) => socket.destroyed)).toBe(true);
  });
});

describe("exec streams", () => {
  const exec = () => openStreams(dir, monitor, "exec", {}, signal());

  it("gives output in order and the end after it, all from one read", async () => {
    await peer(({ id }, socket) => {
      const out = [frame(1, Buffer.from("a")), frame(2, Buffer.from("b")), frame(1, Buffer.from("c"))];
      socket.end(Buffer.concat([encodeMessage({ id, result: { pid: 5 } }), ...out, status]));
    });
    using streams = await exec();
    expect(streams.pid).toBe(5);
    const seen: string[] = [];
    for await (const { stream, data } of streams.output) seen.push(`${stream}:${data}`);
    expect(seen).toEqual(["stdout:a", "stderr:b", "stdout:c"]);
    expect(await streams.ended).toEqual({ exitCode: 3, signal: 0, timedOut: false });
    await streams.writeStdin(Buffer.from("late")); // nothing happens after the end
  });

  it("passes on why the exec was refused", async () => {
    await peer(({ id }, socket) => {
      socket.end(
        encodeMessage({ id, error: { code: 2, kind: "failed-precondition", message: "exec /nope: ..." } }),
      );
    });
    await expect(exec()).rejects.toMatchObject({ kind: "failed-precondition", message: "exec /nope: ..." });
  });

  it("refuses the streams of another monitor", async () => {
    await peer(({ id }, socket) => socket.write(encodeMessage({ id, result: { pid: 5 } })));
    const other = openStreams(dir, { pid: 1, startTime: "1" }, "exec", {}, signal());
    await expect(other).rejects.toMatchObject({ kind: "unavailable" });
  });

  it("stops reading while nobody takes the output", async () => {
    const chunk = frame(1, Buffer.alloc(64 << 10, "x"));
    let peerSocket: Socket | undefined;
    await peer(({ id }, socket) => {
      peerSocket = socket;
      socket.write(encodeMessage({ id, result: { pid: 5 } }));
      for (let i = 0; i < 256; i++) socket.write(chunk);
      socket.write(status);
    });
    const streams = await exec();
    // 16 MiB were sent; all but the queue and the socket's own buffers stays with the sender.
    expect(await unsent(() => peerSocket)).toBeGreaterThan(12 << 20);
    const { stdout, end } = await collectExec(streams, 1 << 20, signal());
    expect([stdout.length, end.exitCode]).toEqual([1 << 20, 3]);
  });

  it("counts what single bytes cost: few wait for a reader, and all come", async () => {
    const sender = await dripping(200_000, [1, 2], status);
    using streams = await exec();
    // Of 1.2 MB the sockets' own buffers and one read are gone.
    expect(await unsent(sender)).toBeGreaterThan(600_000);
    let count = 0;
    for await (const { data } of streams.output) count += data.length;
    expect(count).toBe(200_000);
  });

  it("hands out nothing more when they were closed", async () => {
    await dripping(200_000, [1, 2], status);
    const streams = await exec();
    let count = 0;
    const read = async () => {
      for await (const _ of streams.output) if (++count === 10) streams.close();
    };
    await expect(read()).rejects.toMatchObject({ kind: "cancelled" });
    expect(count).toBe(10);
  });

  it("is lost, not ended, when the connection breaks without a status", async () => {
    await peer(({ id }, socket) =>
      socket.end(Buffer.concat([encodeMessage({ id, result: { pid: 5 } }), frame(1, Buffer.from("a"))])),
    );
    using streams = await exec();
    const seen: string[] = [];
    const read = async () => {
      for await (const { data } of streams.output) seen.push(String(data));
    };
    await expect(read()).rejects.toMatchObject({ kind: "unavailable" });
    await expect(streams.ended).rejects.toMatchObject({ kind: "unavailable" });
    expect(seen).toEqual(["a"]);
  });

  it("sends input in pieces, its end, and sizes", async () => {
    const got: [number, number][] = [];
    server = createServer((socket) => {
      let reader = new FrameReader(4, maxMessageBytes);
      let messages = 0;
      socket.on("error", () => {});
      socket.on("data", (bytes: Buffer) => {
        let rest = bytes;
        while (rest.length > 0) {
          rest = rest.subarray(
            reader.feed(rest, (tag, body) => {
              if (messages < 2) {
                messages++;
                if (messages === 1) return true;
                socket.write(Buffer.concat([hello, encodeMessage({ id: 1, result: { pid: 5 } })]));
                reader = new FrameReader(5, maxMessageBytes);
                return false;
              }
              got.push([tag, body.length]);
              if (tag === streamId.stdin && body.length === 0) socket.end(status);
              return true;
            }),
          );
        }
      });
    });
    await new Promise<void>((resolve) => server?.listen(join(dir, "m.sock"), resolve));
    using streams = await exec();
    streams.resize(80, 24);
    await streams.writeStdin(Buffer.alloc(100_000));
    streams.endStdin();
    await streams.ended;
    expect(got[0]).toEqual([streamId.resize, '{"width":80,"height":24}'.length]);
    expect(got.slice(1).map(([tag]) => tag)).toEqual([0, 0, 0, 0, 0]);
    expect(got.slice(1).reduce((sum, [, size]) => sum + size, 0)).toBe(100_000);
  });

  it("ends an exec whose caller gives up", async () => {
    let closed = false;
    await peer(({ id }, socket) => {
      socket.write(encodeMessage({ id, result: { pid: 5 } }));
      socket.on("close", () => {
        closed = true;
      });
    });
    const abort = new AbortController();
    const result = collectExec(await exec(), 100, abort.signal);
    abort.abort();
    await expect(result).rejects.toMatchObject({ kind: "cancelled" });
    await expect.poll(() => closed).toBe(true);
  });
});

describe("a forwarded port", () => {
  it("holds few single bytes for a reader, and all come", async () => {
    const sender = await dripping(200_000, [portStreamId.down], frame(portStreamId.down, Buffer.alloc(0)));
    const port = await openPort(dir, monitor, 80, signal());
    expect(await unsent(sender)).toBeGreaterThan(600_000);
    expect(port.readableLength).toBeLessThan(1000);
    expect((await buffer(port)).length).toBe(200_000);
  });
});
