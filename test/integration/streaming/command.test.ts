/** Exec and attach as each protocol speaks them, from the first stream to the exit code. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RuntimeError } from "../../../src/errors/runtime-error.ts";
import type { ProcessStreams } from "../../../src/runtime/handler.ts";
import { waitFor } from "../../support/wait.ts";
import { openStreams, RawWebSocket, spdy } from "../../support/stream-clients.ts";
import { HostProcess, Scripted } from "./processes.ts";
import { type Serving, serving } from "./serve.ts";

let server: Serving;
beforeAll(async () => {
  server = await serving();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

interface Wanted {
  readonly stdin?: boolean;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  readonly tty?: boolean;
}
type Open = (signal: AbortSignal) => Promise<ProcessStreams>;

const request = (open: Open, wanted: Wanted = {}) => ({
  stdin: false,
  stdout: true,
  stderr: true,
  tty: false,
  ...wanted,
  containerId: "c",
  open,
});
const exec = (open: Open, wanted?: Wanted) => server.streaming.exec(request(open, wanted));
const sh = (script: string) => (signal: AbortSignal) => HostProcess.start(["/bin/sh", "-c", script], signal);

describe("exec over SPDY", () => {
  it.each(["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"])(
    "%s: output, exit code and the end of each stream",
    async (protocol) => {
      using session = await spdy(exec(sh("echo out; echo err >&2; exit 3")), { protocols: [protocol] });
      const { client } = session;
      const { error, stdout, stderr } = await openStreams(session, "error", "stdout", "stderr");
      await client.until(() => client.goAway !== undefined);
      expect([client.text(stdout), client.text(stderr)]).toEqual(["out\n", "err\n"]);
      expect([...client.ended].sort()).toEqual([error, stdout, stderr]);
      if (protocol === "v4.channel.k8s.io") {
        expect(JSON.parse(client.text(error))).toMatchObject({
          reason: "NonZeroExitCode",
          details: { causes: [{ reason: "ExitCode", message: "3" }] },
        });
      } else expect(client.text(error)).toContain("exit code 3");
      await session.connection.closed;
    },
  );

  it("a client that names no protocol is taken for v1; success has no text before v4", async () => {
    using session = await spdy(exec(sh("true")), { protocols: [] });
    const { error } = await openStreams(session, "error", "stdout", "stderr");
    await session.client.until(() => session.client.goAway !== undefined);
    expect(session.client.text(error)).toBe("");
    expect(session.client.ended.has(error)).toBe(true);
  });

  it("the first protocol of the client's list that is known is used", async () => {
    using session = await spdy(exec(sh("exit 0")), {
      protocols: ["v9.channel.k8s.io, v4.channel.k8s.io", "channel.k8s.io"],
    });
    const { error } = await openStreams(session, "error", "stdout", "stderr");
    await session.client.until(() => session.client.goAway !== undefined);
    expect(session.client.text(error)).toBe('{"status":"Success"}');
  });

  it("the end of stdin is passed on, while output goes on", async () => {
    using session = await spdy(exec(sh("cat; echo over"), { stdin: true }));
    const { client } = session;
    const { stdin, stdout } = await openStreams(session, "error", "stdin", "stdout", "stderr");
    client.send(stdin, "one ");
    client.send(stdin, "two ");
    client.send(stdin, "", true);
    await client.until(() => client.goAway !== undefined);
    expect(client.text(stdout)).toBe("one two over\n");
  });

  it("stdin alone: output goes nowhere and holds nothing up", async () => {
    const url = exec(sh("head -c 3000000 /dev/zero; wc -c >&2"), {
      stdin: true,
      stdout: false,
      stderr: false,
    });
    using session = await spdy(url);
    const { client } = session;
    const { error, stdin } = await openStreams(session, "error", "stdin");
    client.send(stdin, "x".repeat(100_000), true);
    await client.until(() => client.goAway !== undefined);
    expect(client.text(error)).toContain("Success");
    expect(client.received).toBeLessThan(1000);
  });

  it("requests that come byte by byte are understood", async () => {
    using session = await spdy(exec(sh("cat"), { stdin: true }));
    const { client, connection } = session;
    const frames: Buffer[] = [];
    const ids = ["error", "stdin", "stdout", "stderr"].map((streamtype) => {
      const { id, frame } = client.opening({ streamtype });
      frames.push(frame);
      return id;
    });
    connection.socket.setNoDelay(true);
    for (const byte of Buffer.concat(frames)) connection.socket.write(Buffer.of(byte));
    await client.until(() => ids.every((id) => client.replied.has(id)));
    client.send(ids[1] ?? 0, "slow", true);
    await client.until(() => client.goAway !== undefined);
    expect(client.text(ids[2] ?? 0)).toBe("slow");
  });

  it("a terminal hears of its sizes, also of one that came before the process began", async () => {
    const script = new Scripted();
    const begin = Promise.withResolvers<void>();
    const open = async () => {
      await begin.promise;
      return script;
    };
    using session = await spdy(exec(open, { stdin: true, stderr: false, tty: true }));
    const { client } = session;
    const { resize, stdout } = await openStreams(session, "error", "stdin", "stdout", "resize");
    client.send(resize, '{"Width":80,"Height":24}\n');
    begin.resolve();
    await waitFor("the first size", () => script.sizes.length > 0);
    for (let i = 1; i <= 5000; i++) client.send(resize, `{"Width":${i},"Height":50}\n`);
    await waitFor("the last size", () => script.sizes.at(-1)?.[0] === 5000);
    expect(script.sizes[0]).toEqual([80, 24]);
    expect(script.sizes.length).toBeLessThan(300);
    script.say("done");
    script.exit(0);
    await client.until(() => client.goAway !== undefined);
    expect(client.text(stdout)).toBe("done");
  });

  it("a program that can't be executed is an error that says so", async () => {
    using session = await spdy(exec((signal) => HostProcess.start(["/nonexistent"], signal)));
    const { error } = await openStreams(session, "error", "stdout", "stderr");
    await session.client.until(() => session.client.goAway !== undefined);
    const status = JSON.parse(session.client.text(error)) as { reason: string; message: string };
    expect(status.reason).toBe("InternalError");
    expect(status.message).toContain('program "/nonexistent" can\'t be executed');
  });

  it("a runtime that is lost on the way is an error, too", async () => {
    const lost = new Scripted();
    using session = await spdy(exec(async () => lost));
    const { error, stdout } = await openStreams(session, "error", "stdout", "stderr");
    lost.say("before");
    await session.client.until(() => session.client.text(stdout) === "before");
    lost.close();
    await session.client.until(() => session.client.goAway !== undefined);
    expect(session.client.text(error)).toContain("InternalError");
  });

  it("streams that were not asked for stay silent; those of unknown types are refused", async () => {
    using session = await spdy(exec(sh("echo err >&2"), { stderr: false, stdin: false }));
    const { client } = session;
    const odd = client.open({ streamtype: "video" });
    const { stdin, stdout, stderr } = await openStreams(session, "stdin", "stderr", "stdout");
    client.send(stdin, "ignored");
    expect(client.reset.has(odd)).toBe(true);
    client.open({ streamtype: "stdout" });
    await openStreams(session, "error");
    await client.until(() => client.goAway !== undefined);
    expect([client.text(stdout), client.text(stderr)]).toEqual(["", ""]);
  });

  it.each(["leaves", "says GOAWAY"])("kills the process when the client %s", async (how) => {
    let started: HostProcess | undefined;
    const url = exec(async (signal) => {
      started = await HostProcess.start(["/bin/sleep", "1000"], signal);
      return started;
    });
    using session = await spdy(url);
    await openStreams(session, "error", "stdout", "stderr");
    await waitFor("the process", () => started);
    if (how === "leaves") session.connection.socket.destroy();
    else session.client.raw(Buffer.from([0x80, 3, 0, 7, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]));
    expect(await started?.ended).toMatchObject({ signal: 9 });
    await waitFor("the session's end", () => server.streaming.sessions === 0);
  });

  it("gives up the start of a process whose client leaves before", async () => {
    const asked = Promise.withResolvers<AbortSignal>();
    const url = exec(
      (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(new RuntimeError("cancelled", "given up")));
          asked.resolve(signal);
        }),
    );
    using session = await spdy(url);
    await openStreams(session, "error", "stdout", "stderr");
    const signal = await asked.promise;
    session.connection.socket.destroy();
    await waitFor("the start to be given up", () => signal.aborted);
  });
});

describe("attach", () => {
  it("leaves the container alone when the client leaves", async () => {
    const container = new Scripted();
    const url = server.streaming.attach(request(async () => container, { stdin: true }));
    using session = await spdy(url);
    const { stdin } = await openStreams(session, "error", "stdin", "stdout", "stderr");
    session.client.send(stdin, "hello");
    await waitFor("the input", () => container.input === "hello");
    session.connection.socket.destroy();
    // What closing means is the runtime's: for an attach, detaching.
    await waitFor("the detachment", () => container.closed);
    expect(container.inputEnded || container.closed).toBe(true);
  });

  it("ends with success when the container ends, whatever its exit code: that is in its own status", async () => {
    const container = new Scripted();
    using session = await spdy(server.streaming.attach(request(async () => container)));
    const { error, stdout } = await openStreams(session, "error", "stdout", "stderr");
    container.say("last words");
    container.exit(1);
    await session.client.until(() => session.client.goAway !== undefined);
    expect([session.client.text(stdout), session.client.text(error)]).toEqual([
      "last words",
      '{"status":"Success"}',
    ]);
  });

  it("to a container that has ended says so", async () => {
    const open = () =>
      Promise.reject(new RuntimeError("failed-precondition", "container is exited, attach needs running"));
    using session = await spdy(server.streaming.attach(request(open)));
    const { error } = await openStreams(session, "error", "stdout", "stderr");
    await session.client.until(() => session.client.goAway !== undefined);
    expect(session.client.text(error)).toContain("error attaching to container: container is exited");
  });
});

describe("exec over WebSocket", () => {
  it.each(["v5.channel.k8s.io", "v4.channel.k8s.io"])("%s: output and exit code", async (protocol) => {
    using socket = await RawWebSocket.open(exec(sh("echo out; echo err >&2; exit 4")), {
      protocols: [protocol],
    });
    await socket.connection.closed;
    expect([socket.channels.get(1), socket.channels.get(2), socket.closeCode]).toEqual([
      "out\n",
      "err\n",
      1000,
    ]);
    expect(JSON.parse(socket.channels.get(3) ?? "")).toMatchObject({
      details: { causes: [{ reason: "ExitCode", message: "4" }] },
    });
  });

  it("v5: the end of stdin is passed on", async () => {
    using socket = await RawWebSocket.open(exec(sh("cat; echo over"), { stdin: true }), {
      protocols: ["v5.channel.k8s.io"],
    });
    socket.send(0, "text ");
    socket.send(255, Buffer.of(0));
    await socket.connection.closed;
    expect(socket.channels.get(1)).toBe("text over\n");
  });

  it("v4: a client that closes has left", async () => {
    let started: HostProcess | undefined;
    const open: Open = async (signal) => {
      started = await HostProcess.start(["/bin/sleep", "1000"], signal);
      return started;
    };
    using socket = await RawWebSocket.open(exec(open, { stdin: true }));
    await waitFor("the process", () => started);
    socket.raw(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 3, 0xe8]));
    expect(await started?.ended).toMatchObject({ signal: 9 });
    await socket.connection.closed;
    expect(socket.closeCode).toBe(1000);
  });

  it("a client that speaks SPDY into it is refused, and the process killed", async () => {
    const script = new Scripted();
    using socket = await RawWebSocket.open(exec(async () => script, { stdin: true }));
    socket.raw(Buffer.from([0x80, 3, 0, 1, 0, 0, 0, 20, 0, 0, 0, 1]));
    await socket.connection.closed;
    expect(socket.closeCode).toBe(1002);
    await waitFor("the process to be killed", () => script.closed);
  });
});

describe("a request that makes no sense is refused before there is a URL", () => {
  it.each<[string, Wanted, RegExp]>([
    ["tty with stderr", { tty: true, stderr: true }, /exclude/],
    ["no stream at all", { stdout: false, stderr: false }, /one of stdin, stdout and stderr/],
  ])("%s", (_what, wanted, message) => {
    expect(() => exec(sh("true"), wanted)).toThrow(message);
  });
});
