/** The command's sessions against a streaming server: its streams, its terminal, its exit codes. */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { type Duplex, PassThrough } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StreamConnection } from "../../../src/cli/stream/connection.ts";
import { runCommand } from "../../../src/cli/stream/command.ts";
import { DetachKeys, parseDetachKeys } from "../../../src/cli/stream/detach-keys.ts";
import { freePort } from "../../support/port.ts";
import { waitFor } from "../../support/wait.ts";
import { HostProcess, Scripted } from "../streaming/processes.ts";
import { type Serving, serving } from "../streaming/serve.ts";

let made: Serving | undefined;
const server = (): Serving => {
  if (!made) throw new Error("the server is made before the first test");
  return made;
};
beforeAll(async () => {
  made = await serving();
});
afterAll(async () => {
  await made?.[Symbol.asyncDispose]();
});

const soon = () => AbortSignal.timeout(20_000);

/** The streams of a session as a test has them. */
class Side {
  readonly stdin = new PassThrough();
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  out = "";
  err = "";

  constructor() {
    this.stdout.on("data", (data: Buffer) => {
      this.out += data.toString();
    });
    this.stderr.on("data", (data: Buffer) => {
      this.err += data.toString();
    });
  }
}

let names = 0;

function execUrl(process: Scripted | readonly string[], streams: { stdin: boolean; tty: boolean }): string {
  const id = `c${++names}`;
  const { streaming, started } = server();
  const request = { containerId: id, stdout: true, stderr: !streams.tty, ...streams };
  return streaming.exec({
    ...request,
    open: async (signal) => {
      if (process instanceof Scripted) return process;
      const child = await HostProcess.start(process, signal);
      started.push(child);
      return child;
    },
  });
}

async function run(argv: readonly string[], input?: string) {
  const side = new Side();
  const url = execUrl(argv, { stdin: input !== undefined, tty: false });
  if (input !== undefined) side.stdin.end(input);
  const streams = {
    stdin: input === undefined ? undefined : side.stdin,
    stdout: side.stdout,
    stderr: side.stderr,
    terminal: undefined,
    detachKeys: undefined,
  };
  const end = await runCommand(url, streams, soon());
  return { end, out: side.out, err: side.err };
}

describe("a session", () => {
  it("brings output, errors and the exit code", async () => {
    expect(await run(["sh", "-c", "echo out; echo err >&2; exit 3"])).toEqual({
      end: { exitCode: 3 },
      out: "out\n",
      err: "err\n",
    });
    expect((await run(["sh", "-c", "kill -9 $$"])).end).toEqual({ exitCode: 137 });
  });

  it("takes input to its end, twenty MB of it", async () => {
    expect(await run(["sh", "-c", "wc -c; echo over"], "x".repeat(20_000_000))).toEqual({
      end: { exitCode: 0 },
      out: "20000000\nover\n",
      err: "",
    });
  });

  it("says why a command can't run", async () => {
    await expect(run(["/nonexistent"])).rejects.toThrow(/program "\/nonexistent" can't be executed/);
  });

  it("ends with the process though its input does not", async () => {
    const side = new Side();
    const url = execUrl(["sh", "-c", "exit 4"], { stdin: true, tty: false });
    const { stdin, stdout, stderr } = side;
    const streams = { stdin, stdout, stderr, terminal: undefined, detachKeys: undefined };
    expect(await runCommand(url, streams, soon())).toEqual({ exitCode: 4 });
  });

  it("is refused with the server's words", async () => {
    const url = execUrl(["true"], { stdin: false, tty: false });
    using first = await StreamConnection.open(url, "v4.channel.k8s.io", soon());
    expect(first).toBeDefined();
    await expect(StreamConnection.open(url, "v4.channel.k8s.io", soon())).rejects.toThrow(/404/);
    await expect(StreamConnection.open("http://127.0.0.1:9/x", "x", soon())).rejects.toThrow(/ECONNREFUSED/);
  });

  it("tells the process the size of the terminal, and each new one", async () => {
    const script = new Scripted();
    const side = new Side();
    let size = { width: 100, height: 30 };
    let changed = () => {};
    let stopped = false;
    const terminal = {
      size: () => size,
      onResize: (tell: () => void) => {
        changed = tell;
        return () => {
          stopped = true;
        };
      },
    };
    const url = execUrl(script, { stdin: true, tty: true });
    const streams = {
      stdin: side.stdin,
      stdout: side.stdout,
      stderr: undefined,
      terminal,
      detachKeys: undefined,
    };
    const ended = runCommand(url, streams, soon());
    await waitFor("the first size", () => script.sizes.length === 1);
    size = { width: 120, height: 40 };
    changed();
    await waitFor("the second size", () => script.sizes.length === 2);
    expect(script.sizes).toEqual([
      [100, 30],
      [120, 40],
    ]);
    script.exit(0);
    expect(await ended).toEqual({ exitCode: 0 });
    expect(stopped).toBe(true);
  });

  it("is left by the detach keys, which the process never sees", async () => {
    const script = new Scripted();
    const side = new Side();
    const url = execUrl(script, { stdin: true, tty: true });
    const ended = runCommand(
      url,
      {
        stdin: side.stdin,
        stdout: side.stdout,
        stderr: undefined,
        terminal: { size: () => ({ width: 80, height: 24 }), onResize: () => () => {} },
        detachKeys: new DetachKeys(parseDetachKeys("ctrl-p,ctrl-q")),
      },
      soon(),
    );
    side.stdin.write("ls\r\u0010");
    await waitFor("the input", () => script.input === "ls\r");
    side.stdin.write("\u0011");
    expect(await ended).toBe("detached");
    await waitFor("the process to be left", () => script.closed);
    expect(script.input).toBe("ls\r");
  });

  it("is lost with the server, and says so", async () => {
    await using own = await serving();
    const side = new Side();
    const url = own.streaming.exec({
      containerId: "c",
      stdin: false,
      stdout: true,
      stderr: true,
      tty: false,
      open: async () => new Scripted(),
    });
    const streams = {
      stdin: undefined,
      stdout: side.stdout,
      stderr: side.stderr,
      terminal: undefined,
      detachKeys: undefined,
    };
    const ended = runCommand(url, streams, soon());
    ended.catch(() => {});
    await waitFor("the session", () => own.streaming.sessions === 1);
    await own.streaming.close();
    await expect(ended).rejects.toThrow(/the session was lost/);
  });
});

describe("a connection of port-forward", () => {
  async function echoing(): Promise<{ port: number; close(): void; sockets: Set<Socket> }> {
    const sockets = new Set<Socket>();
    const echo = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.pipe(socket);
    });
    echo.listen(0, "127.0.0.1");
    await once(echo, "listening");
    const address = echo.address();
    return {
      port: typeof address === "object" && address ? address.port : 0,
      close: () => echo.close(),
      sockets,
    };
  }

  async function stream(
    port: number,
  ): Promise<{ connection: StreamConnection; data: Duplex; error: Promise<string> }> {
    const url = server().streaming.portForward({ sandboxId: "s", ports: [port] });
    const connection = await StreamConnection.open(url, "portforward.k8s.io", soon());
    const headers = { port: String(port), requestid: "0" };
    const error = text(connection.stream({ ...headers, streamtype: "error" }).end());
    error.catch(() => {}); // of interest only to who looks at it
    return { connection, data: connection.stream({ ...headers, streamtype: "data" }), error };
  }

  it("carries both directions, the end of one leaves the other", async () => {
    const echo = await echoing();
    try {
      const { connection, data, error } = await stream(echo.port);
      using _ = connection;
      const sent = Buffer.alloc(10_000_000, "abc");
      data.end(sent);
      expect((await buffer(data)).equals(sent)).toBe(true);
      expect(await error).toBe("");
    } finally {
      echo.close();
    }
  });

  it("says why a port can't be reached", async () => {
    const port = await freePort();
    const { connection, error } = await stream(port);
    using _ = connection;
    expect(await error).toMatch(new RegExp(`port ${port}`));
  });

  it("ends in the pod when it is closed here", async () => {
    const echo = await echoing();
    try {
      const { connection, data } = await stream(echo.port);
      data.write("x");
      await once(data, "data");
      const [socket] = echo.sockets;
      connection.close();
      await waitFor("the end", () => socket?.destroyed);
    } finally {
      echo.close();
    }
  });
});
