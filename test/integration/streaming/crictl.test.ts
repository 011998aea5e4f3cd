/** crictl as its users have it, by both of its transports. Through the CRI: it asks for the URL itself. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { crictlPath } from "../../support/crictl.ts";
import { waitFor } from "../../support/wait.ts";
import { Scripted } from "./processes.ts";
import { type Serving, serving } from "./serve.ts";

let server: Serving;
let program: string;
beforeAll(async () => {
  server = await serving();
  program = await crictlPath();
}, 600_000);
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

function run(...args: readonly string[]) {
  const endpoints = [
    `--runtime-endpoint=unix://${server.socket}`,
    `--image-endpoint=unix://${server.socket}`,
  ];
  const child = spawn(program, ["--config=/dev/null", ...endpoints, ...args], {
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
  const said = { stdout: "", stderr: "", stdoutBytes: 0 };
  child.stdout.on("data", (bytes: Buffer) => {
    said.stdoutBytes += bytes.length;
    if (said.stdout.length < 1000) said.stdout += bytes.toString();
  });
  child.stderr.on("data", (bytes: Buffer) => {
    said.stderr += bytes.toString();
  });
  child.stdin.on("error", () => {});
  const ended = once(child, "close").then(([code]) => ({ ...said, code: code as number }));
  return { child, said, ended };
}

describe.each(["spdy", "websocket"])("crictl --transport %s", (transport) => {
  const exec = (...args: readonly string[]) => run("exec", "--transport", transport, ...args);

  it("exec: output, errors and the exit code", async () => {
    const { child, ended } = exec("c", "/bin/sh", "-c", "echo out; echo err >&2; exit 3");
    child.stdin.end();
    const { stdout, stderr, code } = await ended;
    expect(stdout).toBe("out\n");
    expect(stderr).toContain("err\n");
    expect(stderr).toContain("exit code 3");
    expect(code).not.toBe(0);
  });

  it("exec: a program that is missing", async () => {
    const { child, ended } = exec("c", "/nonexistent");
    child.stdin.end();
    expect((await ended).stderr).toContain("can't be executed");
  });

  it("exec -i: the end of the input", async () => {
    const { child, ended } = exec("-i", "c", "/bin/sh", "-c", "wc -c; echo over");
    child.stdin.end("x".repeat(3_000_000));
    expect(await ended).toMatchObject({ stdout: "3000000\nover\n", code: 0 });
  });

  it("exec -it: a terminal of the client's size, and the exit code", async () => {
    const script = new Scripted();
    server.scripts.set("terminal", script);
    script.onInput = (text) => {
      script.say(`you typed ${text}`);
      if (text.includes("q")) script.exit(7);
    };
    const inner = [program, "--config=/dev/null", `-r unix://${server.socket}`, `-i unix://${server.socket}`];
    const command = `stty cols 99 rows 33; ${inner.join(" ")} exec --transport ${transport} -it terminal sh`;
    // script(1) gives it a terminal.
    const child = spawn("script", ["-qec", command, "/dev/null"], { timeout: 60_000 });
    let said = "";
    child.stdout.on("data", (bytes: Buffer) => {
      said += bytes.toString();
    });
    await waitFor("the size", () => script.sizes.length > 0);
    expect(script.sizes[0]).toEqual([99, 33]);
    child.stdin.write("a");
    await waitFor("the answer", () => said.includes("you typed a"));
    child.stdin.write("q");
    const [code] = (await once(child, "close")) as [number];
    expect(said).toContain("exit code 7");
    expect(code).not.toBe(0);
    server.scripts.delete("terminal");
  });

  it("exec: fifty MiB of output", async () => {
    const { child, ended } = exec("c", "/usr/bin/head", "-c", String(50 << 20), "/dev/zero");
    child.stdin.end();
    expect(await ended).toMatchObject({ stdoutBytes: 50 << 20, code: 0 });
  });

  it("exec: a process that outlives the patience of its caller is killed with it", async () => {
    const { child, ended } = exec("c", "/bin/sh", "-c", "echo begun; exec sleep 1000");
    const before = server.started.length;
    await waitFor("the process", () => server.started.length > before);
    const started = server.started.at(-1);
    child.kill("SIGKILL");
    expect(await started?.ended).toMatchObject({ signal: 9 });
    await ended;
  });

  it("attach: a conversation, and the container's end", async () => {
    const script = new Scripted();
    server.scripts.set("web", script);
    script.onInput = (text) => script.say(`you said ${text}`);
    const { child, said, ended } = run("attach", "--transport", transport, "-i", "web");
    child.stdin.write("hello\n");
    await waitFor("the answer", () => said.stdout === "you said hello\n");
    script.exit(0);
    expect((await ended).code).toBe(0);
    server.scripts.delete("web");
  });

  it("port-forward: connections, one after the other and at once", async () => {
    const pod = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("data", (bytes: Buffer) => socket.write(bytes.toString().toUpperCase()));
      socket.on("end", () => socket.end());
      socket.on("error", () => {});
    });
    pod.listen(0, "127.0.0.1");
    await once(pod, "listening");
    const { port } = pod.address() as AddressInfo;
    const { child, said, ended } = run("port-forward", "--transport", transport, "pod-1", `0:${port}`);
    const local = await waitFor("the local port", () => /127\.0\.0\.1:(\d+) ->/.exec(said.stdout)?.[1]);
    const ask = async (text: string) => {
      const socket = connect({ port: Number(local), host: "127.0.0.1", allowHalfOpen: true });
      let answer = "";
      socket.on("data", (bytes: Buffer) => {
        answer += bytes.toString();
      });
      socket.end(text);
      await once(socket, "end");
      return answer;
    };
    expect(await ask("one")).toBe("ONE");
    const texts = Array.from({ length: 20 }, (_, i) => `text ${i}`);
    expect(await Promise.all(texts.map(ask))).toEqual(texts.map((text) => text.toUpperCase()));
    child.kill("SIGINT");
    await ended;
    pod.close();
    await waitFor("the session's end", () => server.streaming.sessions === 0);
  });

  it("port-forward: a port where nobody listens", async () => {
    const { child, said, ended } = run("port-forward", "--transport", transport, "pod-1", "0:1");
    const local = await waitFor("the local port", () => /127\.0\.0\.1:(\d+) ->/.exec(said.stdout)?.[1]);
    const socket = connect(Number(local), "127.0.0.1").on("error", () => {});
    await waitFor("the message", () => said.stderr.includes("nobody listens on port 1"));
    socket.destroy();
    child.kill("SIGINT");
    await ended;
  });
});
