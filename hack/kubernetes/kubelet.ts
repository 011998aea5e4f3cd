/** The kubelet's configuration file and command line. Source: kubelet.config.k8s.io/v1beta1. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Pki } from "./certificates.ts";
import { answers, type Processes } from "./processes.ts";

export interface KubeletPorts {
  /** HTTPS: exec, logs, stats. */
  readonly kubelet: number;
  readonly healthz: number;
}

export interface KubeletOptions {
  /** The built program. */
  readonly program: string;
  /** Below which all its files stand. */
  readonly folder: string;
  readonly socket: string;
  readonly node: string;
  readonly ports: KubeletPorts;
  readonly pki: Pki;
  readonly cgroupRoot: string;
  /** Missing: no API server; pods are the manifests of `manifests`. */
  readonly kubeconfig?: string | undefined;
  /** Of the kubelet; e.g. EventedPLEG. */
  readonly featureGates?: Readonly<Record<string, boolean>>;
}

export interface KubeletFolders {
  readonly root: string;
  readonly manifests: string;
  readonly podLogs: string;
  readonly seccomp: string;
}

export function kubeletFolders(folder: string): KubeletFolders {
  const root = join(folder, "kubelet");
  return {
    root,
    manifests: join(folder, "manifests"),
    podLogs: join(folder, "pod-logs"),
    seccomp: join(root, "seccomp"),
  };
}

/** The KubeletConfiguration as an object; JSON is YAML. */
export function kubeletConfiguration(o: KubeletOptions): Record<string, unknown> {
  const { cert, key } = o.pki.certificate("kubelet");
  const folders = kubeletFolders(o.folder);
  const withServer = o.kubeconfig !== undefined;
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address: "127.0.0.1",
    port: o.ports.kubelet,
    healthzBindAddress: "127.0.0.1",
    healthzPort: o.ports.healthz,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: withServer },
      x509: { clientCAFile: o.pki.ca },
    },
    authorization: { mode: "AlwaysAllow" },
    tlsCertFile: cert,
    tlsPrivateKeyFile: key,
    containerRuntimeEndpoint: `unix://${o.socket}`,
    staticPodPath: folders.manifests,
    podLogsDir: folders.podLogs,
    volumePluginDir: join(o.folder, "volume-plugins"),
    cgroupRoot: o.cgroupRoot,
    // Machines for tests still have cgroup v1.
    failCgroupV1: false,
    failSwapOn: false,
    makeIPTablesUtilChains: false,
    serializeImagePulls: false,
    allowedUnsafeSysctls: ["kernel.msg*", "net.core.somaxconn"],
    evictionHard: { "memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
    // Images are this node's own business, not to be collected because the machine's disk is full of others'.
    imageGCHighThresholdPercent: 99,
    imageGCLowThresholdPercent: 98,
    // How soon an edited ConfigMap shows in a running pod.
    syncFrequency: "10s",
    featureGates: o.featureGates ?? {},
  };
}

/** Writes the file and starts it; returns when it is healthy. */
export async function startKubelet(processes: Processes, o: KubeletOptions): Promise<number> {
  const file = join(o.folder, "kubelet.yaml");
  await writeFile(file, `${JSON.stringify(kubeletConfiguration(o), null, 2)}\n`);
  return await processes.start(
    "kubelet",
    [
      o.program,
      `--config=${file}`,
      `--root-dir=${kubeletFolders(o.folder).root}`,
      `--hostname-override=${o.node}`,
      "--v=2",
      ...(o.kubeconfig === undefined ? [] : [`--kubeconfig=${o.kubeconfig}`]),
    ],
    { ready: () => answers(`http://127.0.0.1:${o.ports.healthz}/healthz`), timeoutMs: 120_000 },
  );
}
