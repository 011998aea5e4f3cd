/** Port-forward in its three forms: SPDY, SPDY through WebSocket, and WebSocket channels. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { RuntimeError } from "../../../src/errors/runtime-error.ts";
import { SpdyClient } from "../../../src/streaming/spdy/client.fixture.ts";
import { rstStatus, rstStream } from "../../../src/streaming/spdy/frame.ts";
import { clientFrame } from "../../../src/streaming/websocket/frame.fixture.ts";
import { FrameParser, opcode } from "../../../src/streaming/websocket/frame.ts";
import { waitFor } from "../../support/wait.ts";
import { RawConnection, RawWebSocket, type Spdy, spdy, upgradeLines } from "../../support/stream-clients.ts";
import { type Serving, serving } from "./serve.ts";

let server: Serving;
const listeners: Server[] = [];
const accepted = new Set<Socket>();

beforeAll(async () => {
  server = await serving({ limits: { setupMs: 300 } });
});
afterEach(() => {
  for (const socket of accepted) socket.destroy();
  for (const listener of listeners.splice(0)) listener.close();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** A port of this host that does `serve` with each connection. */
async function listen(serve: (socket: Socket) => void): Promise<number> {
  const listener = createServer({ allowHalfOpen: true }, (socket) => {
    accepted.add(socket);
    socket.once("close", () => accepted.delete(socket));
    socket.on("error", () => {});
    serve(socket);
  });
  listeners.push(listener);
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return (listener.address() as AddressInfo).port;
}

/** Says everything back in capitals, and ends when the other side has. */
const shout = (socket: Socket) => {
  socket.on("data", (bytes: Buffer) => socket.write(bytes.toString().toUpperCase()));
  socket.on("end", () => socket.end("!"));
};

const protocols = ["portforward.k8s.io"];
const url = (ports: readonly number[] = []) => server.streaming.portForward({ sandboxId: "pod-1", ports });

/** SPDY through WebSocket: each piece of SPDY is one message, and so are those of the answers. */
async function tunnelled(target: string): Promise<Spdy> {
  const connection = new RawConnection(target);
  const head = await connection.request(
    upgradeLines(target, "websocket", { protocols: [`SPDY/3.1+${protocols[0]}`] }),
  );
  if (!head.includes("Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io")) throw new Error(head);
  const client = new SpdyClient((bytes) => connection.socket.write(clientFrame(opcode.binary, bytes)));
  // A server's frames are those of a client but for the mask: a mask of zeros is put in.
  const parser = new FrameParser({ message: (piece) => client.feed(piece), control: () => {} });
  let rest = Buffer.alloc(0);
  connection.socket.on("data", (bytes: Buffer) => {
    rest = Buffer.concat([rest, bytes]);
    for (;;) {
      const short = (rest[1] ?? 0) & 0x7f;
      const at = short === 127 ? 10 : short === 126 ? 4 : 2;
      if (rest.length < at) return;
      const size = short === 127 ? rest.readUIntBE(4, 6) : short === 126 ? rest.readUInt16BE(2) : short;
      if (rest.length < at + size) return;
      const header = Buffer.from(rest.subarray(0, at));
      header[1] = (header[1] ?? 0) | 0x80;
      parser.feed(Buffer.concat([header, Buffer.alloc(4), rest.subarray(at, at + size)]));
      rest = rest.subarray(at + size);
    }
  });
  return { client, connection, [Symbol.dispose]: () => connection[Symbol.dispose]() };
}

/** The two streams of a connection, as kubectl opens them. */
async function pair({ client }: Spdy, port: number, requestID: string) {
  const headers = { port: String(port), requestid: requestID };
  const error = client.open({ streamtype: "error", ...headers });
  client.send(error, "", true);
  const data = client.open({ streamtype: "data", ...headers });
  await client.until(() => client.replied.has(data) && client.replied.has(error));
  return { error, data };
}

describe.each([
  ["SPDY", (target: string) => spdy(target, { protocols })],
  ["SPDY through WebSocket", tunnelled],
] as const)("port-forward over %s", (_name, connect) => {
  it("carries a connection, each direction to its own end", async () => {
    const port = await listen(shout);
    using session = await connect(url());
    const { client } = session;
    const { error, data } = await pair(session, port, "0");
    client.send(data, "hello");
    await client.until(() => client.text(data) === "HELLO");
    client.send(data, " you", true);
    await client.until(() => client.ended.has(data) && client.ended.has(error));
    expect([client.text(data), client.text(error)]).toEqual(["HELLO YOU!", ""]);
    await waitFor("the pod's connection to close", () => accepted.size === 0);
  });

  it("says on the error stream that nobody listens, and goes on with others", async () => {
    const port = await listen(shout);
    using session = await connect(url());
    const { client } = session;
    const refused = await pair(session, 1, "0");
    await client.until(() => client.ended.has(refused.error) && client.reset.has(refused.data));
    expect(client.text(refused.error)).toMatch(
      /^error forwarding port 1 to pod pod-1: nobody listens on port 1/,
    );
    const other = await pair(session, port, "1");
    client.send(other.data, "still here", true);
    await client.until(() => client.ended.has(other.data));
    expect(client.text(other.data)).toBe("STILL HERE!");
  });

  it("ends the error stream when the pod has said all, before the client has", async () => {
    const port = await listen((socket) => socket.end("bye"));
    using session = await connect(url());
    const { client } = session;
    const { error, data } = await pair(session, port, "0");
    await client.until(() => client.ended.has(data) && client.ended.has(error));
    expect(client.text(data)).toBe("bye");
    client.raw(Buffer.from([0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, data, 0, 0, 0, 5]));
    await waitFor("the pod's connection to close", () => accepted.size === 0);
  });

  it("carries many connections at once", async () => {
    const port = await listen(shout);
    using session = await connect(url());
    const { client } = session;
    const pairs = await Promise.all(Array.from({ length: 100 }, (_, i) => pair(session, port, String(i))));
    pairs.forEach(({ data }, i) => {
      client.send(data, `connection ${i}`, true);
    });
    await client.until(() =>
      pairs.every(({ data, error }) => client.ended.has(data) && client.ended.has(error)),
    );
    expect(pairs.map(({ data }) => client.text(data))).toEqual(pairs.map((_, i) => `CONNECTION ${i}!`));
  });

  it("carries thousands one after the other over one connection", async () => {
    const port = await listen(shout);
    using session = await connect(url());
    const { client } = session;
    for (let i = 0; i < 1500; i++) {
      const { data, error } = await pair(session, port, String(i));
      client.send(data, "x", true);
      await client.until(() => client.ended.has(data) && client.ended.has(error));
    }
    expect(client.reset.size).toBe(0);
  });

  it("passes on that the pod broke the connection off, without a message that would end all others", async () => {
    const port = await listen((socket) => {
      socket.once("data", () => socket.resetAndDestroy());
    });
    using session = await connect(url());
    const { client } = session;
    const { error, data } = await pair(session, port, "0");
    client.send(data, "x");
    await client.until(() => client.reset.has(data) && client.ended.has(error));
    expect(client.text(error)).toBe("");
  });

  it("ends the error stream without a message when the client gave the connection up while it was made", async () => {
    const dialled = Promise.withResolvers<void>();
    const connectNever = async (_sandboxId: string, _port: number, signal: AbortSignal): Promise<never> => {
      dialled.resolve();
      await once(signal, "abort");
      throw new RuntimeError("cancelled", "port_forward was given up");
    };
    await using slow = await serving({ dialer: { connect: connectNever } });
    using session = await connect(slow.streaming.portForward({ sandboxId: "pod-1", ports: [] }));
    const { client } = session;
    const { error, data } = await pair(session, 80, "0");
    await dialled.promise;
    client.raw(rstStream(data, rstStatus.cancel));
    await client.until(() => client.ended.has(error));
    expect(client.text(error)).toBe("");
  });

  it("closes the pod's connections when the client leaves", async () => {
    const port = await listen((socket) => socket.resume().on("end", () => socket.end()));
    using session = await connect(url());
    await Promise.all([pair(session, port, "0"), pair(session, port, "1")]);
    await waitFor("the connections", () => accepted.size === 2);
    session.connection.socket.destroy();
    await waitFor("their end", () => accepted.size === 0);
    await waitFor("the session's end", () => server.streaming.sessions === 0);
  });

  it("a pod that does not read stops its client, and no neighbour before that", async () => {
    const deaf = await listen((socket) => socket.pause());
    const port = await listen(shout);
    using session = await connect(url());
    const { client, connection } = session;
    const stuck = await pair(session, deaf, "0");
    const lively = await pair(session, port, "1");
    client.send(stuck.data, Buffer.alloc(256 << 10));
    client.send(lively.data, "hi");
    await client.until(() => client.text(lively.data) === "HI");
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 256; i++) client.send(stuck.data, Buffer.alloc(256 << 10));
    await waitFor("the client to be stopped", () => connection.socket.writableNeedDrain);
    // The client's own queue of 64 MiB is in this process; what is not yet collected may be as large again.
    expect(process.memoryUsage().rss - before).toBeLessThan(192 << 20);
    expect(connection.socket.writableLength).toBeGreaterThan(32 << 20);
  });

  it("refuses streams without a port, of an odd port, of an odd type, or twice", async () => {
    using session = await connect(url());
    const { client } = session;
    const odd = [
      client.open({ streamtype: "data", requestid: "1" }),
      client.open({ streamtype: "data", requestid: "1", port: "0" }),
      client.open({ streamtype: "data", requestid: "1", port: "65536" }),
      client.open({ streamtype: "data", requestid: "1", port: "80abc" }),
      client.open({ streamtype: "stdin", requestid: "1", port: "80" }),
    ];
    client.open({ streamtype: "error", requestid: "1", port: "80" });
    odd.push(client.open({ streamtype: "error", requestid: "1", port: "80" }));
    await client.until(() => odd.every((id) => client.reset.has(id)));
  });

  it("gives up a stream whose partner does not come", async () => {
    using session = await connect(url());
    const half = session.client.open({ streamtype: "error", requestid: "1", port: "80" });
    await session.client.until(() => session.client.reset.has(half));
  });

  it("forgets a stream that was reset before its partner came: its request id is free again", async () => {
    const port = await listen(shout);
    using session = await connect(url());
    const { client } = session;
    for (let i = 0; i < 100; i++) {
      const half = client.open({ streamtype: "error", requestid: "0", port: "80" });
      client.raw(rstStream(half, rstStatus.cancel));
    }
    const { data } = await pair(session, port, "0");
    client.send(data, "again", true);
    await client.until(() => client.ended.has(data));
    expect(client.text(data)).toBe("AGAIN!");
    expect(client.reset.size).toBe(0);
  });

  it("pairs the streams of clients from before request ids by their order", async () => {
    const port = await listen(shout);
    using session = await connect(url());
    const { client } = session;
    client.open({ streamtype: "error", port: String(port) });
    const data = client.open({ streamtype: "data", port: String(port) });
    client.send(data, "old", true);
    await client.until(() => client.ended.has(data));
    expect(client.text(data)).toBe("OLD!");
  });
});

describe("port-forward over WebSocket channels", () => {
  const portBytes = (port: number) => String.fromCharCode(port & 0xff, port >> 8);

  it("each channel begins with its port; the end of the last connection closes all", async () => {
    const ports = [
      await listen((socket) => socket.once("data", (bytes) => socket.end(`${bytes}!`))),
      await listen(shout),
    ];
    using socket = await RawWebSocket.open(url(ports));
    await waitFor("the ports", () => socket.channels.size === 4);
    expect([0, 1, 2, 3].map((channel) => socket.channels.get(channel))).toEqual(
      [0, 0, 1, 1].map((i) => portBytes(ports[i] ?? 0)),
    );
    socket.send(2, "two");
    await waitFor("its answer", () => socket.channels.get(2)?.endsWith("TWO"));
    socket.send(0, "one");
    await waitFor("its answer", () => socket.channels.get(0)?.endsWith("one!"));
    expect(socket.closeCode).toBeUndefined();
    for (const connection of accepted) connection.end();
    await socket.connection.closed;
    expect(socket.closeCode).toBe(1000);
  });

  it("says on the error channel that nobody listens", async () => {
    using socket = await RawWebSocket.open(url([1]));
    await socket.connection.closed;
    expect(socket.channels.get(0)).toBe(portBytes(1));
    expect(socket.channels.get(1)?.slice(2)).toContain("nobody listens on port 1");
    expect(socket.closeCode).toBe(1000);
  });

  it("refuses unknown channels, and a request that named no port", async () => {
    const port = await listen(shout);
    using socket = await RawWebSocket.open(url([port]));
    socket.send(2, "x");
    await socket.connection.closed;
    expect(socket.closeCode).toBe(1002);
    await waitFor("the pod's connection to close", () => accepted.size === 0);
    await expect(RawWebSocket.open(url())).rejects.toThrow(/400/);
  });
});

describe("a request for odd ports is refused before there is a URL", () => {
  it.each([[[0]], [[65536]], [[1.5]], [Array.from({ length: 65 }, () => 80)]])("%j", (ports) => {
    expect(() => url(ports)).toThrow(/port/);
  });
});
