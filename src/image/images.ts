/**
 * Images: pulled, listed, named, removed.
 * Enters: references and credentials of one call. Leaves: images whose layers are all on disk.
 * Keeps: records (through ImageRecords) and layers (through LayerStore); a record is written after its layers are
 * synced and removed before they are, so that none ever points at nothing.
 * Never: stores a credential, lets image content choose a name.
 */
import type { LayerStore } from "../content/layer-store.ts";
import { errorKind, errorText, RuntimeError } from "../errors/runtime-error.ts";
import type { Log } from "../log/log.ts";
import { configPlatform } from "../oci/image-config.ts";
import { formatPlatform, type Platform, platformDistance } from "../oci/platform.ts";
import { formatReference, parseReference, type Reference } from "../oci/reference.ts";
import { Credential, type RegistryAuth, type RegistryClient } from "../registry/client.ts";
import { Catalog } from "./catalog.ts";
import {
  type Image,
  type ImageRecord,
  type ImageRecords,
  imageOf,
  namesOf,
  noSuchImage,
  withNames,
  withoutName,
  withoutTag,
} from "./image.ts";
import { Joins } from "./joins.ts";
import { LayerKeeper } from "./layer-keeper.ts";
import { type OnProgress, LayerProgress } from "./progress.ts";
import { fetchImage } from "./pull.ts";
import { Slots } from "./slots.ts";

export type { Image, ImageRecord, ImageRecords } from "./image.ts";
export type { LayerState, PullProgress } from "./progress.ts";

export interface ImagesOptions {
  readonly layers: LayerStore;
  readonly registry: RegistryClient;
  readonly records: ImageRecords;
  /** What images for this runtime handler must be made for; "": for the default one. */
  readonly platform: (runtimeHandler: string) => Platform;
  readonly log: Log;
  /** Whether a container is made from this image. */
  readonly inUse: (imageId: string) => boolean;
  /** Layers fetched and unpacked at once, over all pulls. Default 6. */
  readonly parallelLayers?: number;
  /** How long layers without an image are kept for the next try of a pull. Default 10 minutes. */
  readonly orphanGraceMs?: number;
}

export interface PullOptions {
  readonly auth?: RegistryAuth | undefined;
  /** The image is pulled for this handler's platform. */
  readonly runtimeHandler?: string;
  readonly onProgress?: OnProgress;
}

export interface ImageFsInfo {
  readonly mountpoint: string;
  readonly usedBytes: bigint;
  readonly inodesUsed: bigint;
  readonly takenAtNs: bigint;
}

export class Images {
  readonly #o: ImagesOptions;
  readonly #catalog = new Catalog();
  /** Records by id, those of broken images too. */
  readonly #records = new Map<string, ImageRecord>();
  /** Images whose layers are gone: not shown, repaired by a pull, forgotten when no container needs them. */
  readonly #broken = new Set<string>();
  readonly #pulls = new Joins<Image>();
  readonly #slots: Slots;
  readonly #keeper: LayerKeeper;
  #collecting: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(o: ImagesOptions) {
    this.#o = o;
    this.#slots = new Slots(o.parallelLayers ?? 6);
    this.#keeper = new LayerKeeper({
      layers: o.layers,
      referenced: () => [...this.#records.values()].flatMap(({ layers }) => layers),
      graceMs: o.orphanGraceMs ?? 600_000,
    });
  }

  /**
   * Reads the records. An image that is not whole is logged and not shown, and a pull repairs it. Call after the
   * layer store is open, once.
   */
  async load(): Promise<void> {
    const records = [...this.#o.records.all()].sort((a, b) => (a.pulledAtNs < b.pulledAtNs ? -1 : 1));
    const here = new Set(this.#o.layers.list().map(({ key }) => key));
    for (const record of records) this.#loadOne(record, here);
    await this.collect();
  }

  #loadOne(record: ImageRecord, here: ReadonlySet<string>): void {
    this.#records.set(record.id, record);
    const missing = record.layers.filter((key) => !here.has(key));
    try {
      if (missing.length > 0) {
        throw new RuntimeError("not-found", `layers ${missing.join(", ")} are gone`);
      }
      const image = imageOf(record);
      // After a cut between two records both may hold a tag: the later pull has it.
      for (const tag of image.repoTags) this.#takeTag(tag, image.id);
      this.#catalog.put(image);
    } catch (error) {
      this.#broken.add(record.id);
      this.#o.log.warn(
        { image: record.id, repoTags: record.repoTags, reason: errorText(error) },
        "image is damaged and not listed; pull it again",
      );
    }
  }

  /** Ends the timer of the garbage collection; pulls end by their own signals. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#collecting);
  }

  /**
   * @param ref id, beginning of an id, name, name:tag or name@digest.
   * @throws RuntimeError `invalid-argument` when the beginning of an id is ambiguous.
   */
  find(ref: string): Image | undefined {
    return this.#catalog.find(ref);
  }

  /** @throws RuntimeError `not-found`. */
  get(ref: string): Image {
    const image = this.find(ref);
    if (!image) throw noSuchImage(ref);
    return image;
  }

  /** All images, or the one that `filterRef` finds. */
  list(filterRef?: string): readonly Image[] {
    if (!filterRef) return this.#catalog.list();
    const image = this.find(filterRef);
    return image ? [image] : [];
  }

  /**
   * Makes the image that `ref` names now present. Asks the registry each time; what is here is not fetched again.
   * Answered only when a power cut cannot take it back. Equal calls under way join; each can be cancelled alone.
   * @throws RuntimeError `invalid-argument` (reference, platform, content), `not-found`, `unauthenticated`,
   * `permission-denied`, `unavailable`, `resource-exhausted`, `cancelled`.
   */
  async pull(ref: string, o: PullOptions, signal: AbortSignal): Promise<Image> {
    const reference = parseReference(ref);
    const key = JSON.stringify([
      formatReference(reference),
      Credential.of(o.auth).key,
      o.auth?.serverAddress ?? "",
      o.runtimeHandler ?? "",
    ]);
    return await this.#pulls.join(
      key,
      o.onProgress,
      (report, inner) =>
        this.#pull(reference, o.auth, this.#o.platform(o.runtimeHandler ?? ""), report, inner),
      signal,
    );
  }

  async #pull(
    reference: Reference,
    auth: RegistryAuth | undefined,
    platform: Platform,
    report: OnProgress,
    signal: AbortSignal,
  ): Promise<Image> {
    using held = this.#keeper.hold();
    try {
      const repository = this.#o.registry.repository(reference, auth);
      const target = await repository.resolve(signal);
      const names = namesOf(reference, target.digest);
      const known = this.#catalog.byManifest(target.digest);
      if (known && runsOn(platform, known)) {
        // Being here is no permission: the registry decides for each caller, also about a digest.
        if (reference.digest) await repository.confirm(reference.digest, signal);
        held.add(known.layers);
        if (await this.#isWhole(known)) return await this.#rename(known, names, report);
      }
      const fetched = await fetchImage(
        repository,
        target,
        {
          layers: this.#o.layers,
          platform,
          slots: this.#slots,
          hold: held.add,
          report,
        },
        signal,
      );
      await this.#o.layers.sync();
      return await this.#commit(fetched, names);
    } catch (error) {
      await this.#afterFailure(error, held);
      throw error;
    }
  }

  /** Whether all of the image is still here; what is damaged is not shown any more, as after a start. */
  async #isWhole(image: Image): Promise<boolean> {
    const whole = await this.#o.layers.verify(image.layers);
    if (this.#catalog.get(image.id) === undefined) return false; // removed meanwhile
    if (!whole) {
      this.#broken.add(image.id);
      this.#catalog.remove(image.id);
    }
    return whole;
  }

  /** The registry still says what we have: at most a name is new. */
  async #rename(
    image: Image,
    names: { tag: string | undefined; digest: string },
    report: OnProgress,
  ): Promise<Image> {
    for (const key of image.layers) new LayerProgress({ digest: key, sizeBytes: 0 }, report).finish("exists");
    const record = this.#records.get(image.id);
    if (!record) throw noSuchImage(image.id);
    return await this.#put(record, names);
  }

  async #commit(
    fetched: { id: string; configJson: string; layers: readonly { key: string }[]; sizeBytes: bigint },
    names: { tag: string | undefined; digest: string },
  ): Promise<Image> {
    const old = this.#records.get(fetched.id);
    const record: ImageRecord = {
      id: fetched.id,
      repoTags: old?.repoTags ?? [],
      repoDigests: old?.repoDigests ?? [],
      sizeBytes: fetched.sizeBytes,
      pinned: old?.pinned ?? false,
      layers: fetched.layers.map(({ key }) => key),
      configJson: fetched.configJson,
      pulledAtNs: 0n,
    };
    return await this.#put(record, names);
  }

  /** Writes `record` with the names of a pull and shows it, in one step for every reader; then makes it durable. */
  async #put(record: ImageRecord, names: { tag: string | undefined; digest: string }): Promise<Image> {
    const named = withNames(record, names);
    if (named !== this.#records.get(record.id)) {
      const changed = { ...named, pulledAtNs: BigInt(Date.now()) * 1_000_000n };
      const image = imageOf(changed);
      this.#o.records.put(changed);
      for (const tag of image.repoTags) this.#takeTag(tag, image.id);
      this.#records.set(image.id, changed);
      this.#broken.delete(image.id);
      this.#catalog.put(image);
    }
    await this.#o.records.sync();
    return this.get(record.id);
  }

  /** Takes `tag` from the image that has it, unless that is `id`. */
  #takeTag(tag: string, id: string): void {
    for (const record of this.#records.values()) {
      if (record.id === id || !record.repoTags.includes(tag)) continue;
      const without = withoutTag(record, tag);
      this.#o.records.put(without);
      this.#records.set(record.id, without);
      if (this.#catalog.get(record.id)) this.#catalog.put(imageOf(without));
    }
  }

  /** Space that a pull took in vain goes back at once when it ran out; else it waits for the next try. */
  async #afterFailure(error: unknown, held: ReturnType<LayerKeeper["hold"]>): Promise<void> {
    const isFull = errorKind(error) === "resource-exhausted";
    const keys = new Set(isFull ? held.keys : []);
    if (isFull) this.#forgetBroken();
    held[Symbol.dispose]();
    await this.collect(keys).catch((cause: unknown) => {
      this.#o.log.warn({ reason: errorText(cause) }, "layers of a failed pull were not collected");
    });
  }

  /**
   * Takes a name away, and with the last one (or by id) the image and the layers that no other image has. Unknown: done.
   * @throws RuntimeError `failed-precondition` when a container uses the image that would go.
   */
  async remove(ref: string): Promise<void> {
    const image = this.#catalog.find(ref);
    if (!image) return;
    const record = this.#records.get(image.id);
    const name = this.#catalog.nameFor(ref);
    if (record && name !== undefined) {
      const left = withoutName(record, name);
      if (left.repoTags.length + left.repoDigests.length > 0) {
        this.#o.records.put(left);
        this.#records.set(left.id, left);
        this.#catalog.put(imageOf(left));
        await this.#o.records.sync();
        return;
      }
    }
    if (this.#o.inUse(image.id)) {
      throw new RuntimeError(
        "failed-precondition",
        `image ${image.id} is used by a container; remove that first`,
        {
          subject: { image: image.id },
        },
      );
    }
    this.#forget(image.id);
    // Before the layers: a cut in between leaves garbage, never a record of something that is not there.
    await this.#o.records.sync();
    this.#forgetBroken();
    await this.collect(new Set(image.layers));
  }

  /** What is left of damaged images waits for a pull, until room is needed; never what a container stands on. */
  #forgetBroken(): void {
    for (const id of this.#broken) if (!this.#o.inUse(id)) this.#forget(id);
  }

  #forget(id: string): void {
    this.#o.records.remove(id);
    this.#records.delete(id);
    this.#broken.delete(id);
    this.#catalog.remove(id);
  }

  /**
   * Removes layers that no image, pull or container needs: those in `now` at once, others after their time of grace.
   * Runs by itself when one is due.
   */
  async collect(now: ReadonlySet<string> = new Set()): Promise<void> {
    const nextMs = await this.#keeper.collect(now);
    clearTimeout(this.#collecting);
    if (nextMs === undefined || this.#isClosed) return;
    this.#collecting = setTimeout(() => {
      this.collect().catch((error: unknown) => {
        this.#o.log.warn({ reason: errorText(error) }, "layers without an image were not collected");
      });
    }, nextMs + 1000).unref();
  }

  /** What images take on disk. */
  async fsInfo(): Promise<ImageFsInfo> {
    const usage = await this.#o.layers.usage();
    return {
      mountpoint: usage.mountpoint,
      usedBytes: BigInt(usage.usedBytes),
      inodesUsed: BigInt(usage.inodesUsed),
      takenAtNs: BigInt(Date.now()) * 1_000_000n,
    };
  }

  /** For messages. */
  get platform(): string {
    return formatPlatform(this.#o.platform(""));
  }
}

/** One index may have been pulled for another handler's platform. An image that names none runs anywhere. */
function runsOn(platform: Platform, { config }: Image): boolean {
  return config.architecture === "" || platformDistance(platform, configPlatform(config)) !== undefined;
}
