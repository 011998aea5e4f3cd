/** Pods that a daemon takes up: what it does not know ends nobody. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { TestDaemon } from "../support/daemon.ts";
import { fileDir } from "../support/file-dir.ts";
import { expectUndisturbed, vitals } from "../support/oracle.ts";
import {
  container,
  containerStatus,
  createContainer,
  output,
  pod,
  runPod,
  startContainer,
} from "../support/pods.ts";
import { shimHandlers, toolPaths } from "../support/shims.ts";
import { within } from "../support/slowness.ts";
import { useNode } from "../support/use-node.ts";

const [runc = "", runsc = ""] = toolPaths("runc", "runsc");
const folder = fileDir("take-up");
const config = `[runtimes.runc]
type = "oci"
path = "${runc}"
[runtimes.runsc]
type = "oci"
path = "${runsc}"
${shimHandlers(join(folder, "shims"))}`;
const node = useNode({ config });

/** Ends with code 7 when it is asked to. */
const polite = ["/bin/sh", "-c", "trap 'exit 7' TERM; sleep 100000 & wait"];

const podFolder = (daemon: TestDaemon, id: string) => join(daemon.state, "pods", id.slice(0, 16));

describe("a handler that is not configured any more", () => {
  it.each(["runc", "runsc", "runc-shim", "runsc-shim"])(
    "%s: its pods go on, are used and ended as before, and get no new containers",
    async (handler) => {
      const { daemon, image } = node();
      const sandbox = await runPod(daemon, pod(daemon), handler);
      const id = await startContainer(daemon, sandbox, container(image, { command: polite }));
      const before = await vitals(daemon);
      await daemon.end("SIGTERM");
      await daemon.writeConfig();
      try {
        await daemon.start();
        expectUndisturbed(before);
        expect(await output(daemon, id, "echo on")).toBe("on");
        await expect(createContainer(daemon, sandbox, container(image))).rejects.toThrow(
          /not configured any more/,
        );
        const stop = { containerId: id, timeout: BigInt(within(10)) };
        await daemon.client.stopContainer(stop, { timeoutMs: within(30_000) });
        expect((await containerStatus(daemon, id)).exitCode).toBe(7);
        await daemon.client.stopPodSandbox({ podSandboxId: sandbox.id });
        await daemon.client.removePodSandbox({ podSandboxId: sandbox.id });
        expect(existsSync(podFolder(daemon, sandbox.id))).toBe(false);
      } finally {
        await daemon.end("SIGTERM");
        await daemon.writeConfig(config);
        await daemon.start();
      }
    },
    within(60_000),
  );
});
