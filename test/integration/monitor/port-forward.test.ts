/** Connections into a pod's network: the monitor's `port_forward`, and the stream of Node's made of it. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import type { Duplex } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { RuntimeError } from "../../../src/errors/runtime-error.ts";
import { openPort } from "../../../src/runtime/monitor/port.ts";
import {
  childrenOf,
  inTime,
  memoryKiB,
  monitorBinary,
  MonitorPod,
  openFiles,
} from "../../support/monitor.ts";
import { waitFor } from "../../support/wait.ts";
import { port } from "./port-server.ts";

const soon = () => AbortSignal.timeout(20_000);

function open(pod: MonitorPod, number: number, signal = soon()): Promise<Duplex> {
  return openPort(pod.runDir, { pid: pod.pid, startTime: pod.startTime }, number, signal);
}

/** A pod with servers in its network. */
class Serving implements AsyncDisposable {
  readonly pod: MonitorPod;
  readonly lines: string[] = [];
  #server: ChildProcess | undefined;

  private constructor(pod: MonitorPod) {
    this.pod = pod;
  }

  static async start(): Promise<Serving> {
    await using undo = new AsyncDisposableStack();
    const pod = undo.use(await MonitorPod.start());
    const serving = undo.use(new Serving(pod));
    const inside = [`--net=${pod.netnsPin}`];
    execFileSync("nsenter", [...inside, "ip", "link", "set", "lo", "up"]);
    const program = new URL("port-server.ts", import.meta.url).pathname;
    const server = spawn("nsenter", [...inside, process.execPath, program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    serving.#server = server;
    createInterface({ input: server.stdout }).on("line", (line) => serving.lines.push(line));
    await waitFor("the servers", () => serving.lines.includes("ready"));
    undo.move();
    return serving;
  }

  async said(line: RegExp): Promise<void> {
    await waitFor(`the servers to say ${line}`, () => this.lines.some((said) => line.test(said)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server?.kill("SIGKILL");
    await this.pod[Symbol.asyncDispose]();
  }
}

/** The pod's port 9 answers nothing, not even no. */
function silence(pod: MonitorPod): void {
  const silent = "table inet silent { chain in { type filter hook input priority 0; tcp dport 9 drop; }; }";
  execFileSync("nsenter", [`--net=${pod.netnsPin}`, "nft", silent]);
}

async function refusal(work: Promise<unknown>): Promise<RuntimeError> {
  const error = await work.then(
    () => new Error("it was not refused"),
    (fault: unknown) => fault,
  );
  if (error instanceof RuntimeError) return error;
  throw error;
}

describe("port-forward", () => {
  it("reaches a port of the pod's loopback, and an end of the client's leaves the pod's answer", async () => {
    await using serving = await Serving.start();
    const stream = await open(serving.pod, port.echo);
    stream.end("hello");
    expect(await inTime("the echo", text(stream))).toBe("hello");
  });

  it("reaches a listener of IPv6 alone", async () => {
    await using serving = await Serving.start();
    const stream = await open(serving.pod, port.six);
    stream.end();
    expect(await inTime("the answer", text(stream))).toBe("six ::1");
  });

  it("leaves the client's direction when the pod ended its own", async () => {
    await using serving = await Serving.start();
    const stream = await open(serving.pod, port.farewell);
    expect(await inTime("the pod's end", text(stream.iterator({ destroyOnReturn: false })))).toBe("bye");
    stream.write("still ");
    stream.end("here");
    await serving.said(/^farewell still here$/);
  });

  it("to a port where nobody listens is refused, by its number", async () => {
    await using serving = await Serving.start();
    const error = await refusal(open(serving.pod, 8999));
    expect(error.kind).toBe("failed-precondition");
    expect(error.message).toMatch(/port 8999 .*[Cc]onnection refused/);
    expect(error.subject).toMatchObject({ errno: "ECONNREFUSED" });
    const connection = await serving.pod.connect();
    for (const number of [0, 65536, -1, 1.5, "80", null])
      expect(await connection.refusal("port_forward", { port: number })).toBe("invalid-argument");
    // The connection goes on with requests after a refusal.
    expect(await connection.refusal("port_forward", { port: 8999 })).toBe("failed-precondition");
    expect(await connection.refusal("state")).toBe("none");
  });

  it("never reaches the host's network instead of the pod's (F5)", async () => {
    await using serving = await Serving.start();
    const { promise, resolve } = Promise.withResolvers<void>();
    const host = createServer((socket) => socket.end("the host")).listen(0, "127.0.0.1", resolve);
    try {
      await promise;
      const address = host.address();
      const hostPort = typeof address === "object" && address ? address.port : 0;
      expect((await refusal(open(serving.pod, hostPort))).kind).toBe("failed-precondition");
      // Nor when its pin is gone: the monitor holds the namespace itself.
      execFileSync(monitorBinary, ["--unpin", serving.pod.netnsPin]);
      expect(existsSync(serving.pod.netnsPin)).toBe(false);
      expect((await refusal(open(serving.pod, hostPort))).kind).toBe("failed-precondition");
      const stream = await open(serving.pod, port.echo);
      stream.end("pod");
      expect(await text(stream)).toBe("pod");
      process.kill(serving.pod.pid, "SIGKILL");
      await waitFor(
        "the monitor to end",
        async () => (await refusal(open(serving.pod, hostPort))).kind === "not-found",
      );
    } finally {
      host.close();
    }
  });

  it("of a pod with the host's network is a connection of the host", async () => {
    await using pod = await MonitorPod.start({ namespaces: { network: "host" } });
    const { promise, resolve } = Promise.withResolvers<void>();
    const host = createServer((socket) => socket.end("the host")).listen(0, "127.0.0.1", resolve);
    try {
      await promise;
      const address = host.address();
      const stream = await open(pod, typeof address === "object" && address ? address.port : 0);
      stream.end();
      expect(await inTime("the answer", text(stream))).toBe("the host");
    } finally {
      host.close();
    }
  });

  it("leaves the monitor in the host's network", async () => {
    await using serving = await Serving.start();
    const namespace = () => statSync(`/proc/${serving.pod.pid}/ns/net`).ino;
    expect(namespace()).toBe(statSync("/proc/self/ns/net").ino);
    for (let i = 0; i < 5; i++) (await open(serving.pod, port.echo)).destroy();
    expect(namespace()).toBe(statSync("/proc/self/ns/net").ino);
  });

  it("carries a hundred connections at once, each its own bytes, and leaves nothing (U6)", async () => {
    await using serving = await Serving.start();
    const { pod } = serving;
    const round = async () => {
      const streams = await Promise.all(Array.from({ length: 100 }, () => open(pod, port.echo)));
      await Promise.all(
        streams.map(async (stream, i) => {
          const mine = Buffer.alloc(100_000, `${i} `);
          stream.end(mine);
          expect((await buffer(stream)).equals(mine)).toBe(true);
        }),
      );
    };
    const idle = memoryKiB(pod.pid, "Private_Dirty");
    await inTime("a hundred", round());
    await waitFor("the connections to go", () => openFiles(pod.pid) < 40);
    const files = openFiles(pod.pid);
    for (let i = 0; i < 9; i++) await inTime("a hundred more", round());
    await waitFor("the runners to go", () => childrenOf(pod.pid).length === 0);
    await waitFor("the connections to go", () => openFiles(pod.pid) <= files);
    // The allocator keeps some 4 KiB for each of those that were there together; a KiB kept for every one that ever
    // was would be a thousand.
    await waitFor("memory to be given back", () => memoryKiB(pod.pid, "Private_Dirty") <= idle + 700);
  });

  it("carries 200 MB each way with flat memory, at a slow reader's pace (U7)", async () => {
    await using serving = await Serving.start();
    const { pod } = serving;
    const idle = memoryKiB(pod.pid, "Private_Dirty");
    const down = await open(pod, port.source);
    down.write("200");
    let received = 0;
    let most = 0;
    for await (const data of down) {
      received += (data as Buffer).length;
      if (received % (16 << 20) < (data as Buffer).length)
        most = Math.max(most, memoryKiB(pod.pid, "Private_Dirty"));
    }
    expect(received).toBe(200 << 20);
    const up = await open(pod, port.sink);
    const piece = Buffer.alloc(1 << 20, "u");
    for (let i = 0; i < 200; i++) {
      if (!up.write(piece)) await new Promise((resolve) => up.once("drain", resolve));
      if (i % 16 === 0) most = Math.max(most, memoryKiB(pod.pid, "Private_Dirty"));
    }
    up.end();
    expect(await text(up)).toBe(`${200 << 20}`);
    expect(most).toBeLessThan(idle + 256);
  }, 60_000);

  it("stops the pod while its client does not read, and the client while the pod does not (U7)", async () => {
    await using serving = await Serving.start();
    const { pod } = serving;
    const slow = await open(pod, port.source);
    slow.write("200");
    const stuck = await open(pod, port.stuck);
    let taken = 0;
    const piece = Buffer.alloc(64 << 10);
    let blocked: Promise<void> | undefined;
    // Until no room comes: what the kernel holds between the two is bounded.
    while (taken < 200 << 20 && blocked === undefined) {
      taken += piece.length;
      if (stuck.write(piece)) continue;
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const timer = setTimeout(() => resolve(false), 500);
      stuck.once("drain", () => resolve(true));
      if (!(await promise)) blocked = Promise.resolve();
      clearTimeout(timer);
    }
    expect(taken).toBeLessThan(64 << 20);
    expect(memoryKiB(pod.pid, "Private_Dirty")).toBeLessThan(1024);
    // Others are not held up by them.
    const stream = await open(pod, port.echo);
    stream.end("me too");
    expect(await inTime("the echo", text(stream))).toBe("me too");
    expect((await inTime("200 MiB", buffer(slow))).length).toBe(200 << 20);
    const files = openFiles(pod.pid);
    stuck.destroy();
    await waitFor("its connections to go", () => openFiles(pod.pid) <= files - 2);
  }, 60_000);

  it("tells the pod when the client dies, and the client when the pod breaks off", async () => {
    await using serving = await Serving.start();
    const { pod } = serving;
    const files = openFiles(pod.pid);
    const dying = await open(pod, port.sink);
    dying.write("half a reque");
    dying.destroy();
    await serving.said(/^sink \d+$/);
    const broken = await open(pod, port.reset);
    broken.write("x");
    const error = await refusal(text(broken));
    expect([error.kind, error.message]).toEqual([
      "unavailable",
      `port ${port.reset} of the pod broke the connection`,
    ]);
    await waitFor("the connections to go", () => openFiles(pod.pid) <= files);
    const killed = await open(pod, port.echo);
    process.kill(pod.pid, "SIGKILL");
    expect((await refusal(text(killed))).kind).toBe("unavailable");
  });

  it("that nobody accepts is given up in time, or when its client loses patience", async () => {
    await using serving = await Serving.start();
    const { pod } = serving;
    silence(pod);
    const [impatient, patient] = await Promise.all([
      refusal(open(pod, 9, AbortSignal.timeout(200))),
      refusal(open(pod, 9)),
    ]);
    expect([impatient.kind, impatient.message]).toEqual(["deadline-exceeded", "port_forward was given up"]);
    expect([patient.kind, patient.message]).toEqual([
      "deadline-exceeded",
      expect.stringContaining("port 9 "),
    ]);
    await waitFor("the runners to go", () => childrenOf(pod.pid).length === 0);
  }, 30_000);

  it("that its client gives up is dialled no longer, and no more are dialled at once than a pod may hold up (U6)", async () => {
    await using serving = await Serving.start();
    const { pod } = serving;
    silence(pod);
    const most = 256;
    const [first, given] = [new AbortController(), new AbortController()];
    let waits = true;
    const patient = refusal(open(pod, 9, first.signal)).finally(() => {
      waits = false;
    });
    await waitFor("the runner of the first", () => childrenOf(pod.pid).length === 1);
    const others = Array.from({ length: most - 1 }, () => refusal(open(pod, 9, given.signal)));
    await waitFor("the runners of the others", () => childrenOf(pod.pid).length === most);
    const tooMany = await refusal(open(pod, port.echo));
    expect([tooMany.kind, tooMany.message]).toEqual([
      "resource-exhausted",
      expect.stringContaining(`${most} connections wait for the pod to take them`),
    ]);
    given.abort();
    await Promise.all(others);
    await waitFor("the runners of the others to go", () => childrenOf(pod.pid).length <= 1);
    // The first, which was dialled before them, is dialled still: they did not end by its limit of time.
    expect(waits).toBe(true);
    const stream = await open(pod, port.echo);
    stream.end("room again");
    expect(await inTime("the echo", text(stream))).toBe("room again");
    first.abort();
    await patient;
    await waitFor("the runner of the first to go", () => childrenOf(pod.pid).length === 0);
  });

  it("ends what is no frame of it, that connection only", async () => {
    await using serving = await Serving.start();
    for (const frame of [
      [4, '{"width":1,"height":1}'],
      [1, "x"],
      [9, "x"],
    ] as const) {
      const connection = await serving.pod.connect();
      await connection.request("port_forward", { port: port.echo });
      connection.sendFrame(frame[0], frame[1]);
      await connection.cut();
    }
    const stream = await open(serving.pod, port.echo);
    stream.end("fine");
    expect(await text(stream)).toBe("fine");
  });
});
