/** etcd, the API server, the controller manager, the scheduler and kube-proxy, all on loopback. */
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import { must } from "../run.ts";
import { makeTokens, type Pki, serviceAccountKeys, serviceRange, writeKubeconfig } from "./certificates.ts";
import type { Ports } from "./ports.ts";
import type { Processes } from "./processes.ts";
import { programs } from "./programs.ts";

export const controlPlanePrograms = [
  "etcd",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
] as const;

export type ProxyMode = "nftables" | "iptables";

export interface ControlPlane {
  /** Paths of kubeconfig files. */
  readonly admin: string;
  readonly node: string;
}

function apiUrl(ports: Ports): string {
  return `https://127.0.0.1:${ports.apiserver}`;
}

/** GET of the API server as its administrator; undefined when nobody answers. */
async function get(url: string, ca: string, token: string): Promise<number | undefined> {
  return await new Promise((resolve) => {
    const call = request(
      url,
      { ca: readFileSync(ca), headers: { authorization: `Bearer ${token}` }, timeout: 2000 },
      (response) => {
        response.resume();
        response.once("end", () => resolve(response.statusCode));
      },
    );
    call.once("error", () => resolve(undefined));
    call.once("timeout", () => call.destroy());
    call.end();
  });
}

/** Starts what does not run. Returns when the API server is ready. */
export async function startControlPlane(
  processes: Processes,
  pki: Pki,
  ports: Ports,
  node: string,
): Promise<ControlPlane> {
  const [etcd = "", apiserver = "", controllerManager = "", scheduler = ""] =
    await programs(controlPlanePrograms);
  const { folder } = processes;
  const tokens = await makeTokens(pki.folder, node);
  const keys = await serviceAccountKeys(pki.folder);
  const files = { admin: join(folder, "admin.conf"), node: join(folder, "kubelet.conf") };
  await writeKubeconfig(files.admin, apiUrl(ports), pki.ca, tokens.admin);
  await writeKubeconfig(files.node, apiUrl(ports), pki.ca, tokens.node);

  const [client, peer] = [`http://127.0.0.1:${ports.etcd}`, `http://127.0.0.1:${ports.etcdPeer}`];
  await processes.start("etcd", [
    etcd,
    `--data-dir=${join(folder, "etcd")}`,
    "--unsafe-no-fsync", // lives no longer than its node
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    "--log-level=warn",
  ]);
  const serving = pki.certificate("apiserver");
  const kubeletClient = pki.certificate("client");
  await processes.start(
    "kube-apiserver",
    [
      apiserver,
      `--etcd-servers=${client}`,
      "--bind-address=127.0.0.1",
      `--secure-port=${ports.apiserver}`,
      `--tls-cert-file=${serving.cert}`,
      `--tls-private-key-file=${serving.key}`,
      `--client-ca-file=${pki.ca}`,
      `--token-auth-file=${tokens.file}`,
      `--service-account-issuer=${apiUrl(ports)}`,
      `--service-account-signing-key-file=${keys.private}`,
      `--service-account-key-file=${keys.public}`,
      "--authorization-mode=Node,RBAC",
      `--service-cluster-ip-range=${serviceRange}`,
      "--endpoint-reconciler-type=none",
      "--allow-privileged=true",
      `--kubelet-client-certificate=${kubeletClient.cert}`,
      `--kubelet-client-key=${kubeletClient.key}`,
      // The kubelet listens on loopback: the node is reached by its name, which is that of loopback.
      "--kubelet-preferred-address-types=Hostname",
      "--enable-admission-plugins=NodeRestriction",
      "--profiling=false",
      "--v=1",
    ],
    {
      ready: async () => (await get(`${apiUrl(ports)}/readyz`, pki.ca, tokens.admin)) === 200,
      timeoutMs: 180_000,
    },
  );
  await processes.start("kube-controller-manager", [
    controllerManager,
    `--kubeconfig=${files.admin}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${ports.controllerManager}`,
    "--leader-elect=false",
    `--service-account-private-key-file=${keys.private}`,
    `--root-ca-file=${pki.ca}`,
    "--v=1",
  ]);
  await processes.start("kube-scheduler", [
    scheduler,
    `--kubeconfig=${files.admin}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${ports.scheduler}`,
    "--leader-elect=false",
    "--v=1",
  ]);
  return files;
}

const proxyMarks: Readonly<Record<ProxyMode, string>> = {
  nftables: "kube-proxy",
  iptables: "KUBE-SERVICES",
};

/** Service rules on this machine, by whoever made them: kube-proxy has no names of its own. */
async function serviceRules(): Promise<ProxyMode | undefined> {
  const rules = await must(["nft", "-s", "list", "ruleset"]);
  if (new RegExp(`^table \\w+ ${proxyMarks.nftables} `, "m").test(rules)) return "nftables";
  return rules.includes(proxyMarks.iptables) ? "iptables" : undefined;
}

function proxyFile(folder: string): string {
  return join(folder, "kube-proxy.yaml");
}

/** Starts kube-proxy; it programs the whole machine, so there can be one only. */
export async function startProxy(
  processes: Processes,
  ports: Ports,
  node: string,
  mode: ProxyMode,
): Promise<void> {
  const found = await serviceRules();
  if (found !== undefined && processes.pid("kube-proxy") === undefined)
    throw new Error(
      `there are Service rules (${found}) on this machine: another kube-proxy's, not to be touched`,
    );
  const [proxy = ""] = await programs(["kube-proxy"]);
  await writeFile(
    proxyFile(processes.folder),
    JSON.stringify({
      apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
      kind: "KubeProxyConfiguration",
      bindAddress: "127.0.0.1",
      healthzBindAddress: `127.0.0.1:${ports.proxyHealthz}`,
      metricsBindAddress: `127.0.0.1:${ports.proxyMetrics}`,
      clientConnection: { kubeconfig: join(processes.folder, "admin.conf") },
      hostnameOverride: node,
      mode,
      conntrack: { maxPerCore: 0, min: 0 },
      // Pods share a bridge: an answer between two of them must come back this way.
      iptables: { masqueradeAll: true },
      nftables: { masqueradeAll: true },
    }),
  );
  await processes.start("kube-proxy", [proxy, `--config=${proxyFile(processes.folder)}`, "--v=2"], {
    ready: async () => (await serviceRules()) === mode,
    timeoutMs: 60_000,
  });
}

/** Ends kube-proxy and has it take its rules back. */
export async function stopProxy(processes: Processes): Promise<void> {
  if (!processes.names().includes("kube-proxy")) return;
  await processes.stop("kube-proxy");
  const [proxy = ""] = await programs(["kube-proxy"]);
  await must([proxy, `--config=${proxyFile(processes.folder)}`, "--cleanup"]);
}
