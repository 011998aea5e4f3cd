/**
 * ImageService of the CRI, and the Pull of kobako.v1 that shows its progress: translations between messages and
 * src/image. Credentials pass through here and are kept nowhere.
 */
import {
  type AuthConfig,
  type FilesystemUsageInit,
  type ImageInit,
  type ImageSpec,
  type imageService,
  type kobako,
  type ListImagesRequest,
  PullLayerState,
  type PullEventInit,
  type PullRequest,
} from "../../cri-api/index.ts";
import { RuntimeError } from "../errors/runtime-error.ts";
import type { Image, Images, LayerState, PullProgress } from "../image/images.ts";
import type { RegistryAuth } from "../registry/client.ts";
import type { Handlers } from "./grpc-server.ts";

/** Space taken on a filesystem, as src/image and src/snapshot count it. */
export interface SpaceUsed {
  readonly mountpoint: string;
  readonly usedBytes: bigint;
  readonly inodesUsed: bigint;
  readonly takenAtNs: bigint;
}

/** Images in one message of StreamImages. */
const chunkImages = 100;

export interface ImageServiceDeps {
  readonly images: Images;
  /** What all containers have written to their root filesystems. */
  readonly writableLayers: () => Promise<SpaceUsed>;
}

/** The handlers of ImageService and of kobako.v1, in one object: serve it under both tables. */
export function imageHandlers(
  deps: ImageServiceDeps,
): Handlers<typeof imageService> & Handlers<typeof kobako> {
  const { images } = deps;
  const list = (request: ListImagesRequest): ImageInit[] => {
    const name = request.filter?.image?.image ?? "";
    return images.list(name === "" ? undefined : name).map(imageMessage);
  };
  return {
    async listImages(request) {
      return { images: list(request) };
    },

    async *streamImages(request) {
      const all = list(request);
      for (let i = 0; i < all.length; i += chunkImages) yield { images: all.slice(i, i + chunkImages) };
    },

    /** An image that is not here is an answer without `image`: a kubelet asks in order to know. */
    async imageStatus(request) {
      const image = images.find(named(request.image));
      if (!image) return {};
      return {
        image: imageMessage(image),
        ...(request.verbose ? { info: { info: verboseInfo(image) } } : {}),
      };
    },

    async pullImage(request, signal) {
      const ref = named(request.image);
      const runtimeHandler = request.image?.runtimeHandler ?? "";
      const image = await images.pull(ref, { auth: registryAuth(request.auth), runtimeHandler }, signal);
      return { imageRef: image.id };
    },

    /** Unknown images are removed already. */
    async removeImage(request) {
      await images.remove(named(request.image));
      return {};
    },

    async imageFsInfo() {
      const [used, writable] = await Promise.all([images.fsInfo(), deps.writableLayers()]);
      return { imageFilesystems: [usageMessage(used)], containerFilesystems: [usageMessage(writable)] };
    },

    pull: (request, signal) => pullWithProgress(images, request, signal),
  };
}

/** A pull that tells how far it is. */
async function* pullWithProgress(
  images: Images,
  request: PullRequest,
  signal: AbortSignal,
): AsyncGenerator<PullEventInit> {
  if (request.image === "") throw noName();
  // The newest of each layer: a slow reader misses steps, not layers, and holds no queue.
  const news = new Map<string, PullProgress>();
  let wake = () => {};
  const onProgress = (progress: PullProgress) => {
    news.set(progress.digest, progress);
    wake();
  };
  let done = false;
  const pulled = images.pull(request.image, { auth: request.credentials, onProgress }, signal).finally(() => {
    done = true;
    wake();
  });
  // Seen by the await below; until then nobody may call it unhandled.
  pulled.catch(() => {});
  while (!done || news.size > 0) {
    const batch = [...news.values()];
    news.clear();
    for (const progress of batch) yield { layer: layerMessage(progress) };
    if (news.size > 0 || done) continue;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
  yield { imageRef: (await pulled).id };
}

/** @throws RuntimeError `invalid-argument` */
function named(spec: ImageSpec | undefined): string {
  if (spec === undefined || spec.image === "") throw noName();
  return spec.image;
}

function noName(): RuntimeError {
  return new RuntimeError("invalid-argument", "image is not named: set image.image");
}

function registryAuth(auth: AuthConfig | undefined): RegistryAuth | undefined {
  if (!auth || Object.values(auth).every((value) => value === "")) return undefined;
  return auth;
}

/** An Image message. Source: cri-api/runtime/v1/api.proto, message Image. */
export function imageMessage(image: Image): ImageInit {
  return {
    id: image.id,
    repoTags: image.repoTags,
    repoDigests: image.repoDigests,
    size: image.sizeBytes,
    ...imageUser(image.user),
    spec: { image: image.repoTags[0] ?? image.repoDigests[0] ?? image.id },
    pinned: image.pinned,
  };
}

/** The largest uid; 2^32 - 1 means "leave it" to the kernel (chown(2)). */
const maxUid = 0xffff_fffen;

/**
 * The user part of an image's `user[:group]`: a number as uid, else a name; neither when the image names none. A
 * kubelet refuses to run an image as non-root when it is told a name, so what looks like a number and is none stays
 * a name.
 */
export function imageUser(user: string): Pick<ImageInit, "uid" | "username"> {
  const [name = ""] = user.split(":");
  if (name === "") return {};
  if (!/^\d{1,10}$/.test(name) || BigInt(name) > maxUid) return { username: name };
  return { uid: { value: BigInt(name) } };
}

function verboseInfo(image: Image): string {
  const { config } = image;
  return JSON.stringify({
    imageSpec: {
      created: config.created,
      architecture: config.architecture,
      os: config.os,
      ...(config.variant === "" ? {} : { variant: config.variant }),
      config: {
        User: config.user,
        Env: config.env,
        Entrypoint: config.entrypoint,
        Cmd: config.cmd,
        WorkingDir: config.workingDir,
        StopSignal: config.stopSignal,
        Labels: config.labels,
        Volumes: config.volumes,
        ExposedPorts: config.exposedPorts,
      },
    },
    layers: image.layers,
    pulledAt: new Date(Number(image.pulledAtNs / 1_000_000n)).toISOString(),
  });
}

function usageMessage(used: SpaceUsed): FilesystemUsageInit {
  return {
    timestamp: used.takenAtNs,
    fsId: { mountpoint: used.mountpoint },
    usedBytes: { value: used.usedBytes },
    inodesUsed: { value: used.inodesUsed },
  };
}

const layerStates: Readonly<Record<LayerState, PullLayerState>> = {
  waiting: PullLayerState.PULL_LAYER_WAITING,
  downloading: PullLayerState.PULL_LAYER_DOWNLOADING,
  extracting: PullLayerState.PULL_LAYER_EXTRACTING,
  done: PullLayerState.PULL_LAYER_DONE,
  exists: PullLayerState.PULL_LAYER_EXISTS,
};

function layerMessage(progress: PullProgress): PullEventInit["layer"] {
  return {
    digest: progress.digest,
    state: layerStates[progress.state],
    doneBytes: BigInt(progress.bytes),
    totalBytes: BigInt(progress.totalBytes),
  };
}
