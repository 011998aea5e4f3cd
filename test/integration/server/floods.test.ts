/** Rows J1, J2 and J3 of the security bar: what one connection sends hurts that connection alone. */
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { statusCode } from "../../../src/server/grpc-status.ts";
import { waitFor } from "../../support/wait.ts";
import {
  endHeaders,
  endStream,
  frame,
  frameType,
  headerBlock,
  RawConnection,
  requestHeaders,
} from "./http2-frames.ts";
import { type Served, served } from "./serve.ts";

const floodMs = process.env.KOBAKO_SOAK === "1" ? 60_000 : 1_500;
const version = "/runtime.v1.RuntimeService/Version";

let server: Served;
beforeAll(async () => {
  server = await served({ connections: 32 });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** The length prefix of a gRPC message. */
function grpcFrame(declared: number, body: Buffer, compressed = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = compressed;
  head.writeUInt32BE(declared, 1);
  return Buffer.concat([head, body]);
}

async function stillServes(): Promise<void> {
  expect(await server.client.version({ version: "still" }, { timeoutMs: 5_000 })).toMatchObject({
    version: "still",
  });
}

describe("malformed requests", () => {
  const send = async (...frames: Buffer[]) => {
    const connection = await RawConnection.open(server.socket);
    await connection.write(Buffer.concat(frames));
    return connection;
  };

  it.each<[string, () => Buffer[]]>([
    [
      "a length of 1 GiB",
      () => [
        frame(frameType.headers, endHeaders, 1, requestHeaders(version)),
        frame(frameType.data, 0, 1, grpcFrame(1 << 30, Buffer.alloc(1000))),
      ],
    ],
    [
      "a length beyond what comes",
      () => [
        frame(frameType.headers, endHeaders, 1, requestHeaders(version)),
        frame(frameType.data, endStream, 1, grpcFrame(4000, Buffer.alloc(10))),
      ],
    ],
    [
      "a compressed message that is not",
      () => [
        frame(frameType.headers, endHeaders, 1, requestHeaders(version, { "grpc-encoding": "gzip" })),
        frame(frameType.data, endStream, 1, grpcFrame(10, Buffer.alloc(10, 0xff), 1)),
      ],
    ],
    [
      "an unknown compression",
      () => [
        frame(frameType.headers, endHeaders, 1, requestHeaders(version, { "grpc-encoding": "br" })),
        frame(frameType.data, endStream, 1, grpcFrame(10, Buffer.alloc(10), 1)),
      ],
    ],
    [
      "a timeout that is no number",
      () => [
        frame(frameType.headers, endHeaders, 1, requestHeaders(version, { "grpc-timeout": "soon" })),
        frame(frameType.data, endStream, 1, grpcFrame(0, Buffer.alloc(0))),
      ],
    ],
    [
      "a timeout of ages",
      () => [
        frame(frameType.headers, endHeaders, 1, requestHeaders(version, { "grpc-timeout": "99999999H" })),
        frame(frameType.data, endStream, 1, grpcFrame(0, Buffer.alloc(0))),
      ],
    ],
    [
      "a path with bytes beyond ASCII",
      () => [frame(frameType.headers, endHeaders | endStream, 1, requestHeaders("/x/\u00ff%\u0080"))],
    ],
    [
      "another content type",
      () => [
        frame(
          frameType.headers,
          endHeaders | endStream,
          1,
          requestHeaders(version, { "content-type": "text/html" }),
        ),
      ],
    ],
    [
      "no path at all",
      () => [
        frame(
          frameType.headers,
          endHeaders | endStream,
          1,
          headerBlock({ ":method": "GET", ":scheme": "http" }),
        ),
      ],
    ],
    ["a broken header block", () => [frame(frameType.headers, endHeaders, 1, Buffer.alloc(40, 0xff))]],
    ["data for a stream that is not there", () => [frame(frameType.data, 0, 5, Buffer.alloc(100))]],
    ["an unknown frame type", () => [frame(0xee, 0xff, 1, Buffer.alloc(100))]],
    [
      "two messages for a plain call",
      () => [
        frame(frameType.headers, endHeaders, 1, requestHeaders(version)),
        frame(
          frameType.data,
          endStream,
          1,
          Buffer.concat([grpcFrame(0, Buffer.alloc(0)), grpcFrame(0, Buffer.alloc(0))]),
        ),
      ],
    ],
    [
      "no message for a plain call",
      () => [frame(frameType.headers, endHeaders | endStream, 1, requestHeaders(version))],
    ],
  ])("%s costs at most the connection", async (_, frames) => {
    using connection = await send(...frames());
    expect(connection).toBeDefined();
    await stillServes();
    expect(server.child.exitCode).toBe(null);
  });

  it("text instead of HTTP/2 costs the connection", async () => {
    using connection = await RawConnection.open(server.socket);
    await connection.write(Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100)));
    await waitFor("the end of it", () => connection.closed);
    await stillServes();
  });

  it("a message that grows past the limit when it is decompressed is refused, memory flat", async () => {
    const bomb = gzipSync(Buffer.alloc(512 << 20));
    const before = server.memoryMib();
    const connections = await Promise.all(
      Array.from({ length: 4 }, () =>
        send(
          frame(frameType.headers, endHeaders, 1, requestHeaders(version, { "grpc-encoding": "gzip" })),
          ...split(grpcFrame(bomb.length, bomb, 1), 1),
        ),
      ),
    );
    let most = 0;
    const end = performance.now() + 1_000;
    while (performance.now() < end) {
      most = Math.max(most, server.memoryMib() - before);
      await stillServes();
    }
    expect(most).toBeLessThan(200);
    for (const connection of connections) connection[Symbol.dispose]();
  });

  it("100 000 nested groups are INVALID_ARGUMENT (J2)", async () => {
    const { Client, credentials } = await import("@grpc/grpc-js");
    const client = new Client(`unix:${server.socket}`, credentials.createInsecure());
    const code = await new Promise((resolve) =>
      client.makeUnaryRequest(
        version,
        (bytes: Buffer) => bytes,
        (bytes) => bytes,
        Buffer.alloc(100_000, 0x7b),
        (error) => resolve(error?.code),
      ),
    );
    client.close();
    expect(code).toBe(statusCode.INVALID_ARGUMENT);
  });
});

/** A gRPC message as frames of 16 KiB, within the window that a fresh stream has. */
function split(bytes: Buffer, stream: number): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < Math.min(bytes.length, 60_000); at += 16_384)
    frames.push(frame(frameType.data, 0, stream, bytes.subarray(at, Math.min(at + 16_384, 60_000))));
  return frames;
}

describe("a flood", () => {
  const many = (n: number, make: (i: number) => Buffer) =>
    Buffer.concat(Array.from({ length: n }, (_, i) => make(i)));
  const headers = requestHeaders(version);
  const floods: readonly [string, (batch: number) => Buffer][] = [
    [
      "opened and reset streams (CVE-2023-44487)",
      (batch) =>
        many(200, (i) => {
          const stream = (batch * 200 + i) * 2 + 1;
          return Buffer.concat([
            frame(frameType.headers, endHeaders, stream, headers),
            frame(frameType.rstStream, 0, stream, Buffer.from([0, 0, 0, 8])),
          ]);
        }),
    ],
    ["pings", () => many(2_000, () => frame(frameType.ping, 0, 0, Buffer.alloc(8)))],
    ["settings", () => many(2_000, () => frame(frameType.settings, 0, 0))],
    [
      "header continuations without end (CVE-2024-27983)",
      (batch) =>
        batch === 0
          ? frame(frameType.headers, 0, 1, headers)
          : many(200, (i) =>
              frame(frameType.continuation, 0, 1, headerBlock({ [`x-${batch}-${i}`]: "y".repeat(500) })),
            ),
    ],
    [
      "window updates",
      () => many(2_000, () => frame(frameType.windowUpdate, 0, 0, Buffer.from([0, 0, 0, 1]))),
    ],
    [
      "empty data frames",
      (batch) =>
        batch === 0
          ? frame(frameType.headers, endHeaders, 1, headers)
          : many(2_000, () => frame(frameType.data, 0, 1)),
    ],
    [
      "streams that never end",
      (batch) => many(200, (i) => frame(frameType.headers, endHeaders, (batch * 200 + i) * 2 + 1, headers)),
    ],
    [
      "large headers",
      (batch) =>
        many(50, (i) =>
          frame(
            frameType.headers,
            endHeaders | endStream,
            (batch * 50 + i) * 2 + 1,
            requestHeaders(version, { "x-large": "z".repeat(15_000) }),
          ),
        ),
    ],
  ];

  it.each(floods)("of %s leaves others served, and memory comes back", async (_, batch) => {
    await stillServes();
    const before = server.memoryMib();
    let stop = false;
    let connections = 0;
    const attackers = Array.from({ length: 4 }, async () => {
      while (!stop) {
        connections++;
        using connection = await RawConnection.open(server.socket);
        for (let n = 0; !stop && !connection.closed && n < 2_000; n++) await connection.write(batch(n));
      }
    });
    const times: number[] = [];
    let most = 0;
    const end = performance.now() + floodMs;
    while (performance.now() < end) {
      const started = performance.now();
      await server.client.version({ version: "during" }, { timeoutMs: 10_000 });
      times.push(performance.now() - started);
      most = Math.max(most, server.memoryMib());
    }
    stop = true;
    await Promise.all(attackers);
    expect(connections).toBeGreaterThan(0);
    expect(times.length).toBeGreaterThan(0);
    expect(most - before).toBeLessThan(400);
    await waitFor(
      "the memory",
      async () => {
        await server.client.containerStatus({ verbose: true });
        return server.memoryMib() < before + 100;
      },
      { timeoutMs: 40_000, intervalMs: 100 },
    );
  });

  it("of connections is cut off at the limit; those that are there go on", async () => {
    const held: RawConnection[] = [];
    try {
      for (let i = 0; i < 64; i++) held.push(await RawConnection.open(server.socket));
      await waitFor("the refusals", () => held.filter((connection) => connection.closed).length >= 32);
      await stillServes();
      expect(server.log()).toContain('"msg":"connections refused"');
    } finally {
      for (const connection of held) connection[Symbol.dispose]();
    }
    await waitFor("room again", async () => {
      using connection = await RawConnection.open(server.socket);
      await stillServes();
      return !connection.closed;
    });
  });

  it("of calls is answered with RESOURCE_EXHAUSTED beyond the limit, later calls are fine", async () => {
    await using own = await served({ calls: 16, callsPerConnection: 1000 });
    const waiting = Array.from({ length: 200 }, () =>
      own.client.execSync({ containerId: "wait", cmd: ["x"], timeout: 1n }, { timeoutMs: 20_000 }).then(
        () => statusCode.OK,
        (error: { code: number }) => error.code,
      ),
    );
    const codes = await Promise.all(waiting);
    expect(codes.filter((code) => code === statusCode.OK)).toHaveLength(16);
    expect(codes.filter((code) => code === statusCode.RESOURCE_EXHAUSTED)).toHaveLength(184);
    expect(await own.client.version({ version: "after" })).toMatchObject({ version: "after" });
  });
});
