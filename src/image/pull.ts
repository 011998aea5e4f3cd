/**
 * One pull, from a reference to layers on disk: resolve, fetch, verify, unpack. Nothing here is committed: the
 * caller does that, and layers of a pull that failed wait for the next one for a while.
 */
import { setMaxListeners } from "node:events";
import type { Layer, LayerStore } from "../content/layer-store.ts";
import { RuntimeError } from "../errors/runtime-error.ts";
import { chainId } from "../oci/chain-id.ts";
import { configPlatform, type ImageDocument, parseImageConfig } from "../oci/image-config.ts";
import { type Index, type LayerDescriptor, type Manifest, parseManifest } from "../oci/manifest.ts";
import { formatPlatform, type Platform, platformDistance, selectPlatform } from "../oci/platform.ts";
import { formatReference } from "../oci/reference.ts";
import type { RegistryDocument, Repository } from "../registry/client.ts";
import { LayerProgress, type OnProgress } from "./progress.ts";
import type { Slots } from "./slots.ts";

/** An index may hold an index; deeper nesting is refused. */
const maxIndexDepth = 2;

export interface PullTools {
  readonly layers: LayerStore;
  readonly platform: Platform;
  /** Of layers under work at once, over all pulls. */
  readonly slots: Slots;
  /** Keeps these layers from being collected until the pull ends. */
  readonly hold: (keys: readonly string[]) => void;
  readonly report: OnProgress;
}

export interface FetchedImage {
  readonly id: string;
  readonly configJson: string;
  /** Lowest first. */
  readonly layers: readonly Layer[];
  readonly sizeBytes: bigint;
}

/** @param target what the reference stands for, from `repository.resolve`. */
export async function fetchImage(
  repository: Repository,
  target: { digest: string; document: RegistryDocument | undefined },
  tools: PullTools,
  signal: AbortSignal,
): Promise<FetchedImage> {
  const name = formatReference(repository.reference);
  const { manifest, isChosen } = await fetchManifest(repository, target, tools.platform, signal);
  const configBytes = await repository.document(manifest.config, "image config", signal);
  const document = parseImageConfig(configBytes);
  verifyFits(name, manifest, document, isChosen ? undefined : tools.platform);
  const layers = await unpackLayers(repository, planLayers(manifest, document), tools, signal);
  return {
    id: manifest.config.digest,
    configJson: new TextDecoder("utf-8", { ignoreBOM: true }).decode(configBytes),
    layers,
    sizeBytes: BigInt(layers.reduce((sum, layer) => sum + layer.sizeBytes, configBytes.byteLength)),
  };
}

/** Follows indexes down to the manifest of our platform. `isChosen`: an index said that it is for our platform. */
async function fetchManifest(
  repository: Repository,
  target: { digest: string; document: RegistryDocument | undefined },
  platform: Platform,
  signal: AbortSignal,
): Promise<{ manifest: Manifest; isChosen: boolean }> {
  const name = formatReference(repository.reference);
  let document = target.document ?? (await repository.manifest(target.digest, signal));
  let parsed: Manifest | Index = parseManifest(document.bytes, document.contentType);
  let isChosen = false;
  for (let depth = 0; parsed.kind === "index"; depth++) {
    if (depth === maxIndexDepth) {
      throw new RuntimeError(
        "invalid-argument",
        `${name} is an index of indexes deeper than ${maxIndexDepth}`,
      );
    }
    const descriptor = selectPlatform(parsed.manifests, platform, name);
    document = await repository.manifest(descriptor.digest, signal);
    if (document.bytes.byteLength !== descriptor.sizeBytes) {
      throw new RuntimeError(
        "invalid-argument",
        `manifest ${descriptor.digest} has ${document.bytes.byteLength} bytes, its index says ${descriptor.sizeBytes}`,
      );
    }
    isChosen ||= descriptor.platform !== undefined;
    // The descriptor is part of what was verified; a header is not.
    parsed = parseManifest(document.bytes, descriptor.mediaType);
  }
  return { manifest: parsed, isChosen };
}

/** @param platform to hold the config against; undefined: an index has chosen. */
function verifyFits(
  name: string,
  manifest: Manifest,
  document: ImageDocument,
  platform: Platform | undefined,
): void {
  if (document.diffIds.length !== manifest.layers.length) {
    throw new RuntimeError(
      "invalid-argument",
      `${name} has ${manifest.layers.length} layers and ${document.diffIds.length} diff ids`,
    );
  }
  const { config } = document;
  if (!platform || config.os === "" || config.architecture === "") return;
  if (platformDistance(platform, configPlatform(config)) !== undefined) return;
  throw new RuntimeError(
    "invalid-argument",
    `${name} is not offered for ${formatPlatform(platform)}, only for ${formatPlatform(configPlatform(config))}`,
  );
}

interface PlannedLayer {
  readonly descriptor: LayerDescriptor;
  readonly diffId: string;
  /** Diff ids of the layers below, lowest first. */
  readonly parents: readonly string[];
}

/** Pairs the blobs with their diff ids, lowest first. */
function planLayers(manifest: Manifest, { diffIds }: ImageDocument): PlannedLayer[] {
  return manifest.layers.map((descriptor, i) => ({
    descriptor,
    diffId: diffIds[i] ?? "",
    parents: diffIds.slice(0, i),
  }));
}

/**
 * All layers at once, as far as there are slots; those that are here are not fetched. The first failure ends the
 * others, and nothing runs any more when this returns.
 */
async function unpackLayers(
  repository: Repository,
  plan: readonly PlannedLayer[],
  tools: PullTools,
  signal: AbortSignal,
): Promise<Layer[]> {
  // Whichever of the two names a layer will have (see LayerStore.unpack).
  const keys = plan.flatMap(({ diffId, parents }) => [diffId, chainId([...parents, diffId])]);
  tools.hold(keys);
  await tools.layers.verify(keys);
  const failing = new AbortController();
  const ends = AbortSignal.any([signal, failing.signal]);
  setMaxListeners(0, ends);
  const work = plan.map(async (layer) => {
    try {
      return await unpackLayer(repository, layer, tools, ends);
    } catch (error) {
      failing.abort(error); // the first one stays as the reason
      throw error;
    }
  });
  const settled = await Promise.allSettled(work);
  signal.throwIfAborted();
  ends.throwIfAborted();
  return settled.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

async function unpackLayer(
  repository: Repository,
  layer: PlannedLayer,
  tools: PullTools,
  signal: AbortSignal,
): Promise<Layer> {
  const { descriptor, diffId, parents } = layer;
  const progress = new LayerProgress(descriptor, tools.report);
  using _ = await tools.slots.take(signal);
  const here = tools.layers.match(diffId, parents);
  if (here) {
    progress.finish("exists");
    return here;
  }
  const unpacked = await tools.layers.unpack(
    {
      digest: descriptor.digest,
      sizeBytes: descriptor.sizeBytes,
      compression: descriptor.compression,
      diffId,
      parents,
      open: (inner) => repository.blob(descriptor, inner),
    },
    signal,
    (bytes) => progress.downloaded(bytes),
  );
  progress.finish("done");
  return unpacked;
}
