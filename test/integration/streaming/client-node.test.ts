/**
 * Kubernetes' own client for Node, unmodified: its Exec, Attach and PortForward, through a proxy that does what
 * an API server and a kubelet do between them.
 */
import { once } from "node:events";
import { type AddressInfo, createServer as createTcp } from "node:net";
import { PassThrough, Writable } from "node:stream";
import { Attach, Exec, type KubeConfig, PortForward, type V1Status } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ApiProxy, apiProxy } from "../../support/api-proxy.ts";
import { waitFor } from "../../support/wait.ts";
import { HostProcess, Scripted } from "./processes.ts";
import { type Serving, serving } from "./serve.ts";

let server: Serving;
let proxy: ApiProxy;
let config: KubeConfig;
const attached = new Scripted();

beforeAll(async () => {
  server = await serving();
  proxy = await apiProxy(async ({ kind, command, ports, ...wanted }) => {
    const request = { ...wanted, containerId: "c" };
    if (kind === "exec")
      return server.streaming.exec({ ...request, open: (signal) => HostProcess.start(command, signal) });
    if (kind === "attach") return server.streaming.attach({ ...request, open: async () => attached });
    return server.streaming.portForward({ sandboxId: "pod", ports });
  });
  config = proxy.config;
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
});

/** Keeps what is written to it. */
class Kept extends Writable {
  text = "";

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

describe("Exec", () => {
  it("has output, errors and the exit code", async () => {
    const [stdout, stderr] = [new Kept(), new Kept()];
    const status = await new Promise<V1Status>((resolve, reject) => {
      const command = ["/bin/sh", "-c", "echo out; echo err >&2; exit 5"];
      new Exec(config).exec("ns", "pod", "c", command, stdout, stderr, null, false, resolve).catch(reject);
    });
    expect([stdout.text, stderr.text]).toEqual(["out\n", "err\n"]);
    expect(status.reason).toBe("NonZeroExitCode");
    expect(status.details?.causes?.[0]).toEqual({ reason: "ExitCode", message: "5" });
  });

  it("ends its input and goes on to read", async () => {
    const [stdin, stdout] = [new PassThrough(), new Kept()];
    const ended = Promise.withResolvers<V1Status>();
    const command = ["/bin/sh", "-c", "wc -c; echo over"];
    const socket = await new Exec(config).exec(
      "ns",
      "pod",
      "c",
      command,
      stdout,
      null,
      stdin,
      false,
      ended.resolve,
    );
    expect(socket.protocol).toBe("v5.channel.k8s.io");
    stdin.write("x".repeat(200_000));
    stdin.end();
    expect(await ended.promise).toEqual({ status: "Success" });
    expect(stdout.text).toBe("200000\nover\n");
  });
});

describe("Attach", () => {
  it("talks with the container; its terminal's size is passed on", async () => {
    const stdin = new PassThrough();
    const stdout = Object.assign(new Kept(), { rows: 24, columns: 80 });
    attached.onInput = (text) => attached.say(`you said ${text}`);
    const socket = await new Attach(config).attach("ns", "pod", "c", stdout, null, stdin, true);
    stdin.write("hello");
    await waitFor("the answer", () => stdout.text === "you said hello");
    await waitFor("the size", () => attached.sizes.length > 0);
    expect(attached.sizes[0]).toEqual([80, 24]);
    socket.close();
    await waitFor("the detachment", () => attached.closed);
  });
});

describe("PortForward", () => {
  it("carries a connection", async () => {
    const pod = createTcp((socket) => socket.on("data", (bytes) => socket.end(`you said ${bytes}`)));
    pod.listen(0, "127.0.0.1");
    await once(pod, "listening");
    const { port } = pod.address() as AddressInfo;
    const [input, output, errors] = [new PassThrough(), new Kept(), new Kept()];
    const socket = await new PortForward(config).portForward("ns", "pod", [port], output, errors, input);
    if (typeof socket === "function") throw new Error("a socket was expected");
    expect(socket.protocol).toBe("v4.channel.k8s.io");
    const closed = new Promise((resolve) => {
      socket.onclose = resolve;
    });
    input.write("hello");
    await closed;
    expect([output.text, errors.text]).toEqual(["you said hello", ""]);
    pod.close();
  });

  it("hears that nobody listens", async () => {
    const errors = new Kept();
    const [input, output] = [new PassThrough(), new Kept()];
    await new PortForward(config).portForward("ns", "pod", [1], output, errors, input);
    await waitFor("the message", () => errors.text.includes("nobody listens on port 1"));
  });
});
