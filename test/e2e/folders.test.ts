/** Root and state belong to one process at a time: a daemon, or a reset. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { kobako, testDaemon } from "../support/daemon.ts";
import { containerPid } from "../support/oracle.ts";
import { container, output, runPod, startContainer } from "../support/pods.ts";
import { within } from "../support/slowness.ts";
import { tempDir } from "../support/temp-dir.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const node = useNode();

describe("with the state folder of a running daemon and a root of its own (A20)", () => {
  it.each([["daemon"], ["reset", "--yes"]])(
    "kobako %s is refused at once, and its pods go on",
    async (...args) => {
      const { daemon, image } = node();
      const sandbox = await runPod(daemon);
      const id = await startContainer(daemon, sandbox, container(image));
      const pid = await containerPid(daemon, id);
      await using folder = await tempDir("other");
      const root = join(folder.path, "root");
      const socket = join(folder.path, "kobako.sock");
      const started = performance.now();
      const set = ["--set", "network.default=none"];
      await expect(
        promisify(execFile)(
          kobako,
          [...args, "--root", root, "--state", daemon.state, "--socket", socket, ...set],
          { timeout: within(10_000) },
        ),
      ).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringContaining(
          `another kobako daemon uses state ${daemon.state}: stop it, or choose another state`,
        ),
      });
      expect(performance.now() - started).toBeLessThan(within(2_000));
      expect(await containerPid(daemon, id)).toBe(pid);
      expect(await output(daemon, id, "echo undisturbed")).toBe("undisturbed");
    },
  );
});

it("a daemon that starts while a reset removes its folders is refused, and starts when that is done", async () => {
  await using daemon = await testDaemon({ network: "none" });
  await daemon.end("SIGTERM");
  // Enough that the removal is seen under way.
  const many = join(daemon.root, "many");
  const count = 20_000;
  for (let i = 0; i < count; i++) mkdirSync(join(many, String(i)), { recursive: true });
  const reset = spawn(kobako, ["reset", "--config", daemon.configFile, "--yes"], { stdio: "inherit" });
  const ended = once(reset, "exit");
  await waitFor("the removal", () => readdirSync(many).length < count);
  reset.kill("SIGSTOP");
  try {
    await expect(daemon.start()).rejects.toThrow(/another kobako daemon uses root/);
  } finally {
    reset.kill("SIGCONT");
  }
  expect(await ended).toEqual([0, null]);
  expect([existsSync(daemon.root), existsSync(daemon.state)]).toEqual([false, false]);
  await daemon.start();
});
