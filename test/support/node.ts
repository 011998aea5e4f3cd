/** A node as most e2e tests want it: a registry with the small test image, a daemon, the image pulled. */
import { Protocol } from "../../cri-api/index.ts";
import { busyboxEntries } from "./busybox.ts";
import { type DaemonOptions, type TestDaemon, testDaemon } from "./daemon.ts";
import { buildImage, type ImageOptions } from "./image-builder.ts";
import type { Snapshot } from "./oracle.ts";
import { container, exec, pod, runPod, startContainer } from "./pods.ts";
import { freePort } from "./port.ts";
import { Registry } from "./registry.ts";

export interface TestNode extends AsyncDisposable {
  readonly registry: Registry;
  readonly daemon: TestDaemon;
  /** The small image: busybox, users root, daemon and web, environment FROM=image, working folder /home/web. */
  readonly image: string;
  /** After a first pod has come and gone: lazily made things (bridge, tables) are there. */
  readonly clean: Snapshot;
  /** Builds, pushes and pulls an image with `options`; returns its reference. */
  addImage(
    repository: string,
    options: Omit<ImageOptions, "layers"> & Partial<ImageOptions>,
  ): Promise<string>;
}

export const testImageConfig = {
  Env: ["PATH=/bin:/usr/sbin", "FROM=image"],
  Cmd: ["/bin/sh"],
  WorkingDir: "/home/web",
} as const;

/** Starts a registry and a daemon, pulls the image, runs one pod to the end. */
export async function testNode(o: DaemonOptions = {}): Promise<TestNode> {
  await using undo = new AsyncDisposableStack();
  const registry = undo.use(await Registry.start());
  const daemon = undo.use(await testDaemon(o));
  const addImage: TestNode["addImage"] = async (repository, options) => {
    const built = await buildImage({ layers: [busyboxEntries()], config: testImageConfig, ...options });
    const reference = await registry.push(repository, "1", built);
    await daemon.client.pullImage({ image: { image: reference } });
    return reference;
  };
  const image = await addImage("test", {});
  if (o.network !== "none") {
    // With a port, so that what host ports need once (tables, sets) is there, too.
    const portMappings = [{ protocol: Protocol.TCP, containerPort: 1, hostPort: await freePort() }];
    const first = await runPod(daemon, pod(daemon, { portMappings }));
    const id = await startContainer(daemon, first, container(image));
    await exec(daemon, id, ["/bin/true"]);
    await daemon.removeAllPods();
  }
  const clean = daemon.snapshot();
  const owned = undo.move();
  return { registry, daemon, image, clean, addImage, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
