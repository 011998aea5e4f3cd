/** The life of a pod as a person with crictl leads it. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { crictl, tryCrictl } from "../support/crictl.ts";
import { counter, pod } from "../support/pods.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const node = useNode();

/** crictl reads the protobuf JSON form: snake_case names and numbers for enums. */
async function podFile(folder: string, name: string): Promise<{ path: string; logs: string }> {
  const { daemon } = node();
  const logs = join(daemon.podLogs, name);
  await mkdir(logs, { recursive: true });
  const { metadata, linux } = pod(daemon);
  const path = join(folder, `${name}-pod.json`);
  await writeFile(
    path,
    JSON.stringify({
      metadata: { ...metadata, name },
      log_directory: logs,
      linux: { cgroup_parent: linux?.cgroupParent },
    }),
  );
  return { path, logs };
}

describe("crictl drives the life of a pod", () => {
  it("pull, runp, create, start, exec -s, logs, stats, stop, rm, stopp, rmp", async () => {
    const { daemon, registry, image } = node();
    const { socket, folder } = daemon;
    const run = (...args: string[]) => crictl(socket, ...args);

    const repository = image.slice(0, image.lastIndexOf(":"));
    const pulled = await run("pull", image);
    expect(pulled).toContain("Image is up to date for");
    const images = JSON.parse(await run("images", "-o", "json")) as {
      images: { repoTags: string[]; id: string }[];
    };
    const listed = images.images.find(({ repoTags }) => repoTags.includes(image));
    expect(listed?.id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(pulled).toMatch(new RegExp(`${listed?.id}|${repository}@sha256:`));
    expect(await run("inspecti", image)).toContain(registry.host);

    const sandbox = await podFile(folder, "crictl");
    const containerFile = join(folder, "container.json");
    await writeFile(
      containerFile,
      JSON.stringify({
        metadata: { name: "web" },
        image: { image },
        command: counter("line"),
        log_path: "web.log",
      }),
    );

    const podId = await run("runp", sandbox.path);
    expect(podId).toMatch(/^[0-9a-f]{64}$/);
    expect(await run("pods", "-q", "--name", "crictl")).toBe(podId);
    const inspected = JSON.parse(await run("inspectp", podId)) as {
      status: { state: string; network: { ip: string } };
    };
    expect(inspected.status.state).toBe("SANDBOX_READY");
    expect(inspected.status.network.ip).toMatch(/^[0-9.]+$|:/);

    const id = await run("create", podId, containerFile, sandbox.path);
    expect(await run("ps", "-a", "-q", "--state", "created")).toBe(id);
    expect(await run("start", id)).toBe(id);
    expect(await run("ps", "-q")).toBe(id);

    expect(await run("exec", "-s", id, "/bin/echo", "hello from inside")).toBe("hello from inside");
    const failed = await tryCrictl(socket, ["exec", "-s", id, "/bin/sh", "-c", "echo oh >&2; exit 7"]);
    expect(failed.code).not.toBe(0);
    expect(failed.stderr).toContain("exited with 7: oh");

    await waitFor("three lines in the log", async () => (await run("logs", id)).includes("line 3"));
    expect((await run("logs", id)).split("\n").slice(0, 3)).toEqual(["line 1", "line 2", "line 3"]);
    expect(await readFile(join(sandbox.logs, "web.log"), "utf8")).toMatch(/^\S+Z stdout F line 1\n/);

    const stats = JSON.parse(await run("stats", "-o", "json", id)) as {
      stats: { attributes: { id: string }; memory: { workingSetBytes: { value: string } } }[];
    };
    expect(stats.stats[0]?.attributes.id).toBe(id);
    expect(Number(stats.stats[0]?.memory.workingSetBytes.value)).toBeGreaterThan(0);
    const podStats = JSON.parse(await run("statsp", "-o", "json", podId)) as {
      stats: { attributes: { id: string } }[];
    };
    expect(podStats.stats[0]?.attributes.id).toBe(podId);

    expect(await run("stop", "--timeout", "5", id)).toBe(id);
    const stopped = JSON.parse(await run("inspect", id)) as {
      status: { state: string; exitCode: number; reason: string; finishedAt: string };
    };
    expect(stopped.status).toMatchObject({ state: "CONTAINER_EXITED", exitCode: 0, reason: "Completed" });
    expect(await run("rm", id)).toBe(id);
    expect(await run("ps", "-a", "-q")).toBe("");
    expect(await run("stopp", podId)).toContain(podId);
    expect(await run("rmp", podId)).toContain(podId);
    expect(await run("pods", "-q")).toBe("");
  });

  it("rmp -f ends and removes a pod that runs", async () => {
    const { daemon, image } = node();
    const sandbox = await podFile(daemon.folder, "forced");
    const file = join(daemon.folder, "forced.json");
    await writeFile(
      file,
      JSON.stringify({ metadata: { name: "c" }, image: { image }, command: counter("x") }),
    );
    const podId = await crictl(daemon.socket, "runp", sandbox.path);
    const id = await crictl(daemon.socket, "create", podId, file, sandbox.path);
    await crictl(daemon.socket, "start", id);
    await crictl(daemon.socket, "rmp", "-f", podId);
    expect(await crictl(daemon.socket, "ps", "-a", "-q")).toBe("");
  });

  it("info and version tell a ready runtime", async () => {
    const { daemon } = node();
    expect(await crictl(daemon.socket, "version")).toMatch(
      /RuntimeName:\s+kobako\n[\s\S]*RuntimeApiVersion:\s+v1/,
    );
    const info = JSON.parse(await crictl(daemon.socket, "info")) as {
      status: { conditions: { type: string; status: boolean }[] };
      runtimeHandlers: { name: string }[];
    };
    expect(Object.fromEntries(info.status.conditions.map((c) => [c.type, c.status]))).toMatchObject({
      RuntimeReady: true,
      NetworkReady: true,
    });
    expect(info.runtimeHandlers.map(({ name }) => name ?? "")).toContain("");
  });

  it("rmi removes an image by its tag, and its layers with the last tag", async () => {
    const { daemon, addImage } = node();
    const reference = await addImage("short-lived", { layers: [[{ name: "only", content: "here" }]] });
    await crictl(daemon.socket, "rmi", reference);
    expect((await tryCrictl(daemon.socket, ["inspecti", reference])).code).not.toBe(0);
  });
});
