/** GetContainerEvents: each change of a container or sandbox, with the statuses right after it. */
import { type ContainerEventResponseInit, ContainerEventType } from "../../cri-api/index.ts";
import type { Container } from "../container/container.ts";
import { EventHub } from "../events/event-hub.ts";
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

export class EventStream {
  readonly #hub = new EventHub<ContainerEventResponseInit>({ maxQueued });
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
    if (!this.#hub.hasSubscribers) return;
    const sandbox = this.#sandboxes.find(sandboxId) ?? before;
    this.#hub.publish({
      containerId: id,
      containerEventType: eventTypes[change],
      createdAt: this.#nowNs(),
      podSandboxStatus: sandbox === undefined ? undefined : wireSandboxStatus(sandbox),
      containersStatuses: [...this.#containers.values()]
        .filter((c) => c.sandboxId === sandboxId && c.state !== "creating")
        .map(wireContainerStatus),
    });
  }

  /** Every event from now on, in order. @throws RuntimeError `resource-exhausted` for a reader too slow. */
  subscribe(signal: AbortSignal): AsyncIterable<ContainerEventResponseInit> {
    return this.#hub.subscribe(signal);
  }
}
