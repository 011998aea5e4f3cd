/** kubeadm with kobako's socket, up to where it would change its machine: it asks, checks and pulls. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { registryName } from "../../../hack/kubernetes/images.ts";
import { builtProgram } from "../../../hack/kubernetes/programs.ts";
import { testDaemon, type TestDaemon } from "../../support/daemon.ts";
import { buildImage } from "../../support/image-builder.ts";
import { Registry } from "../../support/registry.ts";

const version = "v1.36.3";
const execute = promisify(execFile);
let program: string | undefined;

beforeAll(async () => {
  program = await builtProgram("kubeadm");
});

beforeEach((context) => {
  if (program === undefined) context.skip("kubeadm is not built (hack/tools kubeadm)");
});

/** What it says on both streams. @throws when it fails. */
async function kubeadm(home: string, ...args: string[]): Promise<string> {
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: home };
  const { stdout, stderr } = await execute(program ?? "", args, { env, timeout: 60_000 });
  return stdout + stderr;
}

/** As `kubeadm init --config` reads it. An address for documentation: it is only looked at. */
function configuration(daemon: TestDaemon): string {
  return `apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: { advertiseAddress: 192.0.2.1 }
nodeRegistration: { criSocket: "unix://${daemon.socket}" }
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: ${version}
imageRepository: ${registryName}
`;
}

describe("kubeadm", () => {
  it("pulls a control plane's images by --cri-socket, and finds nothing wrong with the runtime", async () => {
    await using registry = await Registry.start();
    await using daemon = await testDaemon({
      config: `[registries."${registryName}"]\nmirrors = ["${registry.url}"]`,
    });
    const which = [`--kubernetes-version=${version}`, `--image-repository=${registryName}`];
    const listed = await kubeadm(daemon.folder, "config", "images", "list", ...which);
    const images = listed.trim().split("\n");
    const built = await buildImage({ layers: [[{ name: "it", content: "" }]] });
    for (const image of images) {
      const [, repository = "", tag = ""] = /^[^/]+\/(.+):([^:]+)$/.exec(image) ?? [];
      await registry.push(repository, tag, built);
    }

    const socket = `--cri-socket=unix://${daemon.socket}`;
    const pulled = await kubeadm(daemon.folder, "config", "images", "pull", socket, ...which);
    for (const image of images) expect(pulled).toContain(image);
    const { images: here } = await daemon.client.listImages({});
    expect(here.flatMap(({ repoTags }) => repoTags).toSorted()).toEqual(images.toSorted());

    const file = join(daemon.folder, "kubeadm.yaml");
    await writeFile(file, configuration(daemon));
    // The machine of a test is no node: its swap, ports and missing kubelet are not what is asked.
    const ignore = "--ignore-preflight-errors=all";
    const said = await kubeadm(daemon.folder, "init", "phase", "preflight", `--config=${file}`, ignore);
    expect(said).toContain("Running pre-flight checks");
    expect(said).not.toMatch(/WARNING (CRI|ContainerRuntimeVersion|ImagePull)/);

    await daemon.end("SIGTERM");
    const without = await kubeadm(daemon.folder, "init", "phase", "preflight", `--config=${file}`, ignore);
    expect(without).toMatch(/WARNING CRI/);
  });
});
