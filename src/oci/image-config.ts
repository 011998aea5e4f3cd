/**
 * The image configuration: what a container takes from its image. Everything here was written by whoever built the
 * image: data, never control input.
 * Source: image-spec config.md; Docker writes the same document.
 */
import { RuntimeError } from "../errors/runtime-error.ts";
import { parseDigest } from "./digest.ts";
import { type Fields, parseDocument } from "./document.ts";
import { maxLayers } from "./manifest.ts";
import { formatPlatform, type Platform } from "./platform.ts";

export interface ImageConfig {
  /** `NAME=value` as written; an entry without `=` names nothing and is for the reader to drop. */
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** "": the root folder. */
  readonly workingDir: string;
  /** "": root. `user`, `uid`, `user:group`, `uid:gid`, ... */
  readonly user: string;
  /** "": SIGTERM. A name or a number. */
  readonly stopSignal: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Paths inside the container. */
  readonly volumes: readonly string[];
  /** `80/tcp` style. */
  readonly exposedPorts: readonly string[];
  readonly architecture: string;
  readonly os: string;
  readonly variant: string;
  /** RFC 3339, or "". */
  readonly created: string;
}

export interface ImageDocument {
  readonly config: ImageConfig;
  /** Digests of the uncompressed layers, lowest first. */
  readonly diffIds: readonly string[];
}

const maxListEntries = 10_000;

/**
 * Reads a configuration document whose digest has been verified.
 * @throws RuntimeError `invalid-argument` naming the field.
 */
export function parseImageConfig(bytes: Uint8Array): ImageDocument {
  const top = parseDocument(bytes, "image config");
  if (top.has("manifests") || top.has("layers")) {
    throw new RuntimeError("invalid-argument", "image config is a manifest or an index");
  }
  top.refuseLookalikes(["config", "rootfs", "architecture", "os"]);
  const run = top.object("config");
  return {
    config: {
      env: run?.texts("Env", maxListEntries) ?? [],
      entrypoint: command(run, "Entrypoint"),
      cmd: command(run, "Cmd"),
      workingDir: run?.text("WorkingDir") ?? "",
      user: run?.text("User") ?? "",
      stopSignal: run?.text("StopSignal") ?? "",
      labels: run?.textMap("Labels") ?? {},
      volumes: run?.keys("Volumes") ?? [],
      exposedPorts: run?.keys("ExposedPorts") ?? [],
      architecture: top.text("architecture"),
      os: top.text("os"),
      variant: top.text("variant"),
      created: top.text("created"),
    },
    diffIds: diffIds(top),
  };
}

function command(run: Fields | undefined, key: string): string[] {
  return run?.texts(key, maxListEntries) ?? [];
}

function diffIds(top: Fields): string[] {
  const rootfs = top.object("rootfs");
  const type = rootfs?.string("type");
  if (type !== undefined && type !== "layers") {
    throw new RuntimeError("invalid-argument", `image config: rootfs.type must be "layers"`);
  }
  const ids = rootfs?.texts("diff_ids", maxLayers) ?? [];
  ids.forEach((id, i) => {
    const { algorithm } = parseDigest(id, `image config: rootfs.diff_ids[${i}]`);
    if (algorithm !== "sha256")
      throw new RuntimeError("invalid-argument", "image config: diff ids must be sha256");
  });
  return ids;
}

/** The platform that `config` says it was built for; empty parts are unknown. */
export function configPlatform(config: ImageConfig): Platform {
  return { os: config.os, architecture: config.architecture, variant: config.variant };
}

/** `linux/amd64` style, for messages. */
export function describePlatform(config: ImageConfig): string {
  return formatPlatform(configPlatform(config));
}
