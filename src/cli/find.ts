/** From what a person types (name, id, beginning of an id) to the one thing that is meant. */
import { type Container, ContainerState, type PodSandbox, runtimeService } from "../../cri-api/index.ts";
import { CliError } from "./cli-error.ts";
import type { Daemon } from "./client.ts";
import { printable, shortId } from "./output.ts";

interface Named {
  readonly id: string;
  readonly names: readonly string[];
  /** Of several with one name the newest running one is meant. */
  readonly rank: number;
}

/** @throws CliError when there is none, or when several could be meant */
export function pick<T extends Named>(what: string, ref: string, all: readonly T[]): T {
  const exact = all.find(({ id }) => id === ref);
  if (exact) return exact;
  const named = all.filter(({ names }) => names.includes(ref)).toSorted((a, b) => b.rank - a.rank);
  const found =
    named.length > 0 ? named : /^[0-9a-f]+$/.test(ref) ? all.filter(({ id }) => id.startsWith(ref)) : [];
  const [first, second] = found;
  if (!first)
    throw new CliError(
      `no ${what} is called ${printable(ref)} and no id begins so: see kobako ${what === "pod" ? "pods" : "ps -a"}`,
    );
  if (second && first.rank === second.rank) {
    const list = found.map((one) => `${shortId(one.id)} (${printable(one.names.at(-1) ?? "")})`).join(", ");
    throw new CliError(`${printable(ref)} could be several: ${list}; give more of the id`);
  }
  return first;
}

/** @throws CliError */
export async function findPod(daemon: Daemon, ref: string): Promise<PodSandbox> {
  const { items } = await daemon.call(runtimeService.listPodSandbox, {});
  const all = items.map((pod) => ({ pod, id: pod.id, names: podNames(pod), rank: 0 }));
  return pick("pod", ref, all).pod;
}

function podNames({ metadata }: PodSandbox): string[] {
  return metadata ? [metadata.name, `${metadata.namespace}/${metadata.name}`] : [];
}

/** Containers may be named as NAME, POD/NAME, by id, or as POD where a pod has one only. @throws CliError */
export async function findContainer(daemon: Daemon, ref: string): Promise<Container> {
  const [{ containers }, { items }] = await Promise.all([
    daemon.call(runtimeService.listContainers, {}),
    daemon.call(runtimeService.listPodSandbox, {}),
  ]);
  const pods = new Map(items.map((pod) => [pod.id, pod.metadata?.name ?? ""]));
  const namesInPod = Map.groupBy(containers, ({ podSandboxId }) => podSandboxId);
  const isAlone = ({ podSandboxId, metadata }: Container) =>
    namesInPod.get(podSandboxId)?.every((other) => other.metadata?.name === metadata?.name) ?? false;
  const all = containers.map((container) => {
    const name = container.metadata?.name ?? "";
    const pod = pods.get(container.podSandboxId) ?? "";
    const isRunning = container.state === ContainerState.CONTAINER_RUNNING;
    // Attempts count up: of the containers that one name has had in a pod, the last is meant.
    const rank = (isRunning ? 1_000_000 : 0) + (container.metadata?.attempt ?? 0);
    return {
      container,
      id: container.id,
      names: [name, ...(isAlone(container) ? [pod] : []), `${pod}/${name}`],
      rank,
    };
  });
  return pick("container", ref, all).container;
}
