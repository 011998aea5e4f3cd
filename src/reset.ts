/** `kobako reset`: removes every pod, image and host-global trace of an instance whose daemon is down. */
import { rm } from "node:fs/promises";
import type { Config } from "./config/config.ts";
import { recover } from "./container/recover.ts";
import { createLogger } from "./log/log.ts";
import { openNode } from "./node.ts";

const timeoutMs = 120_000;

/** May be called again, also after it was cut short. @throws RuntimeError when the daemon runs, or something can't be removed. */
export async function resetInstance(config: Config): Promise<void> {
  const log = createLogger({ level: "warn" });
  const signal = AbortSignal.timeout(timeoutMs);
  {
    await using node = await openNode(() => config, log);
    await recover({ ...node, log, netnsPrefix: node.names.netnsPrefix });
    await Promise.all(
      node.sandboxes.values().map((sandbox) => node.sandboxLifecycle.remove(sandbox.id, signal)),
    );
    await node.network.removeAll(signal);
    await node.cgroups.remove(node.places.root, signal);
  }
  await rm(config.root, { recursive: true, force: true });
  await rm(config.state, { recursive: true, force: true });
}
