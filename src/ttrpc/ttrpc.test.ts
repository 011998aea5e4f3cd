import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { RuntimeError } from "../errors/runtime-error.ts";
import { TtrpcClient } from "./client.ts";
import { encodeFrame, type Frame, FrameParser, frameType, maxDataBytes } from "./frame.ts";
import { KeyValue, Request, Response, Status } from "./message.ts";
import { method, TtrpcServer } from "./server.ts";

const folder = mkdtempSync(join(tmpdir(), "kobako-ttrpc-"));
afterAll(() => rmSync(folder, { recursive: true }));
let sockets = 0;
const socketPath = () => join(folder, `${sockets++}.sock`);
const within = () => AbortSignal.timeout(10_000);

/** A small seeded generator (xorshift32): a failing case can be run again. */
function random(seed: number): (below: number) => number {
  let x = seed | 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

function collect(parser: FrameParser, bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  parser.feed(bytes, (frame) => frames.push({ ...frame, data: Buffer.from(frame.data) }));
  return frames;
}

describe("frames", () => {
  it("have the published header: length, stream, type, flags", () => {
    const frame = encodeFrame(3, frameType.request, 1, Buffer.from("ab"));
    expect(frame.toString("hex")).toBe("00000002000000030101" + "6162");
  });

  it("come out whole however the bytes are cut", () => {
    for (let seed = 1; seed < 200; seed++) {
      const rand = random(seed);
      const sent = Array.from({ length: 1 + rand(6) }, (_, i) =>
        encodeFrame(2 * i + 1, frameType.request, 0, Buffer.alloc(rand(40), i)),
      );
      const bytes = Buffer.concat(sent);
      const parser = new FrameParser();
      const got: Buffer[] = [];
      for (let at = 0; at < bytes.length; ) {
        const size = 1 + rand(17);
        const chunk = Buffer.from(bytes.subarray(at, at + size));
        for (const f of collect(parser, chunk)) got.push(encodeFrame(f.stream, f.type, f.flags, f.data));
        chunk.fill(0xee); // the caller uses its buffer again
        at += size;
      }
      expect(Buffer.concat(got).equals(bytes), `seed ${seed}`).toBe(true);
    }
  });

  it("of random bytes are refused or read, and never make memory grow with what they promise", () => {
    for (let seed = 1; seed < 500; seed++) {
      const rand = random(seed);
      const parser = new FrameParser(64);
      const bytes = Buffer.from(Array.from({ length: 200 }, () => (rand(3) === 0 ? rand(256) : rand(4))));
      try {
        for (const f of collect(parser, bytes)) expect(f.data.length).toBeLessThanOrEqual(64);
      } catch (error) {
        expect(error, `seed ${seed}`).toBeInstanceOf(RuntimeError);
      }
    }
  });

  it("larger than 4 MiB are neither sent nor taken", () => {
    expect(() => encodeFrame(1, 1, 0, Buffer.alloc(maxDataBytes + 1))).toThrow(/larger than/);
    const header = Buffer.alloc(10);
    header.writeUInt32BE(maxDataBytes + 1, 0);
    header[8] = frameType.response;
    expect(() => collect(new FrameParser(), header)).toThrow(/at most/);
  });
});

const services = {
  "test.Echo": {
    Echo: method(KeyValue, KeyValue, ({ key }, { metadata }) => ({ key, value: metadata.who ?? "" })),
    Fail: method(KeyValue, KeyValue, ({ key }) => {
      throw new RuntimeError("not-found", `no ${key}`);
    }),
    Hang: method(
      KeyValue,
      KeyValue,
      (_, { signal }) =>
        new Promise<KeyValue>((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        }),
    ),
  },
};

async function pair() {
  const path = socketPath();
  const server = await TtrpcServer.listen(path, services);
  const client = await TtrpcClient.connect(path, within());
  const call = (name: string, key: string, timeoutMs = 10_000, signal?: AbortSignal) =>
    client.call(
      "test.Echo",
      name,
      KeyValue,
      KeyValue,
      { key },
      {
        timeoutMs,
        metadata: { who: "me" },
        ...(signal ? { signal } : {}),
      },
    );
  return { path, server, client, call };
}

describe("calls", () => {
  it("carry messages and metadata both ways, many at once", async () => {
    const { server, client, call } = await pair();
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => call("Echo", `k${i}`)));
    expect(answers).toEqual(Array.from({ length: 50 }, (_, i) => ({ key: `k${i}`, value: "me" })));
    client.close();
    await expect(client.closed).resolves.toBeUndefined();
    await server[Symbol.asyncDispose]();
  });

  it("fail with the kind of the peer's status", async () => {
    const { server, client, call } = await pair();
    await expect(call("Fail", "pod")).rejects.toMatchObject({ kind: "not-found", message: "no pod" });
    await expect(call("Nothing", "")).rejects.toMatchObject({ kind: "unimplemented" });
    client.close();
    await server[Symbol.asyncDispose]();
  });

  it("end at their deadline and by their signal, and leave the connection usable", async () => {
    const { server, client, call } = await pair();
    await expect(call("Hang", "", 30)).rejects.toMatchObject({ kind: "deadline-exceeded" });
    const given = new AbortController();
    const hanging = call("Hang", "", 10_000, given.signal);
    given.abort();
    await expect(hanging).rejects.toMatchObject({ kind: "cancelled" });
    await expect(call("Echo", "still")).resolves.toMatchObject({ key: "still" });
    client.close();
    await server[Symbol.asyncDispose]();
  });

  it("under way fail with `unavailable` when the peer goes away", async () => {
    const { server, client, call } = await pair();
    const hanging = call("Hang", "");
    hanging.catch(() => undefined);
    await call("Echo", "");
    await server[Symbol.asyncDispose]();
    await expect(hanging).rejects.toMatchObject({ kind: "unavailable" });
    await expect(client.closed).resolves.toBeInstanceOf(Error);
    await expect(call("Echo", "")).rejects.toMatchObject({ kind: "unavailable" });
  });

  it("say `not-found` where nobody listens", async () => {
    await expect(TtrpcClient.connect(socketPath(), within())).rejects.toMatchObject({ kind: "not-found" });
  });
});

describe("hostile peers", () => {
  /** What a client makes of a server that answers a call with `bytes`. */
  async function answeredWith(bytes: Buffer) {
    const path = socketPath();
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end(bytes));
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const client = await TtrpcClient.connect(path, within());
    const answer = client.call("s", "M", KeyValue, KeyValue, {}, { timeoutMs: 10_000 });
    const outcome = await answer.then(
      (value) => value,
      (error: unknown) => error,
    );
    client.close();
    server.close();
    return outcome;
  }

  it("that answer with garbage make the call fail, by name", async () => {
    const bad = [
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
      encodeFrame(1, frameType.data, 0, Buffer.alloc(0)),
      encodeFrame(99, frameType.response, 0, Buffer.alloc(0)),
      Buffer.alloc(3),
    ];
    for (const bytes of bad) expect(await answeredWith(bytes)).toMatchObject({ kind: "unavailable" });
    const text = Response.encode({ payload: Buffer.from([0x0a, 0xff]) });
    expect(await answeredWith(encodeFrame(1, frameType.response, 0, text))).toMatchObject({
      kind: "internal",
      message: "M: the answer is malformed",
    });
    const long = Response.encode({ status: { code: 77, message: "x".repeat(100_000) } });
    const error = await answeredWith(encodeFrame(1, frameType.response, 0, long));
    expect(error).toMatchObject({ kind: "internal" });
    expect((error as Error).message.length).toBeLessThan(5000);
    const none = Response.encode({ status: Status.decode(Status.encode({ code: 5 })) });
    expect(await answeredWith(encodeFrame(1, frameType.response, 0, none))).toMatchObject({
      kind: "not-found",
      message: "M: status 5",
    });
  });

  it("that send garbage to a server are cut off, and the others are served", async () => {
    const { path, server, client, call } = await pair();
    const cut = async (bytes: Buffer) => {
      const socket = connect(path);
      socket.on("error", () => {});
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.resume();
      socket.write(bytes);
      await closed;
    };
    await cut(Buffer.from("GET / HTTP/1.1\r\n\r\n"));
    await cut(encodeFrame(2, frameType.request, 0, Request.encode({})));
    await cut(encodeFrame(1, frameType.response, 0, Buffer.alloc(0)));
    await cut(encodeFrame(1, frameType.request, 0, Buffer.from([0xff])));
    const twice = encodeFrame(1, frameType.request, 0, Request.encode({ service: "x" }));
    await cut(Buffer.concat([twice, twice]));
    await expect(call("Echo", "on")).resolves.toMatchObject({ key: "on" });
    client.close();
    await server[Symbol.asyncDispose]();
  });
});
