/**
 * An unmodified kubelet over kobako, without an API server: static pods, what their kubelet sees of them, and faults
 * of either of the two. The control plane's share is in cluster/ (hack/cluster test).
 */
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { V1Container, V1PodSpec } from "@kubernetes/client-node";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { builtProgram } from "../../../hack/kubernetes/programs.ts";
import { busyboxImage } from "../../../hack/kubernetes/images.ts";
import { Node } from "../../../hack/kubernetes/node.ts";
import { PodSandboxState } from "../../../cri-api/index.ts";
import { criClient } from "../../support/cri-client.ts";
import { processInfo } from "../../support/host.ts";
import { containerIds, containerStatus, KubeletApi } from "../../support/kubelet.ts";
import { addressesInUse, powerOff } from "../../support/reboot.ts";
import { ownName, recordRoot } from "../../support/run.ts";
import { type TempDir, tempDir } from "../../support/temp-dir.ts";
import { waitFor } from "../../support/wait.ts";

let folder: TempDir | undefined;
let node: Node;
let kubelet: KubeletApi;
let missing = "the kubelet has not been started";

beforeAll(async () => {
  if ((await builtProgram("kubelet")) === undefined) {
    missing = "the kubelet is not built and could not be in time (hack/tools kubelet)";
    return;
  }
  folder = await tempDir("kubelet");
  recordRoot(join(folder.path, "kobako/root"));
  node = await Node.up(folder.path, { cgroupRoot: `/${ownName()}` });
  kubelet = new KubeletApi(node);
  missing = "";
}, 180_000);

beforeEach((context) => {
  if (missing !== "") context.skip(missing);
});

/** Every manifest goes, and with it what its pod has but the records, which the kubelet collects once a minute. */
afterEach(async () => {
  if (missing !== "") return;
  for (const name of readdirSync(node.folders.manifests)) rmSync(join(node.folders.manifests, name));
  const client = criClient(node.socket);
  try {
    const filter = { state: { state: PodSandboxState.SANDBOX_READY } };
    await waitFor(
      "the end of all pods",
      async () => (await client.listPodSandbox({ filter })).items.length === 0,
      { timeoutMs: 90_000, intervalMs: 100 },
    );
    // A sandbox is not ready from the beginning of its stop on; its addresses are free at the end.
    await waitFor("the end of all addresses", () => addressesInUse(node).length === 0);
  } finally {
    client.close();
  }
}, 120_000);

afterAll(async () => {
  if (folder === undefined) return;
  await (await Node.at(folder.path)).down();
  await folder[Symbol.asyncDispose]();
}, 120_000);

const sleeps = "trap 'exit 0' TERM; sleep 100000 & wait";

function shell(name: string, script: string, more: Partial<V1Container> = {}): V1Container {
  return { name, image: busyboxImage, command: ["/bin/sh", "-c", script], ...more };
}

/** Puts a manifest where the kubelet looks. */
function write(name: string, spec: V1PodSpec): void {
  const manifest = { apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "default" }, spec };
  writeFileSync(join(node.folders.manifests, `${name}.json`), JSON.stringify(manifest));
}

function remove(name: string): void {
  rmSync(join(node.folders.manifests, `${name}.json`));
}

describe("a pod of a manifest", () => {
  it("runs with an address of its own, and its kubelet is healthy", async () => {
    write("web0", { containers: [shell("c", sleeps)] });
    const pod = await kubelet.ready("web0");
    expect(pod.status?.phase).toBe("Running");
    expect(addressesInUse(node).toSorted()).toEqual(
      (pod.status?.podIPs ?? []).map(({ ip }) => ip).toSorted(),
    );
    expect(containerStatus(pod, "c")?.imageID).toContain("registry.kobako.test/busybox@sha256:");
    const healthz = await fetch(`http://127.0.0.1:${node.ports.healthz}/healthz`);
    expect(await healthz.text()).toBe("ok");
  });

  it("shows its logs, and runs commands with input, output and exit code", async () => {
    write("talk", { containers: [shell("c", `echo out; echo err >&2; ${sleeps}`)] });
    await kubelet.ready("talk");
    // It is ready before its shell has come to write.
    const written = async () => (await kubelet.logs("talk", "c")).split("\n").toSorted();
    await expect.poll(written).toEqual(["", "err", "out"]);
    expect(await kubelet.exec("talk", "c", ["/bin/sh", "-c", "cat; echo bad >&2; exit 7"], "in\n")).toEqual({
      stdout: "in\n",
      stderr: "bad\n",
      code: 7,
    });
  });

  it("ends with its manifest, within its grace, and a process that ignores TERM with KILL after it", async () => {
    write("polite", { containers: [shell("c", "trap 'echo bye; exit 0' TERM; sleep 100000 & wait")] });
    write("deaf", {
      terminationGracePeriodSeconds: 2,
      containers: [shell("c", "trap '' TERM; while :; do sleep 1; done")],
    });
    await Promise.all([kubelet.ready("polite"), kubelet.ready("deaf")]);
    const client = criClient(node.socket);
    const { containers } = await client.listContainers({});
    const events = client.getContainerEvents({}, { timeoutMs: 60_000 });
    const ended = (async () => {
      const ids = new Set(containers.map(({ id }) => id));
      const exits = new Map<string, number>();
      for await (const event of events) {
        const status = event.containersStatuses.find(({ id }) => ids.has(id) && id === event.containerId);
        if (status !== undefined && status.finishedAt > 0n)
          exits.set(status.labels["io.kubernetes.pod.name"] ?? "", status.exitCode);
        if (exits.size === 2) return Object.fromEntries(exits);
      }
      return Object.fromEntries(exits);
    })();
    remove("polite");
    remove("deaf");
    expect(await ended).toEqual({ "polite-localhost": 0, "deaf-localhost": 137 });
    client.close();
  });
});

describe("restart policies", () => {
  it("Always starts a container again, whatever its exit code", async () => {
    write("again", { restartPolicy: "Always", containers: [shell("c", "exit 0")] });
    const pod = await kubelet.podThat(
      "again",
      "started twice",
      (p) => (containerStatus(p, "c")?.restartCount ?? 0) > 0,
    );
    expect(
      containerStatus(pod, "c")?.lastState?.terminated ?? containerStatus(pod, "c")?.state?.terminated,
    ).toMatchObject({
      exitCode: 0,
      reason: "Completed",
    });
  });

  it("OnFailure starts it again after a failure only", async () => {
    write("once", { restartPolicy: "OnFailure", containers: [shell("c", "exit 0")] });
    write("fails", { restartPolicy: "OnFailure", containers: [shell("c", "exit 3")] });
    await kubelet.podThat("once", "succeeded", (p) => p.status?.phase === "Succeeded");
    const pod = await kubelet.podThat(
      "fails",
      "started twice",
      (p) => (containerStatus(p, "c")?.restartCount ?? 0) > 0,
    );
    expect(
      (containerStatus(pod, "c")?.lastState ?? containerStatus(pod, "c")?.state)?.terminated?.exitCode,
    ).toBe(3);
    expect(containerStatus((await kubelet.pod("once")) ?? {}, "c")?.restartCount).toBe(0);
  });

  it("Never leaves it as it ended, with exit code, reason and message", async () => {
    write("never", {
      restartPolicy: "Never",
      containers: [shell("c", "echo why > /dev/termination-log; exit 9")],
    });
    const pod = await kubelet.podThat("never", "failed", (p) => p.status?.phase === "Failed");
    expect(containerStatus(pod, "c")).toMatchObject({
      restartCount: 0,
      state: { terminated: { exitCode: 9, reason: "Error", message: "why\n" } },
    });
  });
});

describe("init containers", () => {
  it("run one after the other before the others, sidecars beside them to the end", async () => {
    write("order", {
      restartPolicy: "Never",
      volumes: [{ name: "shared", emptyDir: {} }],
      initContainers: [
        shell("first", "echo first >> /shared/order", {
          volumeMounts: [{ name: "shared", mountPath: "/shared" }],
        }),
        shell("side", "echo side >> /shared/order; trap 'exit 0' TERM; sleep 100000 & wait", {
          restartPolicy: "Always",
          volumeMounts: [{ name: "shared", mountPath: "/shared" }],
          startupProbe: { exec: { command: ["grep", "side", "/shared/order"] }, periodSeconds: 1 },
        }),
        shell("second", "echo second >> /shared/order", {
          volumeMounts: [{ name: "shared", mountPath: "/shared" }],
        }),
      ],
      containers: [
        shell("c", "cat /shared/order", { volumeMounts: [{ name: "shared", mountPath: "/shared" }] }),
      ],
    });
    const pod = await kubelet.podThat("order", "succeeded", (p) => p.status?.phase === "Succeeded");
    expect(await kubelet.logs("order", "c")).toBe("first\nside\nsecond\n");
    expect(containerStatus(pod, "side")?.state?.terminated?.exitCode).toBe(0);
  });
});

describe("probes", () => {
  it("restart what does not live, and keep what is not ready out of the way", async () => {
    write("probed", {
      containers: [
        shell(
          "dies",
          "touch /tmp/alive; trap 'exit 0' TERM; sleep 3 & wait; rm /tmp/alive; sleep 100000 & wait",
          {
            livenessProbe: {
              exec: { command: ["cat", "/tmp/alive"] },
              periodSeconds: 1,
              failureThreshold: 1,
            },
          },
        ),
        shell("serves", "mkdir /www; echo hi > /www/index.html; exec httpd -f -p 8080 -h /www", {
          readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
        }),
        shell("hides", sleeps, { readinessProbe: { tcpSocket: { port: 9999 }, periodSeconds: 1 } }),
        shell("hangs", sleeps, {
          readinessProbe: { exec: { command: ["sleep", "100"] }, periodSeconds: 1, timeoutSeconds: 1 },
        }),
      ],
    });
    const pod = await kubelet.podThat("probed", "restarted where it does not live", (p) => {
      return (
        (containerStatus(p, "dies")?.restartCount ?? 0) > 0 && containerStatus(p, "serves")?.ready === true
      );
    });
    expect(containerStatus(pod, "hides")?.ready).toBe(false);
    expect(containerStatus(pod, "hangs")?.ready).toBe(false);
  });
});

describe("faults", () => {
  const two: V1PodSpec = {
    initContainers: [shell("side", sleeps, { restartPolicy: "Always" })],
    containers: [shell("a", sleeps), shell("b", sleeps)],
  };

  it("kobako is killed while pods run: no container is started anew", async () => {
    write("steady9", two);
    const before = containerIds(await kubelet.ready("steady9"));
    for (let i = 0; i < 5; i++) {
      await node.killKobako();
      await node.startKobako();
      // The kubelet dials again in its own time.
      const said = await waitFor("an exec", () => kubelet.exec("steady9", "a", ["/bin/echo", "on"]), {
        retryErrors: true,
        timeoutMs: 30_000,
        intervalMs: 200,
      });
      expect(said.stdout).toBe("on\n");
    }
    // Only what is asked for after the kills proves that the kubelet has looked again.
    write("after9", { containers: [shell("c", sleeps)] });
    await kubelet.ready("after9");
    expect(containerIds(await kubelet.ready("steady9"))).toEqual(before);
  });

  it("kobako is away while a container ends: its exit code is told, and it is started again", async () => {
    write("ends", { containers: [shell("c", "trap 'exit 21' USR1; sleep 100000 & wait")] });
    const { c = "" } = containerIds(await kubelet.ready("ends"));
    const client = criClient(node.socket);
    const containerId = c.replace("kobako://", "");
    const { info } = await client.containerStatus({ containerId, verbose: true });
    client.close();
    const { pid } = JSON.parse(info.info ?? "{}") as { pid: number };
    await node.killKobako();
    process.kill(pid, "SIGUSR1");
    await waitFor("the end of the container", () => (processInfo(pid)?.state ?? "Z") === "Z");
    await node.startKobako();
    const pod = await kubelet.podThat(
      "ends",
      "started again",
      (p) => (containerStatus(p, "c")?.restartCount ?? 0) > 0,
    );
    expect(containerStatus(pod, "c")?.lastState?.terminated?.exitCode).toBe(21);
  });

  it("the kubelet is started again: it finds its pods, and starts no container anew", async () => {
    write("steady11", two);
    const before = containerIds(await kubelet.ready("steady11"));
    await node.stopKubelet("SIGKILL");
    await node.startKubelet();
    expect(containerIds(await kubelet.ready("steady11"))).toEqual(before);
    write("after11", { containers: [shell("c", sleeps)] });
    await kubelet.ready("after11");
    expect(containerIds(await kubelet.ready("steady11"))).toEqual(before);
  });

  it("the node is switched off and on: pods come back, and no address is lost", async () => {
    write("steady12", two);
    write("web12", { containers: [shell("c", sleeps)] });
    const before = containerIds(await kubelet.ready("steady12"));
    await kubelet.ready("web12");
    await powerOff(node);
    await node.start();
    const pods = [await kubelet.ready("steady12", 120_000), await kubelet.ready("web12", 120_000)];
    expect(Object.values(containerIds(pods[0] ?? {}))).not.toEqual(Object.values(before));
    const addresses = pods.flatMap((pod) => (pod.status?.podIPs ?? []).map(({ ip }) => ip));
    await waitFor(
      "only the addresses of the two pods",
      () => {
        return addressesInUse(node).toSorted().join() === addresses.toSorted().join();
      },
      { timeoutMs: 90_000, intervalMs: 200 },
    );
  });
});
