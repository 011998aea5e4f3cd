/** How pods are reached: host ports, and Services through kube-proxy in both of its modes. */
import { execFileSync } from "node:child_process";
import { request } from "node:http";
import { networkInterfaces } from "node:os";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ProxyMode } from "../../../../hack/kubernetes/control-plane.ts";
import { agnhostImage } from "../../../../hack/kubernetes/images.ts";
import { useNamespace } from "../../../support/cluster.ts";
import { freePort } from "../../../support/port.ts";
import { waitFor } from "../../../support/wait.ts";

const namespace = useNamespace();
const patience = { timeoutMs: 60_000, intervalMs: 200, retryErrors: true };

/** A pod that answers /hostname with its name. */
const server = (more = {}) => ({
  containers: [
    {
      name: "c",
      image: agnhostImage,
      command: ["/agnhost"],
      args: ["netexec", "--http-port=8080"],
      readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
      ports: [{ containerPort: 8080, ...more }],
    },
  ],
});

/** By a connection of its own: who answers is chosen for each. */
async function get(address: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const signal = AbortSignal.timeout(2000);
  request(`http://${address}/hostname`, { agent: false, signal }, (response) =>
    text(response).then(resolve, reject),
  )
    .once("error", reject)
    .end();
  return await promise;
}

/** Returns when kube-proxy has rules for the address: before, a connection to it would leave the machine. */
async function programmed(mode: ProxyMode, address: string): Promise<void> {
  const [program, ...args] = mode === "nftables" ? ["nft", "list", "ruleset"] : ["iptables-save"];
  const rules = () => execFileSync(program ?? "", args, { encoding: "utf8", maxBuffer: 64 << 20 });
  await waitFor(`rules for ${address}`, () => rules().includes(address), { timeoutMs: 30_000 });
}

/** An address of this machine that is not loopback. */
function ownAddress(): string {
  const found = Object.values(networkInterfaces())
    .flat()
    .find((a) => a?.family === "IPv4" && !a.internal);
  if (found === undefined) throw new Error("this machine has no address but loopback");
  return found.address;
}

describe("host ports", () => {
  it("a port of the node leads to the pod, and to nobody once the pod is gone", async () => {
    const port = await freePort();
    const { name } = await namespace().running(server({ hostPort: port }));
    const address = `${ownAddress()}:${port}`;
    expect(await waitFor("an answer", () => get(address), patience)).toBe(name);
    await namespace().deletePod(name);
    await namespace().gone(name);
    await expect(get(address)).rejects.toThrow();
  });
});

describe.each(["nftables", "iptables"] as const)("Services, kube-proxy with %s", (mode) => {
  beforeAll(() => namespace().node.startProxy(mode), 60_000);
  afterAll(() => namespace().node.stopProxy(), 60_000);

  it("a ClusterIP reaches every ready pod, from the node and from pods, and follows them", async () => {
    const { core, name: ns } = namespace();
    const labels = { app: `web-${mode}` };
    const pods = await Promise.all([1, 2].map(() => namespace().running(server(), { labels })));
    const { spec } = await core.createNamespacedService({
      namespace: ns,
      body: {
        metadata: { name: `web-${mode}` },
        spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
      },
    });
    await programmed(mode, spec?.clusterIP ?? "");
    const address = `${spec?.clusterIP}:80`;
    const seen = new Set<string>();
    await waitFor(
      "both pods to answer",
      async () => {
        seen.add(await get(address));
        return seen.size === 2;
      },
      patience,
    );
    expect([...seen].toSorted()).toEqual(pods.map(({ name }) => name).toSorted());
    const { name: client } = await namespace().running({
      containers: [{ name: "c", image: agnhostImage, command: ["/agnhost"], args: ["pause"] }],
    });
    const reached = await namespace().exec(client, ["/agnhost", "connect", address, "--timeout=5s"]);
    expect(reached, reached.stderr).toMatchObject({ code: 0 });

    const [first, second] = pods.map(({ name }) => name);
    await namespace().deletePod(first ?? "");
    await namespace().gone(first ?? "");
    await waitFor(
      "the other one alone",
      async () => {
        const answers = await Promise.all(Array.from({ length: 8 }, () => get(address)));
        return answers.every((answer) => answer === second);
      },
      patience,
    );
  });

  it("a NodePort reaches a pod by the node's loopback", async () => {
    const { core, name: ns } = namespace();
    const labels = { app: `node-${mode}` };
    const { name } = await namespace().running(server(), { labels });
    const { spec } = await core.createNamespacedService({
      namespace: ns,
      body: {
        metadata: { name: `node-${mode}` },
        spec: { type: "NodePort", selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
      },
    });
    await programmed(mode, spec?.clusterIP ?? "");
    const host = mode === "nftables" ? ownAddress() : "127.0.0.1"; // loopback is iptables mode's alone
    expect(await waitFor("an answer", () => get(`${host}:${spec?.ports?.[0]?.nodePort}`), patience)).toBe(
      name,
    );
  });
});
