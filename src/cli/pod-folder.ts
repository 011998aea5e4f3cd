/**
 * The folder of a pod that `kobako run` made: its logs and its emptyDir volumes. A kubelet keeps these for its pods;
 * for ours nobody else does. It is noted in an annotation of the pod, made by run and removed by rm, and stands below
 * the daemon's root, so that a reset takes it too.
 */
import { mkdir, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { runtimeService } from "../../cri-api/index.ts";
import { CliError } from "./cli-error.ts";
import type { Daemon } from "./client.ts";

const annotation = "kobako.run/folder";
const parent = "run-pods";

/** Makes the folder of the pod with this uid; gives it and the annotation that remembers it. */
export async function makePodFolder(
  daemon: Daemon,
  uid: string,
): Promise<{ readonly path: string; readonly annotations: Record<string, string> }> {
  const path = join(await rootOf(daemon), parent, uid);
  await mkdir(path, { recursive: true, mode: 0o700 });
  return { path, annotations: { [annotation]: path } };
}

/** Removes what makePodFolder made for a pod with these annotations; nothing when it made none. */
export async function removePodFolder(
  daemon: Daemon,
  annotations: Readonly<Record<string, string>>,
): Promise<void> {
  const path = annotations[annotation];
  if (path === undefined) return;
  // Anyone who can create pods writes annotations: only what is our own folder is removed.
  const uid = basename(path);
  if (!/^[0-9a-f-]{36}$/.test(uid) || path !== join(await rootOf(daemon), parent, uid)) return;
  await dropPodFolder(path);
}

/** Removes the folder, and the one that holds all of them with the last. */
export async function dropPodFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await rmdir(dirname(path)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOTEMPTY" && error.code !== "ENOENT") throw error;
  });
}

async function rootOf(daemon: Daemon): Promise<string> {
  const { info } = await daemon.call(runtimeService.status, { verbose: true });
  const config: unknown = JSON.parse(info.config ?? "{}");
  const root = (config as { root?: unknown }).root;
  if (typeof root !== "string" || !root.startsWith("/"))
    throw new CliError("this daemon does not tell its root folder: is it kobako?");
  return root;
}
