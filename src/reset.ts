/** `kobako reset`: removes every pod, image and host-global trace of an instance whose daemon is down. */
import { readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "./config/config.ts";
import { recover } from "./container/recover.ts";
import { createLogger } from "./log/log.ts";
import { lockFolders, openNode } from "./node.ts";
import { lockName } from "./store/lock.ts";

const timeoutMs = 120_000;

/** May be called again, also after it was cut short. @throws RuntimeError when the daemon runs, or something can't be removed. */
export async function resetInstance(config: Config): Promise<void> {
  const log = createLogger({ level: "warn" });
  const signal = AbortSignal.timeout(timeoutMs);
  // To the end: what a daemon that starts meanwhile has made would be removed with the rest.
  using _ = await lockFolders(config);
  {
    await using node = await openNode(() => config, log);
    const { rest } = await recover({ ...node, log, netnsPrefix: node.names.netnsPrefix, signal });
    await rest;
    await Promise.all(
      node.sandboxes.values().map((sandbox) => node.sandboxLifecycle.remove(sandbox.id, signal)),
    );
    await node.network.removeAll(signal);
    await node.cgroups.remove(node.places.root, signal);
  }
  for (const folder of [config.state, config.root]) await removeLocked(folder);
}

/** Empties `folder`, its lock last, and removes it where it is a plain folder and nobody has used it since. */
async function removeLocked(folder: string): Promise<void> {
  for (const name of await readdir(folder))
    if (name !== lockName) await rm(join(folder, name), { recursive: true, force: true });
  await rm(join(folder, lockName), { force: true });
  await rmdir(folder).catch((error: NodeJS.ErrnoException) => {
    // A mount point, a new daemon's, a symbolic link.
    if (!["EBUSY", "ENOTEMPTY", "ENOTDIR"].includes(error.code ?? "")) throw error;
  });
}
