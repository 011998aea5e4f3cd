/**
 * docs/runtimes.md is run as it is written: each TOML is a daemon's configuration (or the file that one names), each
 * handler makes a container, each YAML is a pod that runs or the class that it names. Only paths are filled in, with
 * those of the programs that this machine has; a program that it has not is told as missing.
 */
import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse as parseToml } from "smol-toml";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { ContainerState } from "../../cri-api/index.ts";
import { kobako, type TestDaemon } from "../support/daemon.ts";
import { fileDir } from "../support/file-dir.ts";
import { type TestNode, testNode } from "../support/node.ts";
import { pod, runPod } from "../support/pods.ts";
import { runscShim, toolPaths } from "../support/shims.ts";

const page = readFileSync(new URL("../../docs/runtimes.md", import.meta.url), "utf8");

interface Block {
  readonly language: string;
  readonly text: string;
  readonly heading: string;
}

function blocksOf(markdown: string): Block[] {
  const found: Block[] = [];
  let heading = "";
  for (const part of markdown.matchAll(/^#+ (.*)$|^```(\w+)\n([\s\S]*?)^```$/gm)) {
    heading = part[1] ?? heading;
    if (part[2] !== undefined) found.push({ language: part[2], text: part[3] ?? "", heading });
  }
  return found;
}

const blocks = blocksOf(page);
const folder = fileDir("page");
const gvisor = runscShim(join(folder, "shim"));
const [runc = "", runcShim = ""] = toolPaths("runc", "containerd-shim-runc-v2");
const missing = ["/opt/kata/bin/containerd-shim-kata-v2", "/opt/kata/share/defaults/"];
/** As the page says them, and as they are here. A machine that has the page's own keeps it. */
const here: Readonly<Record<string, string>> = {
  "/usr/sbin/runc": runc,
  "/usr/local/sbin/runc": runc,
  "/usr/bin/crun": "/usr/bin/crun",
  "/usr/local/bin/runsc": gvisor.runsc,
  "/usr/local/bin/containerd-shim-runsc-v1": gvisor.shim,
  "/usr/local/bin/containerd-shim-runc-v2": runcShim,
  "/etc/kobako/runsc.toml": join(folder, "runsc.toml"),
  "/run/kobako-runsc": join(folder, "runsc"),
  "/run/kobako-runc": join(folder, "runc"),
};

function filled(text: string): string {
  return text.replaceAll(/"(\/[^"]+)"/g, (quoted, path: string) => {
    if (missing.some((part) => path.startsWith(part))) return quoted;
    const to = here[path];
    if (to === undefined) throw new Error(`docs/runtimes.md names ${path}, which this test does not know`);
    return JSON.stringify(existsSync(path) ? path : to);
  });
}

const toml = blocks.filter(({ language }) => language === "toml");
const configurations = toml.filter(({ text }) => "runtimes" in parseToml(text));
/** What is no daemon's configuration says in its first line whose file it is. */
const files = new Map(
  toml
    .filter((block) => !configurations.includes(block))
    .map(({ text }) => [/^# (\/\S+),/.exec(text)?.[1] ?? "", text]),
);
const handlersOf = (text: string) =>
  Object.entries(parseToml(text).runtimes as Record<string, { path: string }>);
const documents = blocks
  .filter(({ language }) => language === "yaml")
  .flatMap(({ text }) => parseAllDocuments(text).map((document) => document.toJS() as KubernetesObject));

interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly handler?: string;
  readonly overhead?: { readonly podFixed: Readonly<Record<string, string>> };
  readonly spec?: { readonly runtimeClassName: string; readonly containers: { image: string }[] };
}

function command(daemon: TestDaemon, ...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const all = ["--address", `unix://${daemon.socket}`, ...args];
    execFile(kobako, all, { env: {} }, (error, stdout, stderr) =>
      resolve({
        code: error === null ? 0 : typeof error.code === "number" ? error.code : -1,
        output: stdout + stderr,
      }),
    );
  });
}

async function expectPod(node: TestNode, object: KubernetesObject): Promise<void> {
  const { daemon } = node;
  const image = await node.addImage("page", { config: { Cmd: ["/bin/sleep", "1000"] } });
  const file = join(folder, "pod.json"); // JSON is YAML
  const containers = object.spec?.containers.map((one) => ({ ...one, image }));
  writeFileSync(file, JSON.stringify({ ...object, spec: { ...object.spec, containers } }));
  const { code, output } = await command(daemon, "run", "--file", file);
  expect([code, output]).toEqual([0, expect.anything()]);
  const { items } = await daemon.client.listPodSandbox({});
  expect(items.map(({ metadata, runtimeHandler }) => [metadata?.name, runtimeHandler])).toEqual([
    [object.metadata.name, object.spec?.runtimeClassName],
  ]);
  const { containers: running } = await daemon.client.listContainers({});
  expect(running.map(({ state }) => state)).toEqual([ContainerState.CONTAINER_RUNNING]);
  expect(await command(daemon, "rm", "--force", items[0]?.id ?? "")).toMatchObject({ code: 0 });
}

describe("docs/runtimes.md", () => {
  it("has nothing but what is tried here: configurations, files that they name, classes and pods", () => {
    expect(blocks.map(({ language }) => language).filter((one) => one !== "toml" && one !== "yaml")).toEqual(
      [],
    );
    expect([...files.keys()]).toEqual(["/etc/kobako/runsc.toml"]);
    expect(configurations.length).toBeGreaterThan(3);
    expect(new Set(documents.map(({ kind }) => kind))).toEqual(new Set(["RuntimeClass", "Pod"]));
  });

  it("each RuntimeClass names a handler of the page, and each pod such a class", () => {
    const handlers = new Set(configurations.flatMap(({ text }) => handlersOf(text).map(([name]) => name)));
    const classes = documents.filter(({ kind }) => kind === "RuntimeClass");
    for (const { apiVersion, handler, overhead } of classes) {
      expect(apiVersion).toBe("node.k8s.io/v1");
      expect(handlers).toContain(handler);
      for (const [resource, amount] of Object.entries(overhead?.podFixed ?? {}))
        expect([resource, amount]).toEqual([
          expect.stringMatching(/^(cpu|memory)$/),
          expect.stringMatching(/^\d+(m|[KMG]i)?$/),
        ]);
    }
    const names = classes.map(({ metadata }) => metadata.name);
    for (const { spec } of documents.filter(({ kind }) => kind === "Pod"))
      expect(names).toContain(spec?.runtimeClassName);
  });

  it.each(configurations)("the configuration of $heading", async ({ text }) => {
    for (const [path, content] of files) writeFileSync(here[path] ?? "", filled(content));
    await using node = await testNode({ config: filled(text) });
    const { daemon } = node;
    for (const [name, { path }] of handlersOf(text)) {
      const { code, output } = await command(daemon, "runtime", "check", name);
      if (!missing.includes(path) || existsSync(path)) {
        expect([name, code, output]).toEqual([name, 0, expect.stringMatching(/^ok {3}removal/m)]);
        continue;
      }
      const why = `there is no program ${path}`;
      expect([name, code, output]).toEqual([name, 1, expect.stringMatching(`not usable: .*${why}`)]);
      await expect(runPod(daemon, pod(daemon), name)).rejects.toThrow(`${path}: No such file`);
    }
    for (const object of documents.filter(({ kind }) => kind === "Pod"))
      if (handlersOf(text).some(([name]) => name === object.spec?.runtimeClassName))
        await expectPod(node, object);
    await daemon.expectClean(node.clean);
  });
});
