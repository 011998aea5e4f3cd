/**
 * What a daemon does at its start: takes up what runs, finishes or undoes what a former one left
 * half done, and gives back what nobody owns. Every step may be cut short and is repeated next time.
 * Order: sandboxes (so that nobody is killed by mistake), then what belongs to none of them.
 */
import { readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Log } from "../log/log.ts";
import type { Network } from "../network/network.ts";
import { killNow } from "../process/kill.ts";
import { parentPid } from "../process/stat.ts";
import type { RuntimeHandler } from "../runtime/handler.ts";
import type { CgroupPlaces } from "../sandbox/cgroup-places.ts";
import { type CgroupTree, endCgroup } from "../sandbox/cgroup-tree.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Snapshotter } from "../snapshot/snapshotter.ts";
import type { Collection } from "../store/collection.ts";
import type { Checkpoints } from "./checkpoint.ts";
import type { Container } from "./container.ts";
import type { ContainerLifecycle } from "./lifecycle.ts";

/** Pods looked at side by side: enough to hide the waiting, few enough not to flood a small board. */
const parallel = 16;
const stepTimeoutMs = 60_000;
/** For a sandbox that nobody has a record of: a living monitor ends its containers at once. */
const abandonTimeoutMs = 3_000;
/** How long a pod that does not answer may keep the others waiting; after that it is looked at in the background. */
const patienceMs = 1_500;

export interface RecoverDeps {
  readonly sandboxes: Collection<Sandbox>;
  readonly containers: Collection<Container>;
  readonly sandboxLifecycle: SandboxLifecycle;
  readonly containerLifecycle: ContainerLifecycle;
  readonly snapshots: Snapshotter;
  readonly checkpoints: Checkpoints;
  readonly network: Network;
  readonly cgroups: CgroupTree & {
    /** Processes in and below the cgroup, none when it does not exist. */
    processes(path: string): Promise<readonly number[]>;
    /** Names of the cgroups right below. */
    children(path: string): Promise<readonly string[]>;
  };
  readonly handlers: ReadonlyMap<string, RuntimeHandler>;
  readonly log: Log;
  readonly bootId: string;
  readonly podsFolder: string;
  readonly netnsPrefix: string;
  readonly places: CgroupPlaces;
  readonly unpin: (path: string, signal: AbortSignal) => Promise<void>;
}

/**
 * Brings what is recorded and what the kernel has into agreement. One bad record stops nobody else,
 * and one hanging pod only for `patienceMs`: `rest` settles when it is done, too.
 */
export async function recover(deps: RecoverDeps): Promise<{ rest: Promise<void> }> {
  const { sandboxes, containers, sandboxLifecycle, containerLifecycle, log } = deps;
  for (const sandbox of sandboxes.values()) sandboxLifecycle.adopt(sandbox);
  for (const container of containers.values()) containerLifecycle.adopt(container);
  // First of all, and before new pods are made: a monitor is known by its row only once its pod is ready.
  await abandonUnknown(deps).catch((error: unknown) => log.error({ error }, "garbage: unknown sandboxes"));
  await endMonitors(deps).catch((error: unknown) => log.error({ error }, "garbage: monitors"));
  const rest = inParallel([...sandboxes.values()], async (sandbox) => {
    try {
      await recoverSandbox(deps, sandbox);
    } catch (error) {
      log.error(
        { pod: sandbox.id, error },
        "recover a sandbox: it is tried again at the next start, or by a stop",
      );
    }
  });
  const late = new AbortController();
  const patience = setTimeout(patienceMs, undefined, { signal: late.signal }).catch(() => {});
  await Promise.race([rest, patience]);
  late.abort();
  for (const container of containers.values()) {
    if (sandboxes.find(container.sandboxId) !== undefined) continue;
    log.warn({ container: container.id }, "container of no sandbox: removed");
    await containerLifecycle.undoCreation(container).catch((error: unknown) => {
      log.error(
        { container: container.id, error },
        "remove a container of no sandbox: the next start repeats it",
      );
    });
  }
  await collectGarbage(deps);
  return { rest };
}

async function recoverSandbox(deps: RecoverDeps, sandbox: Sandbox): Promise<void> {
  const { sandboxLifecycle, containerLifecycle, log } = deps;
  const signal = AbortSignal.timeout(stepTimeoutMs);
  switch (sandbox.state) {
    case "creating":
      log.info({ pod: sandbox.id }, "half made sandbox is undone");
      await sandboxLifecycle.undo(sandbox.id);
      return;
    case "removing":
      await sandboxLifecycle.remove(sandbox.id, signal);
      return;
    case "notready":
    case "ready":
      break;
  }
  if (sandbox.bootId !== deps.bootId) await sandboxLifecycle.lose(sandbox.id, "NodeRebooted");
  else await sandboxLifecycle.takeUp(sandbox.id);
  for (const container of containerLifecycle.ofSandbox(sandbox.id)) {
    if (container.state === "removing") await containerLifecycle.remove(container.id, signal);
    else if (container.state === "creating") await containerLifecycle.undoCreation(container);
  }
}

/** Gives back what belongs to no sandbox: monitors, folders, pins, snapshots, cgroups, addresses. */
async function collectGarbage(deps: RecoverDeps): Promise<void> {
  const { sandboxes, containers, snapshots, cgroups, network, log } = deps;
  const signal = AbortSignal.timeout(stepTimeoutMs);
  const step = async (what: string, work: () => Promise<void>): Promise<void> => {
    await work().catch((error: unknown) => log.error({ error }, `garbage: ${what}`));
  };
  const folders = new Set([...sandboxes.values()].map((s) => basename(s.folder)));
  await step("pod folders", async () => {
    for (const name of await readdir(deps.podsFolder)) {
      if (!folders.has(name)) await rm(join(deps.podsFolder, name), { recursive: true, force: true });
    }
  });
  await step("pod cgroups", async () => {
    for (const name of await cgroups.children(deps.places.pods)) {
      if (folders.has(deps.places.podOf(name))) continue;
      await endCgroup(cgroups, `${deps.places.pods}/${name}`, signal);
    }
  });
  await step("network namespaces", async () => {
    const pins = new Set([...sandboxes.values()].map((s) => s.netnsPath));
    const prefix = `${basename(deps.netnsPrefix)}-`;
    const folder = dirname(deps.netnsPrefix);
    for (const name of await readdir(folder).catch(() => [])) {
      // Other instances' names go on with a suffix of their own before the id.
      if (!name.startsWith(prefix) || !/^[0-9a-f]{16}$/.test(name.slice(prefix.length))) continue;
      if (!pins.has(join(folder, name))) await deps.unpin(join(folder, name), signal);
    }
  });
  await step("checkpoints", () => deps.checkpoints.sweep((id) => containers.find(id) !== undefined));
  await step("snapshots", async () => {
    for (const id of snapshots.list()) if (containers.find(id) === undefined) await snapshots.remove(id);
  });
  const withNetwork = [...sandboxes.values()].filter(
    (s) => s.netnsPath !== undefined && s.bootId === deps.bootId,
  );
  await step("network", () =>
    network.gc(
      withNetwork.map((s) => s.id),
      signal,
    ),
  );
}

/** Ends sandboxes without a record, such as those of a database that is gone: their containers are in cgroups of others. */
async function abandonUnknown({ sandboxes, handlers, podsFolder, log }: RecoverDeps): Promise<void> {
  const known = new Set([...sandboxes.values()].filter((s) => s.monitor !== undefined).map((s) => s.folder));
  const folders = (await readdir(podsFolder)).map((name) => join(podsFolder, name));
  await inParallel(
    folders.filter((folder) => !known.has(folder)),
    async (folder) => {
      for (const handler of handlers.values()) {
        try {
          await handler.abandon(folder, AbortSignal.timeout(abandonTimeoutMs));
          log.warn({ folder }, "sandbox without a record: ended");
          return;
        } catch (error) {
          log.debug({ folder, handler: handler.name, error }, "no sandbox of this handler there");
        }
      }
    },
  );
}

/**
 * Kills monitors that no sandbox owns: those of half made sandboxes (their pid was never recorded)
 * and of rows that are gone. They sit in a cgroup of this instance only, with the runners that work for them: what a
 * runner of an owned one does for a former daemon, it does to its end.
 */
async function endMonitors(deps: RecoverDeps): Promise<void> {
  const owned = new Set([...deps.sandboxes.values()].map((s) => s.monitor?.pid));
  const isOwned = (pid: number | undefined): boolean =>
    pid !== undefined && pid > 1 && (owned.has(pid) || isOwned(parentPid(pid)));
  for (const pid of await deps.cgroups.processes(deps.places.monitors)) {
    const parent = parentPid(pid);
    if (parent === undefined || owned.has(pid) || isOwned(parent)) continue;
    deps.log.warn({ pid }, "monitor of no sandbox: ended");
    killNow(pid);
  }
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: Math.min(parallel, items.length) }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}
