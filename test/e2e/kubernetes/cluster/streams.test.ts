/** attach, port-forward, cp and ephemeral containers, by @kubernetes/client-node through API server and kubelet. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { Attach, Cp, PortForward } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { agnhostImage, busyboxImage } from "../../../../hack/kubernetes/images.ts";
import { shell, sleeps, useNamespace } from "../../../support/cluster.ts";
import { waitFor } from "../../../support/wait.ts";

const namespace = useNamespace();

/** Collects what is written to it. */
function collector() {
  const stream = new PassThrough();
  let text = "";
  stream.on("data", (data: Buffer) => {
    text += data.toString("latin1");
  });
  return { stream, text: () => text };
}

describe.concurrent("streams", () => {
  it("attach: input goes to the program, its output comes back and stands in the log", async () => {
    const { name } = await namespace().running({
      containers: [shell('while read -r line; do echo "you said $line"; done', { stdin: true })],
    });
    const [input, output, errors] = [new PassThrough(), collector(), collector()];
    const attach = new Attach(namespace().config);
    const connection = await attach.attach(
      namespace().name,
      name,
      "c",
      output.stream,
      errors.stream,
      input,
      false,
    );
    input.write("hello\n");
    await waitFor("the answer", () => output.text().includes("you said hello\n"));
    connection.close();
    expect(await namespace().logs(name)).toBe("you said hello\n");
  });

  it("port-forward: a port of the pod's loopback, and a port where nobody listens", async () => {
    const { name } = await namespace().running({
      containers: [
        {
          name: "c",
          image: agnhostImage,
          command: ["/agnhost"],
          args: ["netexec", "--http-port=8080"],
          readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
        },
      ],
    });
    const forward = async (port: number, request: string) => {
      const [input, output, errors] = [new PassThrough(), collector(), collector()];
      const client = new PortForward(namespace().config);
      const connection = await client.portForward(
        namespace().name,
        name,
        [port],
        output.stream,
        errors.stream,
        input,
      );
      input.write(request);
      return { output, errors, close: () => typeof connection !== "function" && connection.close() };
    };
    const open = await forward(8080, "GET /hostname HTTP/1.0\r\n\r\n");
    await waitFor("the answer", () => open.output.text().endsWith(name));
    expect(open.output.text()).toMatch(/^HTTP\/1\.0 200 OK\r\n/);
    open.close();
    const closed = await forward(81, "x");
    await waitFor("the refusal", () => /refused/.test(closed.errors.text()));
    closed.close();
  });

  it("cp: a file into a container and back", async () => {
    const { name } = await namespace().running({ containers: [shell(sleeps)] });
    const folder = mkdtempSync(join(tmpdir(), "kobako-cp-"));
    try {
      const bytes = Buffer.alloc(300_000, "kobako ");
      mkdirSync(join(folder, "out"));
      writeFileSync(join(folder, "out/there"), bytes);
      const cp = new Cp(namespace().config);
      // A folder's content, into a folder; neither call waits for its end.
      await cp.cpToPod(namespace().name, name, "c", join(folder, "out"), "/tmp");
      await waitFor(
        "the file in the container",
        async () => (await namespace().sh(name, "cat /tmp/there 2>/dev/null | wc -c")) === "300000",
      );
      await cp.cpFromPod(namespace().name, name, "c", "there", join(folder, "back"), "/tmp");
      const copy = join(folder, "back/there");
      await waitFor(
        "the file that came back",
        () => existsSync(copy) && statSync(copy).size === bytes.length,
      );
      const back = readFileSync(copy);
      expect(back.equals(bytes)).toBe(true);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("an ephemeral container joins a running pod, sees its target's processes and leaves it undisturbed", async () => {
    const { core, name: ns } = namespace();
    const { name } = await namespace().running({
      containers: [shell("trap 'exit 0' TERM; sleep 7653 & wait")],
    });
    const pod = await namespace().read(name);
    await core.replaceNamespacedPodEphemeralcontainers({
      namespace: ns,
      name,
      body: {
        ...pod,
        spec: {
          ...pod.spec,
          containers: pod.spec?.containers ?? [],
          ephemeralContainers: [
            {
              name: "debugger",
              image: busyboxImage,
              command: ["/bin/sh", "-c", sleeps],
              targetContainerName: "c",
            },
          ],
        },
      },
    });
    await namespace().podThat(
      name,
      "with a running debugger",
      ({ status }) => status?.ephemeralContainerStatuses?.[0]?.state?.running !== undefined,
    );
    expect(await namespace().sh(name, "ps", "debugger")).toContain("sleep 7653");
    expect((await namespace().read(name)).status?.containerStatuses?.[0]?.restartCount).toBe(0);
  });
});
