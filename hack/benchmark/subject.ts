/** What is measured: our daemon as a target like any other, and the image that all of them run. */
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import type { TomlTable } from "smol-toml";
import { busyboxEntries } from "../../test/support/busybox.ts";
import { buildImage } from "../../test/support/image-builder.ts";
import { program } from "../../test/support/programs.ts";
import type { Registry } from "../../test/support/registry.ts";
import { tempDir, volatileDir } from "../../test/support/temp-dir.ts";
import { startOwn, stopOwn } from "../own-daemon.ts";

export interface Target extends AsyncDisposable {
  readonly name: string;
  readonly endpoint: string;
  /** Texts by which processes of this runtime are known: in their command line, folders or open files. */
  readonly marks: readonly string[];
  readonly startMs?: number;
}

/** A daemon of its own; `handler`: whose section makes it the default one. */
export async function startKobako(handler?: { name: string; settings: TomlTable }): Promise<Target> {
  const folder = await tempDir("bench");
  const state = await volatileDir();
  await symlink(state.path, join(folder.path, "run"));
  const begun = performance.now();
  const settings: TomlTable =
    handler === undefined
      ? {}
      : { default_runtime: handler.name, runtimes: { [handler.name]: handler.settings } };
  const daemon = await startOwn(folder.path, { settings });
  const startMs = performance.now() - begun;
  return {
    name: handler === undefined ? "kobako" : `kobako + ${handler.name}`,
    endpoint: daemon.socket,
    marks: [daemon.folder, state.path],
    startMs,
    async [Symbol.asyncDispose]() {
      await stopOwn(daemon.folder);
      await state[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** The command of containers: one static process that ends on SIGTERM. */
export const workload = ["/waiter"];
/** What execs run: a static program that ends at once. */
export const probe = ["/true"];

/** Its reference. `userland`: with busybox. */
export async function pushWorkload(registry: Registry, o: { userland: boolean }): Promise<string> {
  return await registry.push(
    "waiter",
    "1",
    await buildImage({
      layers: [
        [
          { name: "waiter", mode: 0o755, content: program("waiter") },
          { name: "true", mode: 0o755, content: program("try") },
          { name: "sink", mode: 0o755, content: program("sink") },
          { name: "etc/" },
          { name: "etc/passwd", content: "root:x:0:0::/:/none\n" },
        ],
        ...(o.userland ? [busyboxEntries()] : []),
      ],
      config: { Entrypoint: workload, WorkingDir: "/" },
    }),
  );
}
