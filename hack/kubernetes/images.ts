/** The images that pods of a test node are made of, built on the spot and pushed to its registry. */
import { readFile } from "node:fs/promises";
import { busyboxEntries } from "../../test/support/busybox.ts";
import { buildImage, push } from "../../test/support/image-builder.ts";

/** A name that exists nowhere else: the node's configuration has a mirror for it. */
export const registryName = "registry.kobako.test";

/** A small userland, users root, daemon and web. */
export const busyboxImage = `${registryName}/busybox:1`;
/** The same with /agnhost, the servers and clients of Kubernetes' own tests. */
export const agnhostImage = `${registryName}/agnhost:1`;

const config = { Env: ["PATH=/bin:/usr/sbin:/"], Cmd: ["/bin/sh"] };

/** @param url of the registry; @param agnhost path of the program, if that image is wanted. */
export async function pushImages(url: string, agnhost: string | undefined): Promise<void> {
  await push(url, "busybox", "1", await buildImage({ layers: [busyboxEntries()], config }));
  if (agnhost === undefined) return;
  const program = [{ name: "agnhost", mode: 0o755, content: await readFile(agnhost) }];
  const layers = [busyboxEntries(), program];
  // 60 MB that stay on this machine: packing them costs more than it saves.
  await push(url, "agnhost", "1", await buildImage({ layers, config, compression: "none" }));
}
