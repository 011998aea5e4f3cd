/**
 * What a node says of its handlers, and what their sections of the configuration ask for, held against the kernel: what
 * Status offers works, what it does not offer is refused by name.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { describe, expect, it, onTestFinished } from "vitest";
import { NamespaceMode } from "../../cri-api/index.ts";
import { compareVersions } from "../../src/runtime/oci/program.ts";
import { busyboxEntries } from "../support/busybox.ts";
import { fileDir } from "../support/file-dir.ts";
import { buildImage, buildIndex, thisPlatform } from "../support/image-builder.ts";
import { testImageConfig } from "../support/node.ts";
import { container, output, pod, runPod, startContainer } from "../support/pods.ts";
import { shimHandlers, toolPaths } from "../support/shims.ts";
import { useNode } from "../support/use-node.ts";

const folder = fileDir("features");
const [runc = "", runsc = ""] = toolPaths("runc", "runsc");
/** The Debian of 2023 has runc 1.1.5 and crun 1.8.1: of specification 1.0.2 and 1.0.0, without and before rro. */
const programs = Object.entries({
  runc,
  "old-runc": "/usr/sbin/runc",
  crun: "/usr/bin/crun",
  own: new URL("../../build/bin/kobako-oci", import.meta.url).pathname,
  runsc,
}).filter(([name, path]) => {
  if (!existsSync(path)) console.log(`skipped: no ${path} for ${name} (apt-get install runc)`);
  return existsSync(path);
});
const foreign = thisPlatform.architecture === "arm64" ? "amd64" : "arm64";
const node = useNode({
  config: `${programs.map(([name, path]) => `[runtimes.${name}]\ntype = "oci"\npath = "${path}"\n`).join("")}
${shimHandlers(folder)}
[runtimes.foreign]
type = "oci"
path = "/usr/bin/crun"
platform = "linux/${foreign}"
[runtimes.indexed]
type = "oci"
path = "/usr/bin/crun"
snapshot_options = ["index=on"]`,
});
const handlers = ["builtin", ...programs.map(([name]) => name), "runsc-shim", "runc-shim"];

async function featuresOf(handler: string) {
  const { runtimeHandlers } = await node().daemon.client.status({});
  return runtimeHandlers.find(({ name }) => name === handler)?.features;
}

/** A folder with a filesystem of its own below it, as volumes on nodes have. */
function nested(): string {
  const path = join(folder, `nested-${Math.random().toString(36).slice(2)}`);
  mkdirSync(join(path, "below"), { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "tmpfs", join(path, "below")]);
  onTestFinished(() => {
    execFileSync("umount", ["-l", join(path, "below")]);
    rmSync(path, { recursive: true });
  });
  return path;
}

describe.each(handlers)("the handler %s", (handler) => {
  it("has recursive read-only mounts where it says so, and refuses them else", async () => {
    const { daemon, image } = node();
    const mounts = [{ hostPath: nested(), containerPath: "/data", readonly: true, recursiveReadOnly: true }];
    const offered = (await featuresOf(handler))?.recursiveReadOnlyMounts === true;
    const sandbox = await runPod(daemon, pod(daemon), handler);
    const made = startContainer(daemon, sandbox, container(image, { mounts }));
    if (!offered) {
      await expect(made).rejects.toMatchObject({
        code: status.FAILED_PRECONDITION,
        details: expect.stringMatching(new RegExp(`"${handler}".*recursive read-only`)),
      });
      return;
    }
    const write = "for f in /data/x /data/below/x; do touch $f 2>/dev/null && echo wrote $f; done; echo done";
    expect(await output(daemon, await made, write)).toBe("done");
  });

  it("has user namespaces where it says so, and refuses them else", async () => {
    const { daemon, image } = node();
    const usernsOptions = {
      mode: NamespaceMode.POD,
      uids: [{ hostId: 1 << 20, containerId: 0, length: 65536 }],
      gids: [{ hostId: 1 << 20, containerId: 0, length: 65536 }],
    };
    const config = pod(daemon, { linux: { securityContext: { namespaceOptions: { usernsOptions } } } });
    const offered = (await featuresOf(handler))?.userNamespaces === true;
    const made = runPod(daemon, config, handler);
    if (!offered) {
      await expect(made).rejects.toMatchObject({
        code: status.FAILED_PRECONDITION,
        details: expect.stringMatching(new RegExp(`"${handler}".*user namespace`)),
      });
      return;
    }
    const sandbox = await made;
    const id = await startContainer(
      daemon,
      sandbox,
      container(image, { security: { namespaceOptions: { usernsOptions } } }),
    );
    expect(await output(daemon, id, "cat /proc/self/uid_map")).toMatch(/^\s*0\s+1048576\s+65536$/);
  });
});

it.each(programs)(
  "a config.json for %s is of no later version than its program takes",
  async (name, path) => {
    const { daemon, image } = node();
    const sandbox = await runPod(daemon, pod(daemon), name);
    const id = await startContainer(daemon, sandbox, container(image));
    const { info } = await daemon.client.containerStatus({ containerId: id, verbose: true });
    const { bundle } = JSON.parse(info.info ?? "{}") as { bundle: string };
    const { ociVersion } = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")) as {
      ociVersion: string;
    };
    const asked = spawnSync(path, ["features"], { encoding: "utf8" });
    const version = spawnSync(path, ["--version"], { encoding: "utf8" }).stdout;
    const takes =
      asked.status === 0
        ? (JSON.parse(asked.stdout) as { ociVersionMax: string }).ociVersionMax
        : (/^spec: (\S+)$/m.exec(version)?.[1] ?? "1.0.0");
    expect([name, takes, ociVersion, compareVersions(ociVersion, takes) <= 0]).toEqual([
      name,
      takes,
      ociVersion,
      true,
    ]);
  },
);

/** Options of a new container's root filesystem, as the kernel tells them. */
async function rootOptions(handler: string): Promise<string> {
  const { daemon, image } = node();
  const id = await startContainer(daemon, await runPod(daemon, pod(daemon), handler), container(image));
  return (await output(daemon, id, "grep ' / / ' /proc/self/mountinfo")).split(" - ")[1] ?? "";
}

it("snapshot_options reach the root filesystems of that handler, and of no other", async () => {
  expect(await rootOptions("indexed")).toContain(",index=on");
  expect(await rootOptions("crun")).not.toContain("index=on");
});

it.each(
  handlers.filter((name) => !name.startsWith("runsc")), // whose containers see gVisor's mounts
)("the end of a container of %s does not wait for all that the disk has to write", async (name) => {
  expect(await rootOptions(name)).toMatch(/,(fsync=)?volatile/);
});

it("an image is pulled for the platform of the handler that it is pulled for", async () => {
  const { daemon, registry } = node();
  const platforms = [thisPlatform, { os: "linux", architecture: foreign }];
  const images = await Promise.all(
    platforms.map(async (platform) => ({
      platform,
      image: await buildImage({
        layers: [[...busyboxEntries(), { name: "made-for", content: platform.architecture }]],
        config: testImageConfig,
        platform,
      }),
    })),
  );
  const reference = await registry.push("both", "1", buildIndex(images));
  // What is in it runs here all the same: that says whose it is.
  for (const [handler, architecture] of [
    ["foreign", foreign],
    ["crun", thisPlatform.architecture],
    ["foreign", foreign],
    ["", thisPlatform.architecture],
  ] as const) {
    await daemon.client.pullImage({ image: { image: reference, runtimeHandler: handler } });
    const sandbox = await runPod(daemon, pod(daemon), handler);
    const id = await startContainer(daemon, sandbox, container(reference));
    expect([handler, await output(daemon, id, "cat /made-for")]).toEqual([handler, architecture]);
    await daemon.client.removePodSandbox({ podSandboxId: sandbox.id });
  }
});
