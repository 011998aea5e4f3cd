/** A pod's life: restarts, order of containers, probes, hooks, ends. */
import { readFileSync, rmSync } from "node:fs";
import type { V1Container, V1Probe } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { agnhostImage } from "../../../../hack/kubernetes/images.ts";
import { shell, sleeps, useNamespace } from "../../../support/cluster.ts";
import { containerStatus } from "../../../support/kubelet.ts";
import { waitFor } from "../../../support/wait.ts";

const namespace = useNamespace();

const restarts = (atLeast: number) => (pod: Parameters<typeof containerStatus>[0]) =>
  (containerStatus(pod, "c")?.restartCount ?? 0) >= atLeast;

describe.concurrent("restart policies", () => {
  it.each([
    ["Always", "exit 0"],
    ["OnFailure", "exit 4"],
  ])("%s: a container that ends is started again", async (restartPolicy, script) => {
    const name = await namespace().pod({ restartPolicy, containers: [shell(script)] });
    const pod = await namespace().podThat(name, "restarted", restarts(1));
    expect(containerStatus(pod, "c")?.restartCount).toBeGreaterThan(0);
  });

  it("Never: it stays as it ended, OnFailure: after a success too", async () => {
    const failed = await namespace().ended({ containers: [shell("exit 4")] });
    expect(failed.status?.phase).toBe("Failed");
    expect(containerStatus(failed, "c")?.state?.terminated).toMatchObject({ exitCode: 4, reason: "Error" });
    const done = await namespace().ended({ restartPolicy: "OnFailure", containers: [shell("exit 0")] });
    expect(done.status?.phase).toBe("Succeeded");
    expect(containerStatus(done, "c")).toMatchObject({ restartCount: 0 });
  });
});

describe.concurrent("init containers and sidecars", () => {
  it("init containers run in order, and one that fails keeps the others from starting", async () => {
    const mount = { volumeMounts: [{ name: "v", mountPath: "/v" }] };
    const pod = await namespace().ended({
      volumes: [{ name: "v", emptyDir: {} }],
      initContainers: [
        shell("echo 1 >> /v/order", { name: "one", ...mount }),
        shell("echo 2 >> /v/order", { name: "two", ...mount }),
      ],
      containers: [shell("cat /v/order", mount)],
    });
    expect(pod.output).toBe("1\n2\n");
    const broken = await namespace().pod({
      initContainers: [shell("exit 1", { name: "one" })],
      containers: [shell("true")],
    });
    const status = await namespace().podThat(broken, "failed", (p) => p.status?.phase === "Failed");
    expect(containerStatus(status, "c")?.state?.waiting?.reason).toBe("PodInitializing");
  });

  it("a sidecar starts before and ends after the others, and does not keep the pod from completing", async () => {
    const pod = await namespace().ended({
      initContainers: [
        shell("mkdir /www; httpd -f -p 8081 -h /www & trap 'exit 0' TERM; wait", {
          name: "side",
          restartPolicy: "Always",
          startupProbe: { tcpSocket: { port: 8081 }, periodSeconds: 1 },
        }),
      ],
      containers: [shell("nc 127.0.0.1 8081 < /dev/null && echo reached")],
    });
    expect(pod.output).toBe("reached\n");
    expect(pod.status?.phase).toBe("Succeeded");
    expect(containerStatus(pod, "side")?.state?.terminated?.exitCode).toBe(0);
  });
});

describe.concurrent("probes", () => {
  const server: Partial<V1Container> = { image: agnhostImage };
  const every: Partial<V1Probe> = { periodSeconds: 1, failureThreshold: 1 };

  it("exec: a liveness probe that fails has the container started again", async () => {
    const name = await namespace().pod({
      restartPolicy: "Always",
      containers: [
        shell(`touch /tmp/a; sleep 2; rm /tmp/a; ${sleeps}`, {
          livenessProbe: { exec: { command: ["cat", "/tmp/a"] }, ...every },
        }),
      ],
    });
    await namespace().podThat(name, "restarted", restarts(1));
    expect((await namespace().events(name)).join("\n")).toContain("Liveness probe failed");
  });

  it("exec: a probe that does not end in its time has failed, and its process is gone", async () => {
    const name = await namespace().pod({
      restartPolicy: "Always",
      containers: [
        shell(sleeps, {
          readinessProbe: { exec: { command: ["sleep", "4321"] }, timeoutSeconds: 1, periodSeconds: 30 },
        }),
      ],
    });
    await namespace().podThat(name, "running", (pod) => pod.status?.phase === "Running");
    await waitFor(
      "the event",
      async () => (await namespace().events(name)).some((text) => /Readiness probe.*timed out/.test(text)),
      { timeoutMs: 60_000, intervalMs: 200 },
    );
    // While a pod is not ready its kubelet asks again and again: between two probes there is none.
    await waitFor(
      "the end of the probe's process",
      async () => (await namespace().sh(name, "ps | grep -c '[s]leep 4321' || true")) === "0",
      { timeoutMs: 30_000, intervalMs: 50 },
    );
  });

  it("http, tcp and grpc: a pod is ready when they succeed", async () => {
    const { status } = await namespace().running({
      containers: [
        {
          name: "http",
          ...server,
          command: ["/agnhost", "netexec", "--http-port=8080"],
          readinessProbe: { httpGet: { path: "/healthz", port: 8080 }, ...every },
          livenessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1, failureThreshold: 30 },
        },
        {
          name: "grpc",
          ...server,
          command: ["/agnhost", "grpc-health-checking", "--port=5000", "--http-port=8082"],
          startupProbe: { grpc: { port: 5000 }, periodSeconds: 1, failureThreshold: 30 },
        },
      ],
    });
    expect(status?.containerStatuses?.every(({ ready, started }) => ready && started)).toBe(true);
  });

  it("http: a server that answers too late has failed", async () => {
    const name = await namespace().pod({
      containers: [
        {
          name: "c",
          ...server,
          command: ["/agnhost", "netexec", "--http-port=8080", "--delay-shutdown=0"],
          readinessProbe: {
            httpGet: { path: "/shell?cmd=sleep%203", port: 8080 },
            timeoutSeconds: 1,
            periodSeconds: 2,
          },
        },
      ],
    });
    await waitFor(
      "the event",
      async () =>
        (await namespace().events(name)).some((text) => /Readiness probe.*(exceeded|timeout)/i.test(text)),
      { timeoutMs: 60_000, intervalMs: 200 },
    );
    expect(containerStatus(await namespace().read(name), "c")?.ready).toBe(false);
  });
});

describe.concurrent("ends", () => {
  it("the termination message is the file's, or the log's end after a failure where that is asked for", async () => {
    const file = await namespace().ended({
      containers: [shell("echo -n told > /dev/termination-log; exit 1")],
    });
    expect(containerStatus(file, "c")?.state?.terminated?.message).toBe("told");
    const log = await namespace().ended({
      containers: [shell("echo last words; exit 1", { terminationMessagePolicy: "FallbackToLogsOnError" })],
    });
    expect(containerStatus(log, "c")?.state?.terminated?.message).toBe("last words\n");
    const other = await namespace().ended({
      containers: [shell("echo -n there > /tmp/end", { terminationMessagePath: "/tmp/end" })],
    });
    expect(containerStatus(other, "c")?.state?.terminated?.message).toBe("there");
  });

  it("hooks: postStart runs beside the container's start, preStop before its TERM", async () => {
    const { name } = await namespace().running({
      terminationGracePeriodSeconds: 20,
      volumes: [{ name: "v", hostPath: { path: namespace().node.folder } }],
      containers: [
        shell("trap 'echo term >> /v/hooks.txt; exit 0' TERM; sleep 100000 & wait", {
          volumeMounts: [{ name: "v", mountPath: "/v" }],
          lifecycle: {
            postStart: { exec: { command: ["sh", "-c", "echo post > /v/hooks.txt"] } },
            preStop: { exec: { command: ["sh", "-c", "echo pre >> /v/hooks.txt"] } },
          },
        }),
      ],
    });
    await namespace().deletePod(name);
    await namespace().gone(name);
    const file = `${namespace().node.folder}/hooks.txt`;
    expect(readFileSync(file, "utf8")).toBe("post\npre\nterm\n");
    rmSync(file);
  });

  it("deletion: TERM and time to end, KILL after the grace", async () => {
    const polite = await namespace().running({
      terminationGracePeriodSeconds: 60,
      containers: [shell(sleeps)],
    });
    const deaf = await namespace().running({
      terminationGracePeriodSeconds: 3,
      containers: [shell("trap '' TERM; while :; do sleep 1; done")],
    });
    await Promise.all([polite.name, deaf.name].map((name) => namespace().deletePod(name)));
    await namespace().gone(polite.name, 30_000); // long before its grace is over
    await namespace().gone(deaf.name);
  });
});
