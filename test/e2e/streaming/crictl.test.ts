/** exec, attach and port-forward as a person with crictl uses them, by both transports. */
import { describe, expect, it } from "vitest";
import { execFileSync } from "node:child_process";
import {
  ask,
  CrictlSession,
  crictlExec,
  crictlPortForward,
  type CrictlTransport,
} from "../../support/crictl-session.ts";
import {
  container,
  createContainer,
  exited,
  hostNetwork,
  output,
  pod,
  runPod,
  startContainer,
} from "../../support/pods.ts";
import { useNode } from "../../support/use-node.ts";
import { waitFor } from "../../support/wait.ts";

const node = useNode();

async function started(more: Parameters<typeof container>[1] = {}) {
  const { daemon, image } = node();
  const sandbox = await runPod(daemon);
  const id = await startContainer(daemon, sandbox, container(image, more));
  return { daemon, sandbox, id, socket: daemon.socket };
}

const sh = (script: string): string[] => ["/bin/sh", "-c", script];
/** Says back what it is told, line by line, until it is told "end". */
const parrot = sh(
  'while read -r line; do echo "you said $line"; [ "$line" = end ] && exit 5; done; echo eof; sleep 1000',
);

describe.each<CrictlTransport>(["spdy", "websocket"])("crictl --transport %s", (transport) => {
  const exec = (socket: string, id: string, command: readonly string[], input?: string) =>
    crictlExec(socket, transport, id, command, input);

  it("exec: output, errors, and the exit code", async () => {
    const { socket, id } = await started();
    const { stdout, stderr, code } = await exec(socket, id, sh("echo out; echo err >&2; exit 3"));
    expect(stdout).toBe("out\n");
    expect(stderr).toContain("err\n");
    expect(stderr).toContain("exit code 3");
    expect(code).not.toBe(0);
    expect((await exec(socket, id, sh("kill -9 $$"))).stderr).toContain("exit code 137");
  });

  it("exec: a program that is missing", async () => {
    const { socket, id } = await started();
    const { stderr, code } = await exec(socket, id, ["/nonexistent"]);
    expect(stderr).toContain("/nonexistent");
    expect(code).not.toBe(0);
  });

  it("exec -i: the end of the input, and twenty MB of it", async () => {
    const { socket, id } = await started();
    const { stdout, code } = await exec(socket, id, sh("wc -c; echo over"), "x".repeat(20_000_000));
    expect([stdout, code]).toEqual(["20000000\nover\n", 0]);
  });

  it("exec: fifty MB of output", async () => {
    const { socket, id } = await started();
    const { stdoutBytes, code } = await exec(socket, id, sh("head -c 50000000 /dev/zero"));
    expect([stdoutBytes, code]).toEqual([50_000_000, 0]);
  });

  it("exec -it: a terminal of the client's size", async () => {
    const { socket, id } = await started();
    const args = ["exec", "--transport", transport, "-it", id, "/bin/sh"];
    using session = await CrictlSession.start(socket, args, { terminal: true });
    // The size follows the start; the shell asks for it until it is there.
    session.child.stdin.write("until stty size | grep -q 99; do :; done; stty size; tty\r");
    await session.says("33 99");
    await session.says("/dev/pts/");
    session.child.stdin.write("exit 7\r");
    expect(await session.ended).not.toBe(0);
    expect(session.stdout).toContain("exit code 7");
  });

  it("exec: a client that dies takes its whole exec with it", async () => {
    const { daemon, socket, id } = await started();
    const before = await output(daemon, id, "ps | grep -c '[s]leep 4321' || true");
    const args = ["exec", "--transport", transport, id, ...sh("sleep 4321 & echo begun; sleep 4321")];
    using session = await CrictlSession.start(socket, args);
    await session.says("begun");
    session.child.kill("SIGKILL");
    await waitFor("the exec's end", async () => {
      const now = await output(daemon, id, "ps | grep -c '[s]leep 4321' || true");
      return now === before;
    });
  });

  it("exec: a background child does not hold the end up", async () => {
    const { socket, id } = await started();
    const { stdout, code } = await exec(socket, id, sh("sleep 1000 & echo done"));
    expect([stdout, code]).toEqual(["done\n", 0]);
  });

  it("attach: a conversation, several at once, detached and attached again, and the container's end", async () => {
    const { daemon, socket, id } = await started({ command: parrot, stdin: true });
    const attach = (...flags: string[]) =>
      CrictlSession.start(socket, ["attach", "--transport", transport, ...flags, id]);
    using talker = await attach("-i");
    using listener = await attach();
    // Nobody tells when an attach is there, but what is said to both is.
    await waitFor("both", async () => {
      talker.child.stdin.write("hello\n");
      return talker.stdout.includes("you said hello") && listener.stdout.includes("you said hello");
    });
    talker.child.kill("SIGKILL");
    await talker.ended;
    using again = await attach("-i");
    await waitFor("the new one", async () => {
      again.child.stdin.write("again\n");
      return again.stdout.includes("you said again");
    });
    again.child.stdin.write("end\n");
    expect(await again.ended).toBe(0);
    expect(await listener.ended).toBe(0);
    expect((await exited(daemon, id)).exitCode).toBe(5);
  });

  it("attach: survives a restart of the daemon, by attaching again", async () => {
    const { daemon, socket, id } = await started({ command: parrot, stdin: true });
    using before = await CrictlSession.start(socket, ["attach", "--transport", transport, "-i", id]);
    await waitFor("the first", async () => {
      before.child.stdin.write("one\n");
      return before.stdout.includes("you said one");
    });
    await daemon.restart();
    await before.ended;
    using after = await CrictlSession.start(socket, ["attach", "--transport", transport, "-i", id]);
    await waitFor("the second", async () => {
      after.child.stdin.write("two\n");
      return after.stdout.includes("you said two");
    });
  });

  it("attach: to a container that has ended says so", async () => {
    const { daemon, socket, id } = await started({ command: sh("exit 0") });
    await exited(daemon, id);
    using session = await CrictlSession.start(socket, ["attach", "--transport", transport, id]);
    expect(await session.ended).not.toBe(0);
    expect(session.stderr).toMatch(/exited/);
  });

  it("port-forward: both families, many at once, half-closed, large", async () => {
    const serve =
      "echo served > /tmp/index.html; httpd -p 127.0.0.1:8080 -h /tmp; httpd -p '[::1]:8081' -h /tmp;";
    const echo = "exec nc -ll -p 7070 -e cat";
    const { socket, sandbox, id, daemon } = await started({ command: sh(`${serve} ${echo}`) });
    await waitFor("the servers", async () => (await output(daemon, id, "netstat -ltn")).includes(":7070"));
    for (const port of [8080, 8081]) {
      const { session, local } = await crictlPortForward(socket, transport, sandbox.id, port);
      using _ = session;
      const get = () => ask(local, "GET /index.html HTTP/1.0\r\n\r\n");
      expect(await get()).toContain("served");
      for (const answer of await Promise.all(Array.from({ length: 20 }, get)))
        expect(answer).toContain("served");
    }
    const { session, local } = await crictlPortForward(socket, transport, sandbox.id, 7070);
    using _ = session;
    const text = "0123456789abcdef".repeat(1 << 16);
    expect((await ask(local, text)) === text).toBe(true);
  });

  it("port-forward: a port where nobody listens is told by name, and never the host's", async () => {
    const { socket, sandbox, daemon } = await started();
    // A port that is open on the host: the daemon's own streams.
    const hostPort = Number(
      /:(\d+)\//.exec((await daemon.client.portForward({ podSandboxId: sandbox.id })).url)?.[1],
    );
    const { session, local } = await crictlPortForward(socket, transport, sandbox.id, hostPort);
    using _ = session;
    // Nothing is sent: crictl closes the connection, and bytes that it had not read would make that a reset.
    expect(await ask(local, "")).toBe("");
    await waitFor("the message", () => session.stderr.includes(`error forwarding port ${hostPort}`));
  });

  it("port-forward: a pod on the host's network has the host's ports", async () => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon, pod(daemon, { linux: hostNetwork }));
    await startContainer(daemon, sandbox, container(image));
    const hostPort = Number(
      /:(\d+)\//.exec((await daemon.client.portForward({ podSandboxId: sandbox.id })).url)?.[1],
    );
    const { session, local } = await crictlPortForward(daemon.socket, transport, sandbox.id, hostPort);
    using _ = session;
    expect(await ask(local, "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")).toContain("404");
  });
});

describe("a stream's port", () => {
  it("is on loopback, and the daemon's alone", async () => {
    const { daemon, sandbox } = await started();
    const { url } = await daemon.client.portForward({ podSandboxId: sandbox.id });
    const port = /^http:\/\/127\.0\.0\.1:(\d+)\/portforward\/[A-Za-z0-9_-]{22}$/.exec(url)?.[1];
    expect(
      execFileSync("ss", ["-Hltn", `sport = :${port}`])
        .toString()
        .trim()
        .split(/\s+/)[3],
    ).toBe(`127.0.0.1:${port}`);
    expect(daemon.log()).not.toContain(url.split("/").at(-1));
  });

  it("is not given for what does not run", async () => {
    const { daemon, image } = node();
    const { client } = daemon;
    const sandbox = await runPod(daemon);
    const containerId = await createContainer(daemon, sandbox, container(image));
    const streams = { containerId, stdout: true };
    await expect(client.exec({ ...streams, cmd: ["true"] })).rejects.toThrow(/created/);
    await expect(client.attach(streams)).rejects.toThrow(/created/);
    await expect(client.exec({ containerId: "f".repeat(64), cmd: ["true"], stdout: true })).rejects.toThrow(
      /not exist/,
    );
    await client.stopPodSandbox({ podSandboxId: sandbox.id });
    await expect(client.portForward({ podSandboxId: sandbox.id })).rejects.toThrow(/ready/);
  });
});
