/** What controllers make of pods. */
import { rmSync, writeFileSync } from "node:fs";
import type { V1PodTemplateSpec } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { agnhostImage, busyboxImage } from "../../../../hack/kubernetes/images.ts";
import { shell, sleeps, useNamespace } from "../../../support/cluster.ts";
import { waitFor } from "../../../support/wait.ts";

const namespace = useNamespace();
const slow = { timeoutMs: 120_000, intervalMs: 200 };

function template(app: string, script = sleeps): V1PodTemplateSpec {
  return {
    metadata: { labels: { app } },
    spec: { terminationGracePeriodSeconds: 2, containers: [shell(script)] },
  };
}

async function podsOf(app: string) {
  const { core, name } = namespace();
  return (await core.listNamespacedPod({ namespace: name, labelSelector: `app=${app}` })).items;
}

describe.concurrent("workloads", () => {
  it("Deployment: replicas become available, a new image is rolled out, the old pods go", async () => {
    const { apps, name } = namespace();
    const selector = { matchLabels: { app: "deployed" } };
    await apps.createNamespacedDeployment({
      namespace: name,
      body: {
        metadata: { name: "deployed" },
        spec: { replicas: 3, selector, template: template("deployed") },
      },
    });
    const settled = (generation: number) =>
      waitFor(
        `rollout ${generation}`,
        async () => {
          const { status, metadata } = await apps.readNamespacedDeployment({
            namespace: name,
            name: "deployed",
          });
          return (
            (metadata?.generation ?? 0) >= generation &&
            status?.observedGeneration === metadata?.generation &&
            status?.updatedReplicas === 3 &&
            status.availableReplicas === 3 &&
            status.replicas === 3
          );
        },
        slow,
      );
    await settled(1);
    const next = template("deployed");
    const containers = (next.spec?.containers ?? []).map((c) => ({ ...c, image: agnhostImage }));
    await apps.replaceNamespacedDeployment({
      namespace: name,
      name: "deployed",
      body: {
        metadata: { name: "deployed" },
        spec: {
          replicas: 3,
          selector,
          template: { ...next, spec: { ...next.spec, containers } },
        },
      },
    });
    await settled(2);
    await waitFor(
      "only pods of the new image",
      async () => {
        const pods = await podsOf("deployed");
        return pods.length === 3 && pods.every((pod) => pod.spec?.containers[0]?.image === agnhostImage);
      },
      slow,
    );
  });

  it("DaemonSet: one pod on the node", async () => {
    const { apps, name } = namespace();
    await apps.createNamespacedDaemonSet({
      namespace: name,
      body: {
        metadata: { name: "every" },
        spec: { selector: { matchLabels: { app: "every" } }, template: template("every") },
      },
    });
    const available = async () => {
      const { status } = await apps.readNamespacedDaemonSet({ namespace: name, name: "every" });
      return status?.numberAvailable === 1 && status.desiredNumberScheduled === 1;
    };
    await waitFor("the daemon's pod", available, slow);
    expect(await podsOf("every")).toHaveLength(1);
  });

  it("StatefulSet: pods with stable names, started in order, replaced under the same name", async () => {
    const { apps, name } = namespace();
    await apps.createNamespacedStatefulSet({
      namespace: name,
      body: {
        metadata: { name: "db" },
        spec: {
          serviceName: "db",
          replicas: 2,
          selector: { matchLabels: { app: "db" } },
          template: template("db"),
        },
      },
    });
    const ready = async () =>
      (await apps.readNamespacedStatefulSet({ namespace: name, name: "db" })).status?.readyReplicas === 2;
    await waitFor("both", ready, slow);
    const [first, second] = [await namespace().read("db-0"), await namespace().read("db-1")];
    const started = (pod: typeof first) => Number(pod.status?.startTime ?? 0);
    expect(started(second)).toBeGreaterThanOrEqual(started(first));
    expect(await namespace().sh("db-0", "hostname")).toBe("db-0");
    await namespace().deletePod("db-0");
    const renewed = async () => {
      const pod = (await podsOf("db")).find(({ metadata }) => metadata?.name === "db-0");
      return pod !== undefined && pod.metadata?.uid !== first.metadata?.uid && (await ready());
    };
    await waitFor("another pod of that name", renewed, slow);
  });

  it("Job: completes when all its pods have, and counts those that fail", async () => {
    const { batch, name } = namespace();
    const job = (script: string) => ({ spec: { restartPolicy: "Never", containers: [shell(script)] } });
    await batch.createNamespacedJob({
      namespace: name,
      body: {
        metadata: { name: "good" },
        spec: { completions: 3, parallelism: 2, template: job("echo done") },
      },
    });
    await batch.createNamespacedJob({
      namespace: name,
      body: { metadata: { name: "bad" }, spec: { backoffLimit: 0, template: job("exit 5") } },
    });
    const status = async (of: string) =>
      (await batch.readNamespacedJob({ namespace: name, name: of })).status;
    await waitFor("the good one", async () => (await status("good"))?.succeeded === 3, slow);
    await waitFor("the bad one", async () => (await status("bad"))?.failed === 1, slow);
  });

  it("CronJob: makes a Job at its minute, which completes", async () => {
    const { batch, name } = namespace();
    await batch.createNamespacedCronJob({
      namespace: name,
      body: {
        metadata: { name: "tick" },
        spec: {
          schedule: "* * * * *",
          jobTemplate: {
            spec: {
              template: { spec: { restartPolicy: "Never", containers: [shell("date")] } },
            },
          },
        },
      },
    });
    const done = async () =>
      (await batch.listNamespacedJob({ namespace: name })).items.some(
        ({ metadata, status }) => metadata?.name?.startsWith("tick-") && status?.succeeded === 1,
      );
    await waitFor("a Job of the CronJob", done, { timeoutMs: 150_000, intervalMs: 500 });
    await batch.deleteNamespacedCronJob({ namespace: name, name: "tick" });
  });

  it("a static pod has a mirror in the API, and goes with its manifest", async () => {
    const { node, core } = namespace();
    const file = `${node.folders.manifests}/mirror.json`;
    const metadata = { name: "mirrored", namespace: namespace().name };
    const spec = {
      terminationGracePeriodSeconds: 2,
      containers: [{ name: "c", image: busyboxImage, command: ["/bin/sh", "-c", sleeps] }],
    };
    writeFileSync(file, JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata, spec }));
    const mirror = async () =>
      (await core.listNamespacedPod({ namespace: namespace().name })).items.find((pod) =>
        pod.metadata?.name?.startsWith("mirrored-"),
      );
    await waitFor("the mirror", async () => (await mirror())?.status?.phase === "Running", slow);
    rmSync(file);
    await waitFor("its end", async () => (await mirror()) === undefined, slow);
  });
});
