/** `kobako daemon`: opens the node, takes up what runs, serves, and ends within its time. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { imageService, kobako, runtimeService } from "../cri-api/index.ts";
import { type Config, type ConfigOptions, describeConfig, reloadConfig } from "./config/config.ts";
import { version } from "./config/version.ts";
import { recover } from "./container/recover.ts";
import { RuntimeError } from "./errors/runtime-error.ts";
import { createLogger, type Log } from "./log/log.ts";
import { lockFolders, type Node, nowNs, openNode } from "./node.ts";
import { startServer } from "./server/grpc-server.ts";
import { IdleCollection } from "./server/idle-collection.ts";
import { imageHandlers } from "./server/image-service.ts";
import { runtimeHandlers } from "./server/runtime-service.ts";
import { StatsService } from "./server/stats-service.ts";
import { Stats } from "./stats/stats.ts";
import { StreamingServer } from "./streaming/server.ts";

/** Calls under way get this long after SIGTERM; the whole end takes less than 10 s. */
const callGraceMs = 5_000;
/** Creations go on without their callers; what is not done by then is undone by the next start. */
const creationGraceMs = 3_000;

/** Serves until SIGTERM or SIGINT. Resolves with the exit code. */
export async function runDaemon(config: Config, options: ConfigOptions): Promise<number> {
  const log = createLogger({ level: config.log.level, file: config.log.file || undefined });
  const startedMs = performance.now();
  let current = config;
  const end = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => end.abort(name));
  process.on("SIGHUP", () => {
    current = reload(current, options, log);
  });
  // Its default is death, and nobody has a reason to send it.
  process.on("SIGUSR2", () => log.warn("SIGUSR2 means nothing here"));
  // A call that throws is answered by its wrapper; what arrives here is a bug in a background task.
  // Ending would hurt nobody, but the next call is served as well without it.
  process.on("unhandledRejection", (error) => log.error({ error }, "unhandled rejection"));
  process.on("uncaughtException", (error) => log.error({ error }, "uncaught exception"));

  using _ = await lockFolders(config);
  await using node = await openNode(() => current, log);
  const { rest } = await recover({
    ...node,
    log,
    netnsPrefix: node.names.netnsPrefix,
    signal: end.signal,
  });
  const streaming = await startStreaming(node, log);
  const server = await serve(node, streaming, log);
  log.info(
    {
      socket: server.socketPath,
      version,
      pods: node.sandboxes.size,
      startMs: Math.round(performance.now() - startedMs),
    },
    "serving",
  );

  // Else written at the end of the process only: a daemon that is killed would leave the next one without it.
  flushCompileCache();

  if (!end.signal.aborted) await once(end.signal, "abort");
  log.info({ reason: end.signal.reason }, "ending: pods are left alone");
  await Promise.all([server.close(callGraceMs), streaming.close()]);
  const settled = Promise.all([rest, node.sandboxLifecycle.settled(), node.containerLifecycle.settled()]);
  await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, creationGraceMs).unref())]);
  return 0;
}

/** @throws RuntimeError naming the setting: an address that is not this host's, a port in use, a file that can't be read. */
async function startStreaming(node: Node, log: Log): Promise<StreamingServer> {
  const { address, port, advertised, cert, key } = node.config().streaming;
  if ((cert === "") !== (key === "")) {
    throw new RuntimeError(
      "invalid-argument",
      "streaming.cert and streaming.key go together: set both or none",
    );
  }
  return await StreamingServer.listen({
    address,
    port,
    ...(advertised === "" ? {} : { advertised }),
    ...(cert === ""
      ? {}
      : { certificate: { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") } }),
    dialer: {
      connect: async (id, target, signal) => {
        await node.connections.known(id, signal);
        return await node.connections.get(id).portForward(target, signal);
      },
    },
    log: log.child({ room: "streaming" }),
  });
}

async function serve(node: Node, streaming: StreamingServer, log: Log) {
  const config = node.config();
  const { mountpoint } = await node.layers.usage();
  const stats = new StatsService({
    ...node,
    stats: new Stats({ cgroups: node.cgroups, nowNs }),
    mountpoint,
    nowNs,
    log,
  });
  const images = imageHandlers({ images: node.images, writableLayers: () => stats.writableLayers() });
  const runtime = runtimeHandlers({
    ...node,
    stats,
    streaming,
    defaultHandler: config.defaultRuntime,
    cgroupDriver: node.places.driver,
    version,
    nowNs,
    describeConfig: () => ({
      ...describeConfig(node.config()),
      // Readers of `crictl info` look for this key; there is no pause image.
      sandboxImage: "",
    }),
  });
  const collection = new IdleCollection();
  return await startServer({
    socketPath: config.server.socket,
    services: [
      { table: runtimeService, handlers: runtime },
      { table: imageService, handlers: images },
      { table: kobako, handlers: images },
    ],
    limits: {
      receiveBytes: config.server.receiveLimit,
      sendBytes: config.server.sendLimit,
      connections: config.server.maxConnections,
      calls: config.server.maxCalls,
      callsPerConnection: config.server.maxCallsPerConnection,
    },
    log,
    callLogging: () => node.config().log.calls,
    worked: () => collection.worked(),
  });
}

/** The configuration after SIGHUP: the new one where it is good and can be taken over, else the old. */
function reload(current: Config, options: ConfigOptions, log: Log): Config {
  try {
    const { config, applied, needRestart } = reloadConfig(options, current);
    log.level = config.log.level;
    log.info({ applied, needRestart }, "configuration was read again");
    return config;
  } catch (error) {
    log.error({ error }, "new configuration is bad: the old one stays in force");
    return current;
  }
}
