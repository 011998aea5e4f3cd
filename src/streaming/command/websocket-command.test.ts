import { describe, expect, it } from "vitest";
import { fuzzLimitMs, fuzzRounds, Random } from "../random.fixture.ts";
import { MemoryTransport } from "../transport.fixture.ts";
import { clientFrame } from "../websocket/frame.fixture.ts";
import { opcode } from "../websocket/frame.ts";
import { WebSocketCommand, type WebSocketCommandProtocol } from "./websocket-command.ts";

const all = { stdin: true, stdout: true, stderr: true, tty: false };

function opened(protocol: WebSocketCommandProtocol = "v5.channel.k8s.io", streams = all) {
  const transport = new MemoryTransport();
  const command = new WebSocketCommand(transport, protocol, streams, () => {});
  const say = (channel: number, payload: Buffer | string = "") =>
    transport.receive(
      clientFrame(opcode.binary, Buffer.concat([Buffer.from([channel]), Buffer.from(payload)])),
    );
  return { transport, command, say };
}

const closeCodeOf = (frame: Buffer | undefined) => (frame?.[0] === 0x88 ? frame.readUInt16BE(2) : undefined);

describe("a command over WebSocket", () => {
  it("begins with an empty message on the lowest channel that it will write", () => {
    expect(opened().transport.written).toEqual([Buffer.from([0x82, 1, 1])]);
    const onlyStderr = { ...all, stdout: false };
    expect(opened("v4.channel.k8s.io", onlyStderr).transport.written).toEqual([Buffer.from([0x82, 1, 2])]);
    const onlyStdin = { ...onlyStderr, stderr: false };
    expect(opened("v4.channel.k8s.io", onlyStdin).transport.written).toEqual([Buffer.from([0x82, 1, 3])]);
  });

  it("takes input from channel 0, and its end from (255, 0) in v5", async () => {
    const { command, say } = opened();
    say(0, "hello");
    say(255, Buffer.from([0]));
    say(0, "late");
    expect((await command.stdin?.read())?.toString()).toBe("hello");
    expect(await command.stdin?.read()).toBeUndefined();
  });

  it.each<[string, WebSocketCommandProtocol, number, Buffer]>([
    ["a channel that nobody knows", "v5.channel.k8s.io", 7, Buffer.from("x")],
    ["(255, 0) in v4", "v4.channel.k8s.io", 255, Buffer.from([0])],
    ["the end of a channel that nobody knows", "v5.channel.k8s.io", 255, Buffer.from([9])],
    ["the end of two channels", "v5.channel.k8s.io", 255, Buffer.from([0, 1])],
  ])("closes with 1002 for %s", async (_what, protocol, channel, payload) => {
    const { transport, command, say } = opened(protocol);
    say(channel, payload);
    expect(closeCodeOf(transport.written.at(-1))).toBe(1002);
    expect(await command.gone).toBeInstanceOf(Error);
  });

  it("drops input that was not asked for, and empty messages on channels of ours", () => {
    const { transport, command, say } = opened("v5.channel.k8s.io", { ...all, stdin: false });
    say(0, "x");
    say(1);
    say(3);
    say(4, '{"Width":1,"Height":1}');
    transport.receive(clientFrame(opcode.binary, Buffer.alloc(0)));
    expect(command.stdin).toBeUndefined();
    expect(transport.ended).toBe(false);
  });

  it("says the status on channel 3 and closes in order", async () => {
    const { transport, command } = opened();
    await command.finish({ status: "Success" });
    const [status, close] = transport.written.slice(-2);
    expect(status?.subarray(2).toString()).toBe(`\x03{"status":"Success"}`);
    expect(closeCodeOf(close)).toBe(1000);
    expect(transport.ended).toBe(true);
  });

  it("answers pings, and a close by a close", async () => {
    const { transport, command } = opened();
    transport.receive(clientFrame(opcode.ping, Buffer.from("abc")));
    expect(transport.written.at(-1)).toEqual(Buffer.from("\x8a\x03abc", "latin1"));
    transport.receive(clientFrame(opcode.close, Buffer.from([3, 232])));
    expect(closeCodeOf(transport.written.at(-1))).toBe(1000);
    expect(await command.gone).toBeUndefined();
  });

  it("stops reading a client whose input nobody takes", () => {
    const { transport, command, say } = opened();
    for (let i = 0; i < 100 && !transport.paused; i++) say(0, Buffer.alloc(16 << 10));
    expect(transport.paused).toBe(true);
    expect(command.inputPaused).toBe(true);
    command.stdin?.discard();
    expect(transport.paused).toBe(false);
  });

  it(`fuzz: of ${fuzzRounds} damaged conversations none throws, hangs or holds more than its share`, {
    timeout: fuzzLimitMs,
  }, () => {
    for (let seed = 0; seed < fuzzRounds; seed++) {
      const random = new Random(seed);
      const { transport, command } = opened(random.pick(["v4.channel.k8s.io", "v5.channel.k8s.io"]), {
        ...all,
        tty: true,
        stderr: false,
      });
      const frames = Array.from({ length: 1 + random.number(8) }, () => {
        const code = random.pick([
          opcode.binary,
          opcode.binary,
          opcode.text,
          opcode.continuation,
          opcode.ping,
          opcode.pong,
        ]);
        const channel = random.pick([0, 0, 1, 3, 4, 255, random.number(256)]);
        const payload = Buffer.concat([
          Buffer.from([channel]),
          random.bytes(random.number(random.pick([3, 100, 400]))),
        ]);
        return clientFrame(code, payload, random.number(3) > 0, random.bytes(4));
      });
      let bytes: Buffer = Buffer.concat(frames);
      if (random.number(4) > 0) bytes = random.damage(bytes);
      for (const piece of random.cut(bytes, random.pick([1, 5, 2000]))) transport.receive(piece);
      expect(transport.written.length, `seed ${seed}`).toBeLessThan(30);
      transport.leave();
      expect(command.inputPaused, `seed ${seed}`).toBe(false);
    }
  });
});
