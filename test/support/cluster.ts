/** The cluster that hack/cluster test gives (KOBAKO_CLUSTER), as users see it: through @kubernetes/client-node. */
import { randomBytes } from "node:crypto";
import { PassThrough, type Readable, type Writable } from "node:stream";
import { buffer } from "node:stream/consumers";
import {
  AppsV1Api,
  BatchV1Api,
  CoreV1Api,
  Exec,
  KubeConfig,
  NodeV1Api,
  type V1Container,
  type V1Pod,
  type V1PodSpec,
  type V1Status,
} from "@kubernetes/client-node";
import { afterAll, beforeAll } from "vitest";
import { busyboxImage } from "../../hack/kubernetes/images.ts";
import { Node } from "../../hack/kubernetes/node.ts";
import { exitCode, isReady } from "./kubelet.ts";
import { waitFor } from "./wait.ts";

/** What a shell waits with: it ends on SIGTERM at once. */
export const sleeps = "trap 'exit 0' TERM; sleep 100000 & wait";

export function shell(script: string, more: Partial<V1Container> = {}): V1Container {
  return { name: "c", image: busyboxImage, command: ["/bin/sh", "-c", script], ...more };
}

export interface Ran {
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly code: number;
}

export interface RunOptions {
  readonly container?: string;
  readonly stdin?: Readable;
  readonly tty?: boolean;
}

/** One namespace of the cluster. */
export class Namespace {
  readonly name = `t-${randomBytes(4).toString("hex")}`;
  readonly node: Node;
  readonly config = new KubeConfig();
  readonly core: CoreV1Api;
  readonly apps: AppsV1Api;
  readonly batch: BatchV1Api;
  readonly nodes: NodeV1Api;
  #pods = 0;

  constructor(node: Node) {
    this.node = node;
    this.config.loadFromFile(node.adminConfig);
    this.core = this.config.makeApiClient(CoreV1Api);
    this.apps = this.config.makeApiClient(AppsV1Api);
    this.batch = this.config.makeApiClient(BatchV1Api);
    this.nodes = this.config.makeApiClient(NodeV1Api);
  }

  async create(): Promise<void> {
    await this.core.createNamespace({ body: { metadata: { name: this.name } } });
    // A pod is refused until its service account is there.
    await waitFor(
      "the default service account",
      () => this.core.readNamespacedServiceAccount({ namespace: this.name, name: "default" }),
      { retryErrors: true, timeoutMs: 30_000, intervalMs: 100 },
    );
  }

  /** Deletes the namespace and waits for the end of everything in it. */
  async delete(): Promise<void> {
    await this.core.deleteNamespace({ name: this.name });
    await waitFor(
      "the end of the namespace",
      async () =>
        !(await this.core.listNamespace({ fieldSelector: `metadata.name=${this.name}` })).items.length,
      { timeoutMs: 120_000, intervalMs: 200 },
    );
  }

  /** Creates a pod; returns its name. The spec's `restartPolicy` is Never and its grace 2 s unless it says otherwise. */
  async pod(spec: V1PodSpec, metadata: V1Pod["metadata"] = {}): Promise<string> {
    const name = metadata?.name ?? `p${++this.#pods}-${randomBytes(2).toString("hex")}`;
    await this.core.createNamespacedPod({
      namespace: this.name,
      body: {
        metadata: { ...metadata, name },
        spec: { restartPolicy: "Never", terminationGracePeriodSeconds: 2, ...spec },
      },
    });
    return name;
  }

  async read(name: string): Promise<V1Pod> {
    return await this.core.readNamespacedPod({ namespace: this.name, name });
  }

  /** Waits until `holds` is true of the pod; the time-out shows its status and events. */
  async podThat(
    name: string,
    what: string,
    holds: (pod: V1Pod) => boolean,
    timeoutMs = 90_000,
  ): Promise<V1Pod> {
    let last: V1Pod | undefined;
    try {
      return await waitFor(
        what,
        async () => {
          last = await this.read(name);
          return holds(last) ? last : undefined;
        },
        { timeoutMs, intervalMs: 200 },
      );
    } catch (cause) {
      const events = await this.events(name);
      throw new Error(
        `pod ${name}: not ${what}\n${events.join("\n")}\n${JSON.stringify(last?.status, null, 1)}`,
        { cause },
      );
    }
  }

  /** Creates a pod and waits until it is ready. */
  async running(spec: V1PodSpec, metadata?: V1Pod["metadata"]): Promise<V1Pod & { name: string }> {
    const name = await this.pod(spec, metadata);
    return { ...(await this.podThat(name, "ready", isReady)), name };
  }

  /** Creates a pod and waits for its end; returns it with what its container `c` has written. */
  async ended(spec: V1PodSpec): Promise<V1Pod & { name: string; output: string }> {
    const name = await this.pod(spec);
    const over = (pod: V1Pod) => ["Succeeded", "Failed"].includes(pod.status?.phase ?? "");
    const pod = await this.podThat(name, "over", over);
    return { ...pod, name, output: await this.logs(name) };
  }

  /** What a command in a pod of its own writes; the pod must succeed. */
  async output(
    script: string,
    more: Partial<V1Container> = {},
    spec: Partial<V1PodSpec> = {},
  ): Promise<string> {
    const { status, output } = await this.ended({ ...spec, containers: [shell(script, more)] });
    if (status?.phase !== "Succeeded")
      throw new Error(`${script}: ${JSON.stringify(status?.containerStatuses?.[0]?.state)}\n${output}`);
    return output.trimEnd();
  }

  async logs(name: string, container?: string, previous = false): Promise<string> {
    return await this.core.readNamespacedPodLog({
      namespace: this.name,
      name,
      previous,
      ...(container === undefined ? {} : { container }),
    });
  }

  /** "reason: message" of a pod's events. */
  async events(name: string): Promise<string[]> {
    const fieldSelector = `involvedObject.name=${name}`;
    const { items } = await this.core.listNamespacedEvent({ namespace: this.name, fieldSelector });
    return items.map(({ reason, message }) => `${reason}: ${message}`);
  }

  async deletePod(name: string): Promise<void> {
    await this.core.deleteNamespacedPod({ namespace: this.name, name });
  }

  async gone(name: string, timeoutMs = 60_000): Promise<void> {
    await waitFor(
      `the end of pod ${name}`,
      async () => {
        const fieldSelector = `metadata.name=${name}`;
        return !(await this.core.listNamespacedPod({ namespace: this.name, fieldSelector })).items.length;
      },
      { timeoutMs, intervalMs: 100 },
    );
  }

  /** Runs a command in a pod, to its end. */
  async exec(name: string, command: readonly string[], o: RunOptions = {}): Promise<Ran> {
    const exec = new Exec(this.config);
    return await streamed((stdout, stderr, done) =>
      exec.exec(
        this.name,
        name,
        o.container ?? "c",
        [...command],
        stdout,
        o.tty === true ? null : stderr,
        o.stdin ?? null,
        o.tty ?? false,
        done,
      ),
    );
  }

  /** What a shell script in a running pod writes; it must succeed. */
  async sh(name: string, script: string, container = "c"): Promise<string> {
    const { stdout, stderr, code } = await this.exec(name, ["/bin/sh", "-c", script], { container });
    if (code !== 0) throw new Error(`${script}: exit code ${code}\n${stderr}`);
    return stdout.toString().trimEnd();
  }
}

type Connection = Awaited<ReturnType<Exec["exec"]>>;

async function streamed(
  start: (stdout: Writable, stderr: Writable, done: (status: V1Status) => void) => Promise<Connection>,
): Promise<Ran> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const output = Promise.all([buffer(stdout), buffer(stderr)]);
  const { promise, resolve, reject } = Promise.withResolvers<V1Status>();
  const connection = await start(stdout, stderr, resolve);
  connection.on("close", () => reject(new Error("the stream ended without a status")));
  const status = await promise;
  stdout.end();
  stderr.end();
  const [out, err] = await output;
  return { stdout: out, stderr: err.toString(), code: exitCode(status) };
}

/** Registers a namespace for all tests of a file. */
export function useNamespace(): () => Namespace {
  let namespace: Namespace | undefined;
  beforeAll(async () => {
    const { KOBAKO_CLUSTER: folder } = process.env;
    if (folder === undefined) throw new Error("started by hack/cluster test only");
    namespace = new Namespace(await Node.at(folder));
    await namespace.create();
  }, 60_000);
  afterAll(async () => {
    await namespace?.delete();
  }, 150_000);
  return () => {
    if (namespace === undefined) throw new Error("the namespace is made before the first test");
    return namespace;
  };
}
