/** What crictl cannot ask for: single streams, the status object, the end of an attached container's input. */
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import type { ExecRequestInit } from "../../../cri-api/index.ts";
import { container, logFile, output, runPod, startContainer } from "../../support/pods.ts";
import { openStreams, RawWebSocket, spdy } from "../../support/stream-clients.ts";
import { useNode } from "../../support/use-node.ts";
import { waitFor } from "../../support/wait.ts";

const node = useNode();

async function started(more: Parameters<typeof container>[1] = {}) {
  const { daemon, image } = node();
  const sandbox = await runPod(daemon);
  const id = await startContainer(daemon, sandbox, container(image, { metadata: { name: "main" }, ...more }));
  const execUrl = async (script: string, streams: ExecRequestInit) =>
    (await daemon.client.exec({ containerId: id, cmd: ["/bin/sh", "-c", script], ...streams })).url;
  return { daemon, sandbox, id, execUrl };
}

describe("exec", () => {
  it("with its input alone: what it says goes nowhere, and does not hold it up", async () => {
    const { daemon, id, execUrl } = await started();
    const script = "head -c 1000000 /dev/zero; cat > /tmp/in; echo err >&2";
    using session = await spdy(await execUrl(script, { stdin: true }));
    const { error, stdin } = await openStreams(session, "error", "stdin");
    session.client.send(stdin, "x".repeat(300_000), true);
    await session.connection.closed;
    expect(JSON.parse(session.client.text(error))).toMatchObject({ status: "Success" });
    expect(await output(daemon, id, "wc -c < /tmp/in")).toBe("300000");
  });

  it.each([
    ["exit 3", "3"],
    ["kill -TERM $$", "143"],
  ])("tells its exit code in a status object: %s", async (script, code) => {
    const { execUrl } = await started();
    using session = await spdy(await execUrl(script, { stderr: true }));
    const { error } = await openStreams(session, "error", "stderr");
    await session.connection.closed;
    expect(JSON.parse(session.client.text(error))).toMatchObject({
      status: "Failure",
      reason: "NonZeroExitCode",
      details: { causes: [{ reason: "ExitCode", message: code }] },
    });
    using other = await RawWebSocket.open(await execUrl(script, { stderr: true }), {
      protocols: ["v5.channel.k8s.io"],
    });
    await other.connection.closed;
    expect(JSON.parse(other.channels.get(3) ?? "")).toMatchObject({ reason: "NonZeroExitCode" });
  });

  it.each(["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io", ""])(
    "in remote-command %s: input to its end, both outputs, and how it ended",
    async (protocol) => {
      const { execUrl } = await started();
      const protocols = protocol === "" ? [] : [protocol];
      const all = { stdin: true, stdout: true, stderr: true };
      using session = await spdy(await execUrl("cat; echo err >&2; exit 5", all), { protocols });
      const ids = await openStreams(session, "error", "stdin", "stdout", "stderr");
      const { client } = session;
      client.send(ids.stdin, "half-closed", true);
      await session.connection.closed;
      expect([client.text(ids.stdout), client.text(ids.stderr)]).toEqual(["half-closed", "err\n"]);
      if (protocol === "v4.channel.k8s.io")
        expect(JSON.parse(client.text(ids.error))).toMatchObject({ reason: "NonZeroExitCode" });
      else expect(client.text(ids.error)).toMatch(/exit code 5/);
      // Success has no text before v4.
      using good = await spdy(await execUrl("true", { stdout: true }), { protocols });
      const { error } = await openStreams(good, "error", "stdout");
      await good.connection.closed;
      expect(good.client.text(error)).toMatch(protocol === "v4.channel.k8s.io" ? /Success/ : /^$/);
    },
  );

  it.each(["v4.channel.k8s.io", "v3.channel.k8s.io"])("resizes its terminal in %s", async (protocol) => {
    const { execUrl } = await started();
    const script = "until stty size | grep -q 99; do sleep 0.05; done; stty size";
    const url = await execUrl(script, { tty: true, stdin: true, stdout: true });
    using session = await spdy(url, { protocols: [protocol] });
    const { stdout, resize } = await openStreams(session, "error", "stdin", "stdout", "resize");
    session.client.send(resize, '{"Width":99,"Height":33}\n');
    await session.connection.closed;
    expect(session.client.text(stdout)).toContain("33 99");
  });

  it("with a terminal: one output, and sizes that a trap hears of", async () => {
    const { execUrl } = await started();
    const script =
      'trap \'stty size; [ "$(stty size)" = "44 111" ] && exit\' WINCH; echo err >&2; while :; do sleep 0.1; done';
    using session = await spdy(await execUrl(script, { tty: true, stdin: true, stdout: true }));
    const { stdout, resize } = await openStreams(session, "error", "stdin", "stdout", "resize");
    await session.client.until(() => session.client.text(stdout).includes("err"));
    session.client.send(resize, '{"Width":70,"Height":20}\n');
    await session.client.until(() => session.client.text(stdout).includes("20 70"));
    session.client.send(resize, '{"Width":111,"Height":44}\n');
    await session.connection.closed;
    expect(session.client.text(stdout)).toContain("44 111");
  });
});

describe("attach", () => {
  const script = 'while read -r line; do echo "you said $line"; done; echo over; sleep 1000';

  it.each([
    ["ends the container's input with the first client's, when it is to be had once", true],
    ["leaves the container's input open, when it is not", false],
  ])("%s", async (_, stdinOnce) => {
    const { daemon, sandbox, id } = await started({
      command: ["/bin/sh", "-c", script],
      stdin: true,
      stdinOnce,
    });
    const say = async (text: string) => {
      const { url } = await daemon.client.attach({ containerId: id, stdin: true, stdout: true });
      const session = await spdy(url);
      const { stdin } = await openStreams(session, "error", "stdin", "stdout");
      session.client.send(stdin, `${text}\n`, true);
      return session;
    };
    const log = async () => await readFile(logFile(sandbox, "main"), "utf8");
    using first = await say("one");
    await waitFor("the answer", async () => (await log()).includes("you said one"));
    if (stdinOnce) {
      await waitFor("the end", async () => (await log()).includes("stdout F over"));
    } else {
      first.connection.socket.destroy();
      using _second = await say("two");
      await waitFor("the answer", async () => (await log()).includes("you said two"));
      expect(await log()).not.toContain("over");
    }
  });
});
