/** GetContainerEvents: each change of a container or sandbox, with the statuses right after it. */
import { type ContainerEventResponseInit, ContainerEventType } from "../../cri-api/index.ts";
import type { Container } from "../container/container.ts";
import { RuntimeError } from "../errors/runtime-error.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Collection } from "../store/collection.ts";
import { wireContainerStatus, wireSandboxStatus } from "./wire/status.ts";

export type Change = "created" | "started" | "stopped" | "deleted";

/** Events a subscriber may be behind; a kubelet reads at once, or is gone. */
const maxQueued = 1024;

const eventTypes: Readonly<Record<Change, number>> = {
  created: ContainerEventType.CONTAINER_CREATED_EVENT,
  started: ContainerEventType.CONTAINER_STARTED_EVENT,
  stopped: ContainerEventType.CONTAINER_STOPPED_EVENT,
  deleted: ContainerEventType.CONTAINER_DELETED_EVENT,
};

interface Subscriber {
  readonly queue: ContainerEventResponseInit[];
  overflown: boolean;
  wake: () => void;
}

export class EventStream {
  readonly #subscribers = new Set<Subscriber>();
  readonly #sandboxes: Collection<Sandbox>;
  readonly #containers: Collection<Container>;
  readonly #nowNs: () => bigint;

  constructor(deps: {
    sandboxes: Collection<Sandbox>;
    containers: Collection<Container>;
    nowNs: () => bigint;
  }) {
    this.#sandboxes = deps.sandboxes;
    this.#containers = deps.containers;
    this.#nowNs = deps.nowNs;
  }

  /**
   * Tells every subscriber. `id` is a container's or a sandbox's: a kubelet takes both. `before` is
   * the sandbox as it was, for one that is no longer there (a kubelet ignores events without status).
   */
  tell(id: string, sandboxId: string, change: Change, before?: Sandbox): void {
    if (this.#subscribers.size === 0) return;
    const sandbox = this.#sandboxes.find(sandboxId) ?? before;
    const event: ContainerEventResponseInit = {
      containerId: id,
      containerEventType: eventTypes[change],
      createdAt: this.#nowNs(),
      podSandboxStatus: sandbox === undefined ? undefined : wireSandboxStatus(sandbox),
      containersStatuses: [...this.#containers.values()]
        .filter((c) => c.sandboxId === sandboxId && c.state !== "creating")
        .map(wireContainerStatus),
    };
    for (const subscriber of this.#subscribers) {
      if (subscriber.queue.length >= maxQueued) subscriber.overflown = true;
      else subscriber.queue.push(event);
      subscriber.wake();
    }
  }

  /** Every event from now on, in order. @throws RuntimeError `resource-exhausted` for a reader too slow. */
  async *subscribe(signal: AbortSignal): AsyncIterable<ContainerEventResponseInit> {
    const subscriber: Subscriber = { queue: [], overflown: false, wake: () => undefined };
    this.#subscribers.add(subscriber);
    const onAbort = () => subscriber.wake();
    signal.addEventListener("abort", onAbort);
    try {
      while (!signal.aborted) {
        const event = subscriber.queue.shift();
        if (event !== undefined) {
          yield event;
        } else if (subscriber.overflown) {
          throw new RuntimeError(
            "resource-exhausted",
            `reader of events is more than ${maxQueued} behind: list, then subscribe again`,
          );
        } else {
          await new Promise<void>((wake) => {
            subscriber.wake = wake;
          });
        }
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#subscribers.delete(subscriber);
    }
  }
}
