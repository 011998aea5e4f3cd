/**
 * What a daemon does at its start: takes up what runs, finishes or undoes what a former one left
 * half done, and gives back what nobody owns. Every step may be cut short and is repeated next time.
 * Order: sandboxes (so that nobody is killed by mistake), then what belongs to none of them.
 * New pods are made while the rest of it goes on. What belongs to nobody is listed before the first of them: their ids
 * are random, so that nothing of theirs is in the list. What has no list, the network's GC, is done by then.
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
/** Our own plugins take milliseconds; another's lock may hold them up. */
const gcTimeoutMs = 3_000;
/** How long a pod that does not answer, or garbage that does not go, may keep the others waiting: then they are served. */
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
  /** The daemon is asked to end: collecting ends at once. */
  readonly signal: AbortSignal;
}

/** Things of one kind that belong to nobody. */
interface Garbage {
  readonly what: string;
  readonly names: readonly string[];
  remove(name: string, signal: AbortSignal): Promise<void>;
}

/**
 * Brings what is recorded and what the kernel has into agreement. One bad record stops nobody else,
 * and one hanging pod or plugin only for `patienceMs`: `rest` settles when it is done, too. Never throws for garbage.
 */
export async function recover(deps: RecoverDeps): Promise<{ rest: Promise<void> }> {
  const { sandboxes, containers, sandboxLifecycle, containerLifecycle, log, signal } = deps;
  for (const sandbox of sandboxes.values()) sandboxLifecycle.adopt(sandbox);
  for (const container of containers.values()) containerLifecycle.adopt(container);
  // First of all, and before new pods are made: a monitor is known by its row only once its pod is ready.
  await abandonUnknown(deps).catch((error: unknown) => log.error({ error }, "garbage: unknown sandboxes"));
  await endMonitors(deps).catch((error: unknown) => log.error({ error }, "garbage: monitors"));
  const garbage = await findGarbage(deps);
  const taken = inParallel([...sandboxes.values()], async (sandbox) => {
    try {
      await recoverSandbox(deps, sandbox);
    } catch (error) {
      log.error(
        { pod: sandbox.id, error },
        "recover a sandbox: it is tried again at the next start, or by a stop",
      );
    }
  });
  await patiently(taken, signal);
  await collectAddresses(deps).catch((error: unknown) => log.error({ error }, "garbage: addresses"));
  const collected = collect(garbage, deps);
  await patiently(collected, signal);
  return { rest: Promise.all([taken, collected]).then(() => {}) };
}

/** Waits for the end of `work`, but not for long. */
async function patiently(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const done = new AbortController();
  const patience = setTimeout(patienceMs, undefined, { signal: AbortSignal.any([signal, done.signal]) });
  await Promise.race([work, patience.catch(() => {})]);
  done.abort();
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
  // Taken first: what is half made later on, calls of this daemon are making.
  const left = containerLifecycle.ofSandbox(sandbox.id);
  await sandboxLifecycle.takeUp(sandbox.id);
  for (const { id, state } of left) {
    const container = deps.containers.find(id);
    if (container?.state !== state) continue;
    if (state === "creating") await containerLifecycle.undoCreation(container);
    else if (state === "removing")
      await containerLifecycle.remove(id, signal).catch((error: unknown) => {
        log.error({ container: id, error }, "finish a removal: the next call for it does");
      });
  }
}

/** What belongs to no sandbox, in the order in which it goes. */
async function findGarbage(deps: RecoverDeps): Promise<Garbage[]> {
  const { sandboxes, containers, containerLifecycle, sandboxLifecycle, snapshots, cgroups, log } = deps;
  const known = [...sandboxes.values()];
  const folders = new Set(known.map((s) => basename(s.folder)));
  const pins = new Set(known.map((s) => s.netnsPath));
  const pinFolder = dirname(deps.netnsPrefix);
  const pinPrefix = `${basename(deps.netnsPrefix)}-`;
  const found: Garbage[] = [];
  const look = async (
    what: string,
    list: () => Iterable<string> | Promise<Iterable<string>>,
    isGarbage: (name: string) => boolean,
    remove: Garbage["remove"],
  ): Promise<void> => {
    try {
      found.push({ what, names: [...(await list())].filter(isGarbage), remove });
    } catch (error) {
      log.error({ error }, `garbage: ${what}`);
    }
  };
  await look(
    "container of no sandbox",
    () => containers.values().map(({ id }) => id),
    (id) => sandboxes.find(containers.find(id)?.sandboxId ?? "") === undefined,
    async (id) => {
      const container = containers.find(id);
      if (container !== undefined) await containerLifecycle.undoCreation(container);
    },
  );
  await look(
    "pod folder",
    () => readdir(deps.podsFolder),
    (name) => !folders.has(name),
    (name) => rm(join(deps.podsFolder, name), { recursive: true, force: true }),
  );
  await look(
    "pod cgroup",
    () => cgroups.children(deps.places.pods),
    (name) => !folders.has(deps.places.podOf(name)),
    (name, signal) => endCgroup(cgroups, `${deps.places.pods}/${name}`, signal),
  );
  await look(
    "network namespace",
    () => readdir(pinFolder).catch(() => []),
    (name) =>
      // Other instances' names go on with a suffix of their own before the id.
      name.startsWith(pinPrefix) &&
      /^[0-9a-f]{16}$/.test(name.slice(pinPrefix.length)) &&
      !pins.has(join(pinFolder, name)),
    (name, signal) => deps.unpin(join(pinFolder, name), signal),
  );
  await look(
    "snapshot",
    () => snapshots.list(),
    (id) => containers.find(id) === undefined,
    (id) => snapshots.remove(id),
  );
  await look(
    "network of a sandbox that is gone",
    () => deps.network.attached(),
    (id) => isGone(deps, id),
    (id, signal) => sandboxLifecycle.detach(id, signal),
  );
  return found;
}

/** Removes all of it, each thing within its own time. Never throws. */
async function collect(garbage: readonly Garbage[], { checkpoints, containers, log, signal }: RecoverDeps) {
  for (const { what, names, remove } of garbage) {
    await inParallel(names, async (name) => {
      try {
        signal.throwIfAborted();
        await remove(name, AbortSignal.any([signal, AbortSignal.timeout(stepTimeoutMs)]));
        log.info({ name }, `${what}: given back`);
      } catch (error) {
        log.error({ name, error }, `${what}: the next start tries it again`);
      }
    });
  }
  await checkpoints
    .sweep((id) => containers.find(id) !== undefined)
    .catch((error: unknown) => log.error({ error }, "garbage: checkpoints"));
}

/** Whether nobody else gives the sandbox's network back: no pod is left of it, or none of this boot. */
function isGone({ sandboxes, bootId }: RecoverDeps, id: string): boolean {
  const sandbox = sandboxes.find(id);
  if (sandbox === undefined) return true;
  return (sandbox.state === "ready" || sandbox.state === "notready") && sandbox.bootId !== bootId;
}

/** Ends before new pods are made: their addresses are in no list that it has. */
async function collectAddresses({ sandboxes, bootId, network, signal }: RecoverDeps): Promise<void> {
  const attached = [...sandboxes.values()].filter((s) => s.netnsPath !== undefined && s.bootId === bootId);
  await network.gc(
    attached.map((s) => s.id),
    AbortSignal.any([signal, AbortSignal.timeout(gcTimeoutMs)]),
  );
}

/** Ends sandboxes without a record, such as those of a database that is gone: their containers are in cgroups of others. */
async function abandonUnknown({ sandboxes, handlers, podsFolder, log, signal }: RecoverDeps): Promise<void> {
  // Of a half made one the row does not say what was begun.
  const known = new Set([...sandboxes.values()].filter((s) => s.state !== "creating").map((s) => s.folder));
  const all = [...handlers.values()];
  const folders = (await readdir(podsFolder)).map((name) => join(podsFolder, name));
  await inParallel(
    folders.filter((folder) => !known.has(folder)),
    async (folder) => {
      // Any ends a monitor that lives; what else there is, is known to the one that keeps a record there.
      const own = all.filter((handler) => handler.hasRecord?.(folder));
      for (const handler of own.length > 0 ? own : all) {
        try {
          await handler.abandon(folder, AbortSignal.any([signal, AbortSignal.timeout(abandonTimeoutMs)]));
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
