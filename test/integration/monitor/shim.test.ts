/**
 * A monitor beside a shim, and whoever speaks nonsense: on the socket that takes the shim's events, and where the
 * monitor calls a shim. What is kept is bounded, what is no protocol is cut, the shim itself is served.
 */
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, readdirSync, readFileSync, readlinkSync, readSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { TtrpcClient } from "../../../src/ttrpc/client.ts";
import { encodeCall } from "../../../src/ttrpc/call.ts";
import { encodeFrame, FrameParser, frameType } from "../../../src/ttrpc/frame.ts";
import * as api from "../../../src/ttrpc/message.ts";
import { inTime, memoryKiB, MonitorPod, openFiles, RawSocket } from "../../support/monitor.ts";
import { waitFor } from "../../support/wait.ts";

const start = () => MonitorPod.start({ shim: true });
const socketOf = (pod: MonitorPod): string => join(pod.runDir, "e.sock");
const dial = (pod: MonitorPod) => new RawSocket(socketOf(pod));

const exit = (container: string): api.ForwardRequestInit => ({
  envelope: {
    namespace: "kobako",
    topic: "/tasks/exit",
    event: {
      typeUrl: api.typeUrl.taskExit,
      value: api.TaskExit.encode({ containerId: container, id: container, exitStatus: 3 }),
    },
  },
});

const frameOf = (payload: Uint8Array, name = "Forward", service: string = api.service.events): Buffer =>
  encodeCall(1, service, name, payload, { timeoutMs: 1000 });
const good = frameOf(api.ForwardRequest.encode(exit("x")));

/** A header that promises so much. */
function header(length: number, type: number): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.writeUInt32BE(length, 0);
  bytes.writeUInt32BE(1, 4);
  bytes[8] = type;
  return bytes;
}

/** The codes of the answers that come back for `bytes`; the connection stays. */
async function answers(socket: RawSocket, bytes: Buffer, count = 1): Promise<number[]> {
  const codes: number[] = [];
  const parser = new FrameParser();
  const came = (chunk: Buffer) =>
    parser.feed(chunk, ({ data }) => {
      codes.push(api.Response.decode(data).status?.code ?? 0);
    });
  socket.socket.on("data", came);
  socket.socket.write(bytes);
  await waitFor("answers", () => codes.length >= count);
  socket.socket.off("data", came);
  return codes;
}

/** The shim's own events are taken. */
async function expectServed(pod: MonitorPod): Promise<void> {
  const client = await TtrpcClient.connect(socketOf(pod), AbortSignal.timeout(5000));
  try {
    const options = { timeoutMs: 5000 };
    await client.call(api.service.events, "Forward", api.ForwardRequest, api.Empty, exit("y"), options);
  } finally {
    client.close();
  }
}

describe("the events socket", () => {
  it.each<[string, Buffer]>([
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
    ["a frame over the protocol's limit", header((4 << 20) + 1, frameType.request)],
    ["the largest length there is", header(0xffffffff, frameType.request)],
    ["an answer", header(0, frameType.response)],
    ["the data of a stream", header(0, frameType.data)],
    ["a frame of a type that there is not", header(0, 9)],
    ["zeros", Buffer.alloc(4096)],
  ])("cuts who sends %s, and serves others", async (_, bytes) => {
    await using pod = await start();
    const bad = dial(pod);
    bad.socket.write(bytes);
    await inTime("the cut", bad.ended);
    await expectServed(pod);
  });

  it("refuses what is malformed or another call, one by one", async () => {
    await using pod = await start();
    const socket = dial(pod);
    const broken = api.ForwardRequest.encode(exit("x")).subarray(0, -3);
    const invalid = 3;
    const unimplemented = 12;
    expect(await answers(socket, header(0, frameType.request))).toEqual([unimplemented]);
    expect(await answers(socket, frameOf(broken))).toEqual([invalid]);
    expect(await answers(socket, frameOf(broken, "Backward"))).toEqual([unimplemented]);
    expect(await answers(socket, frameOf(broken, "Forward", "x"))).toEqual([unimplemented]);
    expect(
      await answers(socket, encodeFrame(1, frameType.request, 0, Buffer.from([0xff, 0xff, 0xff]))),
    ).toEqual([invalid]);
    expect(await answers(socket, good)).toEqual([0]);
    socket.socket.destroy();
  });

  it("takes an event in any pieces, and many at once", async () => {
    await using pod = await start();
    const socket = dial(pod);
    for (const byte of good.subarray(0, -1)) socket.socket.write(Buffer.of(byte));
    expect(await answers(socket, good.subarray(-1))).toEqual([0]);
    const many = Array.from({ length: 200 }, () => good);
    expect(await answers(socket, Buffer.concat(many), many.length)).toEqual(many.map(() => 0));
    socket.socket.destroy();
  });

  it("passes over an event that is too large, in little memory, and answers it", async () => {
    await using pod = await start();
    const before = memoryKiB(pod.pid, "Private_Dirty");
    const socket = dial(pod);
    const large = Buffer.concat([header(4 << 20, frameType.request), Buffer.alloc(4 << 20, 0x0a)]);
    expect(await answers(socket, Buffer.concat([large, good]), 2)).toEqual([0, 0]);
    expect(memoryKiB(pod.pid, "Private_Dirty") - before).toBeLessThan(512);
    socket.socket.destroy();
  });

  it("keeps at most one event for each who stops in the middle, and cuts who reads no answers", async () => {
    await using pod = await start();
    const files = openFiles(pod.pid);
    const before = memoryKiB(pod.pid, "Private_Dirty");
    const halves = Array.from({ length: 15 }, () => dial(pod));
    for (const { socket } of halves)
      socket.write(Buffer.concat([header(16384, frameType.request), Buffer.alloc(16383, 1)]));
    const deaf = dial(pod);
    deaf.socket.pause();
    const flood = Buffer.concat(Array.from({ length: 2000 }, () => good));
    // Its end shows in an error of writing: it reads nothing.
    const cut = new Promise((resolve) => deaf.socket.once("error", resolve).once("close", resolve));
    for (let i = 0; i < 20; i++) deaf.socket.write(flood);
    await inTime("the cut", cut);
    expect(memoryKiB(pod.pid, "Private_Dirty") - before).toBeLessThan(1024);
    for (const { socket } of halves) socket.destroy();
    deaf.socket.destroy();
    await waitFor("descriptors to be closed", () => openFiles(pod.pid) <= files);
    await expectServed(pod);
  });

  it("holds 16 of a thousand connections, and room comes back", async () => {
    await using pod = await start();
    const files = openFiles(pod.pid);
    const many = Array.from({ length: 1000 }, () => dial(pod));
    const open = () => many.filter(({ socket }) => !socket.destroyed).length;
    await waitFor("those above the limit to be cut", () => open() <= 16);
    expect(openFiles(pod.pid)).toBeLessThanOrEqual(files + 16);
    await (await pod.connect()).request("state"); // the daemon's socket is another
    for (const { socket } of many) socket.destroy();
    await waitFor("descriptors to be closed", () => openFiles(pod.pid) <= files + 1);
    await expectServed(pod);
  });

  it("outlives random bytes behind honest headers", async () => {
    await using pod = await start();
    let seed = 4711;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % below;
    };
    const files = openFiles(pod.pid);
    for (let round = 0; round < 100; round++) {
      const socket = dial(pod);
      const frames = Array.from({ length: 20 }, () => {
        const payload = Buffer.from(good.subarray(10));
        for (let i = random(8); i >= 0; i--) payload[random(payload.length)] = random(256);
        return encodeFrame(1, frameType.request, 0, payload);
      });
      expect(await answers(socket, Buffer.concat(frames), 20)).toHaveLength(20);
      socket.socket.destroy();
    }
    await waitFor("descriptors to be closed", () => openFiles(pod.pid) <= files);
    await expectServed(pod);
  });

  it("is for root alone", async () => {
    await using pod = await start();
    execFileSync("chmod", ["-R", "a+rwX", pod.folder]);
    const script =
      "process.setgroups([]);process.setgid(65534);process.setuid(65534);" +
      "const c=require('node:net').connect(process.argv[1]);c.on('error',()=>{});c.on('close',()=>console.log('cut'));" +
      "c.on('data',()=>console.log('served'));c.write(Buffer.from(process.argv[2],'hex'))";
    const out = execFileSync(process.execPath, ["-e", script, socketOf(pod), good.toString("hex")], {
      encoding: "utf8",
    });
    expect(out).toBe("cut\n");
  });
});

describe("a call to a shim", () => {
  /** What answers every connection so. */
  async function shimThat(pod: MonitorPod, answer: (socket: Socket) => void): Promise<string> {
    const path = join(pod.folder, "task.sock");
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => answer(socket));
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    server.unref();
    return path;
  }
  const call = (address: string, more: Record<string, unknown> = {}) => ({
    container: "x",
    address,
    frame: good.toString("hex"),
    limit_ms: 1000,
    ...more,
  });

  it.each<[string, Record<string, unknown>]>([
    ["no address", { address: "" }],
    ["a relative one", { address: "task.sock" }],
    ["no hex", { frame: "zz" }],
    ["half a header", { frame: "0000" }],
    ["too much", { frame: "00".repeat(70_000) }],
    ["no limit", { limit_ms: 0 }],
  ])("with %s is refused", async (_, wrong) => {
    await using pod = await start();
    const daemon = await pod.connect();
    expect(await daemon.refusal("call", call("/x", wrong))).toBe("invalid-argument");
  });

  it.each<[string, (socket: Socket) => void, string]>([
    ["closes", (socket) => socket.destroy(), "unavailable"],
    ["closes in the middle", (socket) => socket.end(header(100, frameType.response)), "unavailable"],
    ["answers garbage", (socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"), "internal"],
    ["answers another call", (socket) => socket.write(encodeFrame(3, 2, 0, Buffer.alloc(0))), "internal"],
    ["promises 4 GiB", (socket) => socket.write(header(0xffffffff, frameType.response)), "internal"],
    ["says nothing", () => {}, "deadline-exceeded"],
  ])("that %s ends in an error", async (_, answer, kind) => {
    await using pod = await start();
    const daemon = await pod.connect();
    const files = openFiles(pod.pid);
    expect(await daemon.refusal("call", call(await shimThat(pod, answer)))).toBe(kind);
    expect(openFiles(pod.pid)).toBe(files);
    expect(await daemon.request("state")).toMatchObject({ containers: [] });
  });

  it("where nobody listens ends in an error, also by a long path", async () => {
    await using pod = await start();
    const daemon = await pod.connect();
    for (const path of ["/nonexistent", join(pod.folder, "x".repeat(120)), "@nobody"])
      expect(await daemon.refusal("call", call(path))).toBe("unavailable");
  });
});

/** Whether the process has it open for reading and writing. */
function holdsBothEnds(pid: number, fifo: string): boolean {
  return readdirSync(`/proc/${pid}/fd`).some((fd) => {
    try {
      if (readlinkSync(`/proc/${pid}/fd/${fd}`) !== fifo) return false;
      const [, flags = "0"] = /flags:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8")) ?? [];
      return (Number.parseInt(flags, 8) & 3) === constants.O_RDWR;
    } catch {
      return false; // closed meanwhile
    }
  });
}

describe("an exec whose process is the shim's", () => {
  it.each(["", "input"])(
    "gets all of its input, and the end, however late the shim opens it: %j",
    async (input) => {
      await using pod = await start();
      const daemon = await pod.connect();
      const container = "late";
      await daemon.request("prepare", pod.prepareParams(container));
      await daemon.request("create_io", pod.createParams(container, { args: ["/bin/true"] }));
      await daemon.request("started", { container });
      const client = await pod.connect();
      const io = await client.request("exec_io", { container, exec: "e1", tty: false, stdin: true });
      const fifo = String(io.stdin);
      expect(holdsBothEnds(pod.pid, fifo)).toBe(true);
      if (input !== "") client.sendFrame(0, input);
      client.sendFrame(0, "");
      await waitFor("the end of the input", () => !holdsBothEnds(pod.pid, fifo));

      const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        const buffer = Buffer.alloc(64);
        let read = "";
        await waitFor("the end of the FIFO", () => {
          try {
            const size = readSync(reader, buffer);
            read += buffer.toString("utf8", 0, size);
            return size === 0;
          } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
            return false;
          }
        });
        expect(read).toBe(input);
      } finally {
        closeSync(reader);
      }
    },
  );
});
