import { describe, expect, it } from "vitest";
import { fuzzLimitMs, fuzzRounds, Random } from "../random.fixture.ts";
import { MemoryTransport } from "../transport.fixture.ts";
import { SpdyClient } from "./client.fixture.ts";
import { SpdyConnection, type SpdyStream } from "./connection.ts";
import * as frames from "./frame.ts";

function connected(
  o: { maxStreams?: number; accept?: (stream: SpdyStream) => boolean; streamBytes?: number } = {},
) {
  const transport = new MemoryTransport();
  const streams: SpdyStream[] = [];
  const ends: (Error | undefined)[] = [];
  let life = 0;
  const connection = new SpdyConnection(transport, {
    input: { streamBytes: o.streamBytes ?? 1 << 20, connectionBytes: 4 << 20 },
    maxStreams: o.maxStreams ?? 8,
    maxRefusals: 256,
    onStream: (stream) => {
      if (o.accept?.(stream) === false) return false;
      streams.push(stream);
      return true;
    },
    onClosed: (fault) => ends.push(fault),
    onActivity: () => life++,
  });
  connection.start();
  const client = new SpdyClient((bytes) => transport.receive(bytes));
  /** What the server said since the last time. */
  const listen = () => {
    for (const bytes of transport.written.splice(0)) client.feed(bytes);
  };
  return { transport, connection, client, streams, ends, listen, life: () => life };
}

describe("a SPDY connection", () => {
  it("is silent until the client speaks: what comes with the upgrade's answer is lost on Go's clients", () => {
    const { transport, connection, client, listen } = connected();
    connection.ping();
    expect(transport.written).toEqual([]);
    client.raw(frames.ping(1));
    listen();
    expect(client.pings).toEqual([1]);
    expect(client.windowUpdates).toEqual([[0, 0x7fffffff - 65536]]);
    connection.ping();
    connection.ping();
    listen();
    expect(client.pings).toEqual([1, 2, 4]);
  });

  it("carries data both ways, each direction to its own end", async () => {
    const { client, connection, streams, listen } = connected();
    const id = client.open({ streamType: "stdin" });
    client.send(id, "in");
    client.send(id, "", true);
    listen();
    const [stream] = streams;
    expect(client.replied).toEqual(new Set([id]));
    expect(stream?.headers.get("streamType")).toBe(undefined);
    expect(stream?.headers.get("streamtype")).toBe("stdin");
    expect((await stream?.input.read())?.toString()).toBe("in");
    expect(await stream?.input.read()).toBeUndefined();
    expect(connection.streams).toBe(1);
    await stream?.write(Buffer.from("out"));
    stream?.end();
    await stream?.write(Buffer.from("late"));
    listen();
    expect(client.text(id)).toBe("out");
    expect(client.ended.has(id)).toBe(true);
    expect(connection.streams).toBe(0);
  });

  it("sends output in frames of at most 64 KiB and waits for room after each, for no window", async () => {
    const { transport, client, streams, listen } = connected();
    const id = client.open({});
    let done = false;
    transport.fill(true);
    const writing = streams[0]?.write(Buffer.alloc(200_000)).then(() => {
      done = true;
    });
    await Promise.resolve();
    listen();
    expect(client.received).toBe(65_536);
    transport.fill(false);
    await writing;
    expect(done).toBe(true);
    listen();
    expect(client.received).toBe(200_000);
    expect(client.output.get(id)?.length).toBe(4);
  });

  it("stops reading the client when a stream is not read", async () => {
    const { transport, connection, client, streams } = connected({ streamBytes: 64 << 10 });
    const id = client.open({});
    let sent = 0;
    while (!transport.paused && sent < 100) {
      client.send(id, Buffer.alloc(16 << 10));
      sent++;
    }
    expect(sent).toBe(4);
    expect(connection.inputPaused).toBe(true);
    await streams[0]?.input.read();
    expect(transport.paused).toBe(false);
  });

  it("refuses streams beyond the cap, of even or older numbers, and those nobody wants", () => {
    const { client, connection, listen } = connected({
      maxStreams: 2,
      accept: (stream) => stream.headers.get("a") !== "no",
    });
    const unwanted = client.open({ a: "no" });
    client.open({ a: "1" });
    client.open({ a: "2" });
    const beyond = client.open({ a: "3" });
    for (const id of [2, 1]) {
      const { frame } = client.opening({});
      frame.writeUInt32BE(id, 8);
      client.raw(frame);
    }
    listen();
    expect([client.reset.get(2), client.reset.get(1)]).toEqual([
      frames.rstStatus.protocolError,
      frames.rstStatus.protocolError,
    ]);
    expect(unwanted).toBe(1); // refused, and then its number was used again
    expect(client.reset.get(beyond)).toBe(frames.rstStatus.refusedStream);
    expect(connection.streams).toBe(2);
  });

  it("tells a stream that it was reset, and forgets it", async () => {
    const { client, connection, streams, ends } = connected();
    const [a, b] = [client.open({}), client.open({})];
    let told = 0;
    streams[0]?.onReset(() => told++);
    const reading = streams[0]?.input.read();
    client.raw(frames.rstStream(a, frames.rstStatus.cancel));
    await expect(reading).rejects.toThrow("gave up");
    expect([told, connection.streams]).toEqual([1, 1]);
    client.send(a, "late");
    streams[0]?.onReset(() => told++);
    expect(told).toBe(2);
    client.raw(frames.goAway(b, 0));
    expect(ends).toEqual([undefined]);
    await expect(streams[1]?.input.read()).rejects.toThrow();
  });

  it.each<[string, Buffer]>([
    ["a frame of another version", Buffer.from([0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1])],
    ["a header bomb", frames.synStream(1, Buffer.alloc(16_000, 0xaa))],
    ["data for stream 0", frames.dataHeader(0, 1, false)],
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n")],
  ])("ends with a GOAWAY for %s", (what, bytes) => {
    const { client, transport, ends, listen } = connected();
    client.raw(bytes);
    listen();
    if (what === "HTTP") {
      // Its first bytes are those of a large data frame: no harm, and no answer.
      expect(ends).toEqual([]);
      return;
    }
    expect(client.goAway).toBe(frames.goAwayStatus.protocolError);
    expect(ends).toHaveLength(1);
    expect(transport.ended).toBe(true);
    client.raw(frames.ping(1));
    listen();
    expect(client.pings).toEqual([]);
  });

  it("of ten thousand streams refuses a few hundred, then the connection (S4)", () => {
    const { client, connection, ends, listen, transport } = connected({ maxStreams: 4 });
    for (let i = 0; i < 10_000; i++) {
      client.open({ streamType: "data", port: "80", requestID: String(i) });
      if (i % 100 === 0) listen();
    }
    listen();
    expect(connection.streams).toBe(0);
    expect(client.reset.size).toBe(256);
    expect(client.goAway).toBe(frames.goAwayStatus.protocolError);
    expect([ends.length, transport.ended]).toEqual([1, true]);
  });

  it("goes on with who is refused now and then, however often", () => {
    const { client, ends, listen } = connected({ maxStreams: 4 });
    for (let round = 0; round < 100; round++) {
      const taken = Array.from({ length: 4 }, () => client.open({}));
      for (let i = 0; i < 10; i++) client.open({});
      for (const id of taken) client.raw(frames.rstStream(id, frames.rstStatus.cancel));
      listen();
    }
    expect([client.reset.size, ends]).toEqual([1000, []]);
  });
});

describe("fuzz: a SPDY connection", () => {
  /** A conversation that would be fine. */
  function conversation(random: Random): Buffer {
    const parts: Buffer[] = [];
    const client = new SpdyClient((bytes) => parts.push(bytes));
    const ids: number[] = [];
    for (let i = random.number(12); i >= 0; i--) {
      const id = ids.length > 0 ? random.pick(ids) : 1;
      switch (random.number(8)) {
        case 0:
          client.raw(frames.ping(random.number(100)));
          break;
        case 1:
          client.raw(frames.rstStream(id, 1 + random.number(11)));
          break;
        case 2:
          client.raw(frames.windowUpdate(random.number(9), random.number(1 << 30)));
          break;
        case 3:
        case 4:
          client.send(id, random.bytes(random.number(300)), random.number(4) === 0);
          break;
        case 5:
          client.raw(frames.initialWindow(random.number(1 << 30)));
          break;
        default:
          ids.push(
            client.open(
              { streamType: random.pick(["error", "data", "stdin", ""]), port: "80" },
              random.number(9) === 0,
            ),
          );
      }
    }
    return Buffer.concat(parts);
  }

  it(`of ${fuzzRounds} damaged conversations none throws, hangs or is kept`, { timeout: fuzzLimitMs }, () => {
    let closed = 0;
    for (let seed = 0; seed < fuzzRounds; seed++) {
      const random = new Random(seed);
      const { transport, connection, ends, streams } = connected({ streamBytes: 8 << 10 });
      let bytes = conversation(random);
      if (random.number(8) > 0) bytes = random.damage(bytes);
      if (random.number(16) === 0) bytes = random.bytes(random.number(400));
      for (const piece of random.cut(bytes, random.pick([1, 7, 1000]))) transport.receive(piece);
      expect(connection.streams, `seed ${seed}`).toBeLessThanOrEqual(8);
      expect(transport.written.length, `seed ${seed}`).toBeLessThan(200);
      if (ends.length > 0) closed++;
      transport.leave();
      expect(ends, `seed ${seed}`).toHaveLength(1);
      expect(connection.streams, `seed ${seed}`).toBe(0);
      for (const stream of streams) expect(stream.input.open).toBe(false);
    }
    // Some damage is to data, and some conversations end in order; but not all of them.
    expect(closed).toBeGreaterThan(0.05 * fuzzRounds);
    expect(closed).toBeLessThan(0.95 * fuzzRounds);
  });
});
