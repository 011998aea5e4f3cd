/** Kubernetes' own client for Node, unmodified, through a proxy that does what API server and kubelet do. */
import { PassThrough, Writable } from "node:stream";
import { Attach, Exec, PortForward, type V1Status } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { apiProxy } from "../../support/api-proxy.ts";
import type { TestDaemon } from "../../support/daemon.ts";
import { container, output, runPod, startContainer } from "../../support/pods.ts";
import { useNode } from "../../support/use-node.ts";
import { waitFor } from "../../support/wait.ts";

const node = useNode();

/** The runtime names containers and pods by its own ids: they are given for the names. */
function proxyOf({ client }: TestDaemon) {
  return apiProxy(async ({ kind, pod, container: containerId, command, ports, ...streams }) => {
    if (kind === "exec") return (await client.exec({ containerId, cmd: command, ...streams })).url;
    if (kind === "attach") return (await client.attach({ containerId, ...streams })).url;
    return (await client.portForward({ podSandboxId: pod, port: ports })).url;
  });
}

class Kept extends Writable {
  text = "";

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

async function started(command?: readonly string[]) {
  const { daemon, image } = node();
  const sandbox = await runPod(daemon);
  const more = command === undefined ? {} : { command, stdin: true };
  const id = await startContainer(daemon, sandbox, container(image, more));
  return { daemon, sandbox, id };
}

describe("@kubernetes/client-node", () => {
  it("Exec: output, errors, the exit code, and the end of the input", async () => {
    const { daemon, sandbox, id } = await started();
    await using proxy = await proxyOf(daemon);
    const [stdin, stdout, stderr] = [new PassThrough(), new Kept(), new Kept()];
    const ended = Promise.withResolvers<V1Status>();
    const command = ["/bin/sh", "-c", "wc -c; echo err >&2; exit 5"];
    await new Exec(proxy.config).exec(
      "ns",
      sandbox.id,
      id,
      command,
      stdout,
      stderr,
      stdin,
      false,
      ended.resolve,
    );
    stdin.end("x".repeat(500_000));
    expect((await ended.promise).details?.causes?.[0]).toEqual({ reason: "ExitCode", message: "5" });
    expect([stdout.text, stderr.text]).toEqual(["500000\n", "err\n"]);
  });

  it("Exec: a terminal of the client's size", async () => {
    const { daemon, sandbox, id } = await started();
    await using proxy = await proxyOf(daemon);
    const stdin = new PassThrough();
    const stdout = Object.assign(new Kept(), { rows: 21, columns: 87 });
    const ended = Promise.withResolvers<V1Status>();
    await new Exec(proxy.config).exec(
      "ns",
      sandbox.id,
      id,
      ["/bin/sh"],
      stdout,
      null,
      stdin,
      true,
      ended.resolve,
    );
    stdin.write("until stty size | grep -q 87; do :; done; stty size; exit\n");
    expect((await ended.promise).status).toBe("Success");
    expect(stdout.text).toContain("21 87");
  });

  it("Attach: a conversation", async () => {
    const { daemon, sandbox, id } = await started([
      "/bin/sh",
      "-c",
      'while read -r l; do echo "you said $l"; done',
    ]);
    await using proxy = await proxyOf(daemon);
    const [stdin, stdout] = [new PassThrough(), new Kept()];
    const socket = await new Attach(proxy.config).attach("ns", sandbox.id, id, stdout, null, stdin, false);
    await waitFor("the answer", () => {
      stdin.write("hello\n");
      return stdout.text.includes("you said hello");
    });
    socket.close();
  });

  it("PortForward: a request and its answer; a port where nobody listens", async () => {
    const serve = "echo served > /tmp/index.html; httpd -p 8080 -h /tmp; sleep 100000";
    const { daemon, sandbox, id } = await started(["/bin/sh", "-c", serve]);
    await waitFor("the server", async () => (await output(daemon, id, "netstat -ltn")).includes(":8080"));
    await using proxy = await proxyOf(daemon);
    const [input, answer] = [new PassThrough(), new Kept()];
    await new PortForward(proxy.config).portForward("ns", sandbox.id, [8080], answer, new Kept(), input);
    input.write("GET /index.html HTTP/1.0\r\n\r\n");
    await waitFor("the answer", () => answer.text.includes("served"));
    const errors = new Kept();
    await new PortForward(proxy.config).portForward(
      "ns",
      sandbox.id,
      [1],
      new Kept(),
      errors,
      new PassThrough(),
    );
    await waitFor("the message", () => errors.text.includes("error forwarding port 1"));
  });
});
