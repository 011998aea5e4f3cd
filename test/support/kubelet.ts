/** A kubelet's own API, spoken as its API server does: HTTPS with a client certificate. */
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { Exec, KubeConfig, type V1ContainerStatus, type V1Pod, type V1Status } from "@kubernetes/client-node";
import { WebSocketHandler } from "@kubernetes/client-node/dist/web-socket-handler.js";
import type { Node } from "../../hack/kubernetes/node.ts";
import { nodeName } from "../../hack/kubernetes/node.ts";
import { waitFor } from "./wait.ts";

export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  /** 0 for success. */
  readonly code: number;
}

/** The exit code in the status that ends a stream. Source: remotecommand v4. */
export function exitCode(status: V1Status): number {
  if (status.status === "Success") return 0;
  const cause = status.details?.causes?.find(({ reason }) => reason === "ExitCode");
  if (cause?.message === undefined)
    throw new Error(`no exit code: ${status.message ?? status.reason ?? "?"}`);
  return Number(cause.message);
}

export class KubeletApi {
  readonly #node: Node;

  constructor(node: Node) {
    this.#node = node;
  }

  get #url(): string {
    return `https://127.0.0.1:${this.#node.ports.kubelet}`;
  }

  /** @throws for any status but 200. */
  async get(path: string): Promise<string> {
    const { pki } = this.#node;
    const { cert, key } = pki.certificate("client");
    return await new Promise((resolve, reject) => {
      const call = request(
        `${this.#url}${path}`,
        { ca: readFileSync(pki.ca), cert: readFileSync(cert), key: readFileSync(key), timeout: 10_000 },
        (response) => {
          text(response).then((body) => {
            if (response.statusCode === 200) resolve(body);
            else reject(new Error(`GET ${path}: ${response.statusCode} ${body}`));
          }, reject);
        },
      );
      call.once("error", reject);
      call.once("timeout", () => call.destroy(new Error(`GET ${path}: no answer`)));
      call.end();
    });
  }

  async pods(): Promise<readonly V1Pod[]> {
    return (JSON.parse(await this.get("/pods")) as { items: V1Pod[] }).items;
  }

  /** A static pod by the name in its manifest. */
  async pod(name: string): Promise<V1Pod | undefined> {
    return (await this.pods()).find(({ metadata }) => metadata?.name === `${name}-${nodeName}`);
  }

  /** Waits until `holds` is true of the pod; the time-out shows its last status. */
  async podThat(
    name: string,
    what: string,
    holds: (pod: V1Pod) => boolean,
    timeoutMs = 60_000,
  ): Promise<V1Pod> {
    let last: V1Pod | undefined;
    try {
      return await waitFor(
        `pod ${name} ${what}`,
        async () => {
          last = await this.pod(name);
          return last !== undefined && holds(last) ? last : undefined;
        },
        { timeoutMs, intervalMs: 200, retryErrors: true },
      );
    } catch (cause) {
      throw new Error(`pod ${name}: not ${what}: ${JSON.stringify(last?.status, null, 1)}`, { cause });
    }
  }

  async ready(name: string, timeoutMs?: number): Promise<V1Pod> {
    return await this.podThat(name, "ready", isReady, timeoutMs);
  }

  async logs(name: string, container: string): Promise<string> {
    return await this.get(`/containerLogs/default/${name}-${nodeName}/${container}`);
  }

  /** Over a WebSocket to the kubelet, which asks the runtime. */
  async exec(
    name: string,
    container: string,
    command: readonly string[],
    stdin?: string,
  ): Promise<ExecResult> {
    const { pki } = this.#node;
    const { cert, key } = pki.certificate("client");
    const config = new KubeConfig();
    config.loadFromClusterAndUser(
      { name: "kubelet", server: this.#url, caFile: pki.ca, skipTLSVerify: false },
      { name: "client", certFile: cert, keyFile: key },
    );
    const sockets = new WebSocketHandler(config);
    const query = new URLSearchParams(command.map((word) => ["command", word]));
    for (const name of ["output", "error", ...(stdin === undefined ? [] : ["input"])]) query.set(name, "1");
    const path = `/exec/default/${name}-${nodeName}/${container}?${query}`;
    const exec = new Exec(config, { connect: (_, ...handlers) => sockets.connect(path, ...handlers) });
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const input = stdin === undefined ? null : new PassThrough().end(stdin);
    const { promise, resolve, reject } = Promise.withResolvers<V1Status>();
    const socket = await exec.exec("", "", "", [...command], stdout, stderr, input, false, resolve);
    socket.on("close", () => reject(new Error("the stream ended without a status")));
    const status = await promise;
    stdout.end();
    stderr.end();
    return { stdout: await text(stdout), stderr: await text(stderr), code: exitCode(status) };
  }
}

export function isReady(pod: V1Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
}

export function containerStatus(pod: V1Pod, name: string): V1ContainerStatus | undefined {
  const { containerStatuses, initContainerStatuses, ephemeralContainerStatuses } = pod.status ?? {};
  return [
    ...(containerStatuses ?? []),
    ...(initContainerStatuses ?? []),
    ...(ephemeralContainerStatuses ?? []),
  ].find((status) => status.name === name);
}

/** Container ids by name: what a restart changes. */
export function containerIds(pod: V1Pod): Record<string, string> {
  const { containerStatuses, initContainerStatuses } = pod.status ?? {};
  return Object.fromEntries(
    [...(containerStatuses ?? []), ...(initContainerStatuses ?? [])].map(({ name, containerID }) => [
      name,
      containerID ?? "",
    ]),
  );
}
