/** crictl's calls that last: exec, attach and port-forward, with what they say. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { crictlPath } from "./crictl.ts";
import { within } from "./slowness.ts";
import { waitFor } from "./wait.ts";

export type CrictlTransport = "spdy" | "websocket";

/** All that was kept of one side's words. */
const keptChars = 1 << 20;

export class CrictlSession implements Disposable {
  readonly child: ChildProcessWithoutNullStreams;
  /** The exit code. */
  readonly ended: Promise<number>;
  stdout = "";
  stderr = "";
  stdoutBytes = 0;

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.child = child;
    child.stdin.on("error", () => {});
    child.stdout.on("data", (bytes: Buffer) => {
      this.stdoutBytes += bytes.length;
      if (this.stdout.length < keptChars) this.stdout += bytes.toString();
    });
    child.stderr.on("data", (bytes: Buffer) => {
      if (this.stderr.length < keptChars) this.stderr += bytes.toString();
    });
    this.ended = once(child, "close").then(([code]) => (code as number | null) ?? 128);
  }

  /** Starts crictl; with `terminal` it gets one of 99 columns and 33 rows, by script(1). */
  static async start(
    socket: string,
    args: readonly string[],
    o: { terminal?: boolean } = {},
  ): Promise<CrictlSession> {
    const endpoints = [`--runtime-endpoint=unix://${socket}`, `--image-endpoint=unix://${socket}`];
    const command = [
      await crictlPath(),
      "--config=/dev/null",
      `--timeout=${within(60)}s`,
      ...endpoints,
      ...args,
    ];
    const quoted = command.map((part) => `'${part.replaceAll("'", "'\\''")}'`).join(" ");
    const limit = { timeout: within(120_000), killSignal: "SIGKILL" } as const;
    const [program = "", ...rest] = command;
    return new CrictlSession(
      o.terminal === true
        ? spawn("script", ["-qec", `stty cols 99 rows 33; ${quoted}`, "/dev/null"], limit)
        : spawn(program, rest, limit),
    );
  }

  /** Waits until crictl's output has `text`. */
  async says(text: string): Promise<void> {
    await waitFor(`"${text}" of crictl`, () => this.stdout.includes(text), { timeoutMs: 20_000 });
  }

  [Symbol.dispose](): void {
    if (this.child.exitCode === null) this.child.kill("SIGKILL");
  }
}

/** `crictl exec` to its end, with `input`. */
export async function crictlExec(
  socket: string,
  transport: CrictlTransport,
  container: string,
  command: readonly string[],
  input?: string,
): Promise<{ stdout: string; stderr: string; stdoutBytes: number; code: number }> {
  const flags = input === undefined ? [] : ["-i"];
  using session = await CrictlSession.start(socket, [
    "exec",
    "--transport",
    transport,
    ...flags,
    container,
    ...command,
  ]);
  session.child.stdin.end(input ?? "");
  const code = await session.ended;
  const { stdout, stderr, stdoutBytes } = session;
  return { stdout, stderr, stdoutBytes, code };
}

/** `crictl port-forward` of one port; resolves when it listens. */
export async function crictlPortForward(
  socket: string,
  transport: CrictlTransport,
  pod: string,
  port: number,
): Promise<{ session: CrictlSession; local: number }> {
  const session = await CrictlSession.start(socket, [
    "port-forward",
    "--transport",
    transport,
    pod,
    `0:${port}`,
  ]);
  const local = await waitFor("the local port", () => /127\.0\.0\.1:(\d+) ->/.exec(session.stdout)?.[1]);
  return { session, local: Number(local) };
}

/** Sends `text` to a port of this host, ends its direction, and returns all that comes back. */
export async function ask(port: number, text: string): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const timer = setTimeout(
    () => socket.destroy(new Error(`no end of the answer at port ${port}`)),
    within(20_000),
  );
  let answer = "";
  socket.on("data", (bytes: Buffer) => {
    answer += bytes.toString();
  });
  socket.once("error", reject);
  socket.once("end", () => resolve(answer));
  socket.once("close", () => resolve(answer));
  socket.end(text);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}
