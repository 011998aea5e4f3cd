/**
 * Builds every room of one node and wires them. Reads as the order of a start: folders, lock, state,
 * mechanisms, lifecycles. Nothing runs yet when it returns; `recover` and the server come after.
 */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { chmod, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Cgroups } from "./cgroup/cgroup.ts";
import type { Config } from "./config/config.ts";
import { type InstanceNames, instanceNames } from "./config/instance.ts";
import { registryHosts } from "./config/registry-hosts.ts";
import { version } from "./config/version.ts";
import type { Container } from "./container/container.ts";
import { ExecBases } from "./container/exec.ts";
import { Checkpoints } from "./container/checkpoint.ts";
import { ContainerLifecycle } from "./container/lifecycle.ts";
import { containerRows } from "./container/rows.ts";
import { readHostFacts } from "./container/spec/host.ts";
import { SpecMaker } from "./container/spec-maker.ts";
import { LayerStore } from "./content/layer-store.ts";
import { RuntimeError } from "./errors/runtime-error.ts";
import { Images } from "./image/images.ts";
import { storedRecords } from "./image/stored-records.ts";
import type { Log } from "./log/log.ts";
import { Network } from "./network/network.ts";
import { hostPlatform, parsePlatform, type Platform } from "./oci/platform.ts";
import { wallClock } from "./process/clock.ts";
import { run, useSpawner } from "./process/spawn.ts";
import { RegistryClient } from "./registry/client.ts";
import type { RuntimeHandler } from "./runtime/handler.ts";
import { makeHandlers, retiredHandler } from "./runtime/handlers.ts";
import type { HandlerSettings, HandlerTools } from "./runtime/settings.ts";
import { UserNamespaces } from "./runtime/user-namespaces.ts";
import { type CgroupPlaces, cgroupPlaces } from "./sandbox/cgroup-places.ts";
import { Connections } from "./sandbox/connections.ts";
import { KeyedLock } from "./sandbox/keyed-lock.ts";
import { SandboxLifecycle } from "./sandbox/lifecycle.ts";
import { sandboxRows } from "./sandbox/rows.ts";
import type { Sandbox } from "./sandbox/sandbox.ts";
import { EventStream } from "./server/event-stream.ts";
import { Snapshotter } from "./snapshot/snapshotter.ts";
import { Collection } from "./store/collection.ts";
import { lockFolder } from "./store/lock.ts";
import { Store } from "./store/store.ts";

/** Where the native programs are: beside the command, as built and as packaged. */
export interface Programs {
  readonly monitor: string;
  readonly unpack: string;
  readonly spawner: string;
  readonly cniFolder: string;
}

export interface Node extends AsyncDisposable {
  readonly names: InstanceNames;
  readonly config: () => Config;
  readonly sandboxes: Collection<Sandbox>;
  readonly containers: Collection<Container>;
  readonly sandboxLifecycle: SandboxLifecycle;
  readonly containerLifecycle: ContainerLifecycle;
  readonly connections: Connections;
  readonly execBases: ExecBases;
  readonly events: EventStream;
  readonly handlers: ReadonlyMap<string, RuntimeHandler>;
  readonly network: Network;
  readonly images: Images;
  readonly layers: LayerStore;
  readonly snapshots: Snapshotter;
  readonly checkpoints: Checkpoints;
  readonly cgroups: Cgroups;
  readonly places: CgroupPlaces;
  readonly podsFolder: string;
  readonly bootId: string;
  readonly unpin: (path: string, signal: AbortSignal) => Promise<void>;
}

/** A CNI plugin that does not say at once whether it is ready must not keep the node from starting. */
const pluginPatienceMs = 1_000;

/** The stamps of everything that this process says of itself. */
export const nowNs = wallClock();

/**
 * Makes root and state, and holds them for this process before anything in them is looked at.
 * @throws RuntimeError `failed-precondition` when another daemon has one of them.
 */
export async function lockFolders({ root, state }: Config): Promise<Disposable> {
  using undo = new DisposableStack();
  await privateFolder(root);
  undo.use(lockFolder(root, "root"));
  await privateFolder(state);
  undo.use(lockFolder(state, "state"));
  return undo.move();
}

/** Call under `lockFolders`. */
export async function openNode(config: () => Config, log: Log): Promise<Node> {
  const { root, state } = config();
  const programs = findPrograms();
  const names = instanceNames(root);
  await using undo = new AsyncDisposableStack();
  // By its real name: gVisor takes a container's files behind a symbolic link for an attack.
  const realState = realpathSync(state);
  const podsFolder = join(realState, "pods");
  await privateFolder(podsFolder);
  undo.use(useSpawner(programs.spawner, root));

  const store = await Store.open(join(root, "kobako.db"), (message) => log.error(message));
  undo.defer(() => store.close());
  const unreadable = (id: string, error: unknown) =>
    log.error({ id, error }, "record is unreadable: it is left on disk");
  const sandboxes = new Collection<Sandbox>(store, store.table("sandbox", sandboxRows));
  const containers = new Collection<Container>(store, store.table("container", containerRows));
  sandboxes.load(unreadable);
  containers.load(unreadable);

  const driver = config().cgroupDriver === "systemd" ? "systemd" : "cgroupfs";
  if (driver === "systemd" && !existsSync("/run/systemd/system"))
    throw new RuntimeError(
      "failed-precondition",
      'cgroup_driver "systemd": this machine does not run systemd (no /run/systemd/system); leave it out, or set "cgroupfs"',
    );
  const places = cgroupPlaces(driver, names.suffix);
  const stopUnit = async (name: string, signal: AbortSignal): Promise<void> => {
    const { code, stderr } = await run(programs.monitor, ["--stop-unit", name], {}, signal);
    if (code !== 0) throw new RuntimeError("internal", `stop ${name}: ${stderr.toString().trim()}`);
  };
  const cgroups = new Cgroups(undefined, driver === "systemd" ? stopUnit : undefined);
  const layers = new LayerStore({ root: join(root, "layers"), unpackBinary: programs.unpack, log });
  const snapshots = new Snapshotter({ root: join(root, "snapshots"), unpackBinary: programs.unpack, log });
  const checkpoints = new Checkpoints({ folder: join(root, "checkpoints"), snapshots, cgroups, log, nowNs });
  // Before the spawner, whose programs go on when it ends: a reset would meet a folder that is being freed.
  undo.defer(async () => {
    await Promise.all([layers.close(), snapshots.close()]);
  });
  const network = new Network({
    config: {
      ...config().network,
      instance: names,
      cacheDir: join(root, "network"),
      pluginDir: programs.cniFolder,
    },
    log,
  });
  undo.defer(() => network.close());
  await Promise.all([
    layers.open(),
    snapshots.open(),
    checkpoints.open(),
    network.open(AbortSignal.timeout(pluginPatienceMs)),
  ]);

  const images = new Images({
    layers,
    registry: new RegistryClient({
      hosts: () => registryHosts(config().registries),
      userAgent: `kobako/${version}`,
    }),
    records: storedRecords(store, unreadable),
    platform: (handler) => platformOf(config(), handler),
    log,
    inUse: (imageId) => containers.values().some((container) => container.imageId === imageId),
  });
  await images.load();
  undo.defer(() => images.close());

  const tools = handlerTools(config(), programs, join(realState, "cache"), log);
  const handlers = await makeHandlers(handlerSettings(config()), tools);
  const connections = new Connections();
  undo.defer(() => connections.closeAll());
  const events = new EventStream({ sandboxes, containers, nowNs });
  const locks = new KeyedLock();
  const fingerprintKey = await volatileKey(join(state, "fingerprint.key"));
  const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  const unpin = async (path: string, signal: AbortSignal): Promise<void> => {
    if (!existsSync(path)) return; // the monitor has done it, unless it died
    const { code, stderr } = await run(programs.monitor, ["--unpin", path], {}, signal);
    if (code !== 0) throw new RuntimeError("internal", `unpin ${path}: ${stderr.toString().trim()}`);
  };
  const sandboxLifecycle = new SandboxLifecycle({
    sandboxes,
    connections,
    handlers,
    retired: retiredHandler(tools),
    defaultHandler: config().defaultRuntime,
    network,
    cgroups,
    locks,
    log,
    bootId,
    fingerprintKey,
    podsFolder,
    netnsPrefix: names.netnsPrefix,
    places,
    unpin,
    allowedAnnotations: (handler) => runtimeOf(config(), handler).annotations,
    nowNs,
    changed: (id, change, before) => events.tell(id, id, change, before),
  });
  const execBases = new ExecBases();
  const containerLifecycle = new ContainerLifecycle({
    containers,
    sandboxes,
    connections,
    images,
    layers,
    snapshots,
    checkpoints,
    snapshotOptions: (handler) => runtimeOf(config(), handler).snapshotOptions,
    specs: new SpecMaker({
      host: readHostFacts(cgroups.facts),
      containers,
      allowedAnnotations: (handler) => runtimeOf(config(), handler).annotations,
      // The other types get a path, and say it to their program as that takes it.
      cgroupsPath: (handler, cgroup) =>
        runtimeOf(config(), handler).type === "builtin" ? places.specPath(cgroup) : cgroup,
      featuresOf: async (handler, signal) => (await handlers.get(handler)?.info(signal))?.features,
      log,
    }),
    execBases,
    cgroups,
    places,
    locks,
    log,
    fingerprintKey,
    nowNs,
    changed: (id, change, before) =>
      events.tell(id, (before ?? containers.find(id))?.sandboxId ?? "", change),
  });
  sandboxLifecycle.bindContainers(containerLifecycle);

  const owned = undo.move();
  return {
    names,
    config,
    sandboxes,
    containers,
    sandboxLifecycle,
    containerLifecycle,
    connections,
    execBases,
    events,
    handlers,
    network,
    images,
    layers,
    snapshots,
    checkpoints,
    cgroups,
    places,
    podsFolder,
    bootId,
    unpin,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** `builtin` is always there, and first. */
function handlerSettings(config: Config): HandlerSettings[] {
  const names = new Set(["builtin", ...Object.keys(config.runtimes)]);
  return [...names].map((name) => {
    const { type, path, options, timeout, rootfs, rootfsSize } = runtimeOf(config, name);
    const diskBytes = rootfs === "block" ? rootfsSize : undefined;
    return { name, type, path, options, timeoutMs: timeout, diskBytes };
  });
}

function handlerTools(config: Config, programs: Programs, cacheFolder: string, log: Log): HandlerTools {
  const { flushInterval, flushBytes } = config.logs;
  return {
    monitorBinary: programs.monitor,
    userNamespaces: new UserNamespaces(programs.monitor, [
      join(config.root, "layers"),
      join(config.root, "snapshots"),
    ]),
    logFlush: flushInterval === 0 ? undefined : { intervalMs: flushInterval, bytes: flushBytes },
    cacheFolder,
    log,
  };
}

/** What images for this handler are made for; "" is the default handler. */
function platformOf(config: Config, handler: string): Platform {
  const { platform } = runtimeOf(config, handler || config.defaultRuntime);
  return platform === "" ? hostPlatform() : parsePlatform(platform);
}

/** The section of a handler. One that is not configured any more, but still has pods, has the defaults. */
function runtimeOf(config: Config, handler: string): Config["runtimes"][string] {
  const found = config.runtimes[handler] ?? config.runtimes.builtin;
  if (found === undefined) throw new Error("builtin is always configured");
  return found;
}

/** Folders that only root may enter, also after an upgrade from open modes. */
async function privateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await chmod(path, 0o700);
}

/** A key that lives as long as the volatile folder: hashes keyed with it tell nothing after a reboot. */
async function volatileKey(path: string): Promise<Uint8Array> {
  const bytes = 32;
  const known = await readFile(path).catch(() => undefined);
  if (known?.length === bytes) return known;
  await rm(path, { force: true });
  const key = randomBytes(bytes);
  await writeFile(path, key, { mode: 0o600, flag: "wx" });
  return key;
}

/** build/lib/kobako/kobako.mjs stands beside build/bin and build/cni, in packages likewise. */
function findPrograms(): Programs {
  const prefix = dirname(dirname(dirname(import.meta.filename)));
  return {
    monitor: join(prefix, "bin/kobako-monitor"),
    unpack: join(prefix, "bin/kobako-unpack"),
    spawner: join(prefix, "bin/kobako-spawner"),
    cniFolder: join(prefix, "cni"),
  };
}
