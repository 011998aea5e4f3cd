/** Images over a real layer store, database and registry client, in a folder of its own. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { LayerStore } from "../../../src/content/layer-store.ts";
import { Images, type ImagesOptions } from "../../../src/image/images.ts";
import { storedRecords } from "../../../src/image/stored-records.ts";
import { createLogger } from "../../../src/log/log.ts";
import { hostPlatform, type Platform } from "../../../src/oci/platform.ts";
import { RegistryClient, type RegistryHosts } from "../../../src/registry/client.ts";
import { Store } from "../../../src/store/store.ts";
import { type TempDir, tempDir } from "../../support/temp-dir.ts";
import { fastTiming } from "../registry/client.ts";

export const unpackBinary = join(import.meta.dirname, "../../../build/bin/kobako-unpack");

export class ImagesFixture implements AsyncDisposable {
  readonly images: Images;
  readonly layers: LayerStore;
  readonly root: string;
  /** Ids of images that a container uses. */
  readonly used: Set<string>;
  readonly #store: Store;
  readonly #registry: RegistryClient;
  readonly #folder: TempDir | undefined;

  private constructor(o: {
    images: Images;
    layers: LayerStore;
    root: string;
    used: Set<string>;
    store: Store;
    registry: RegistryClient;
    folder: TempDir | undefined;
  }) {
    this.images = o.images;
    this.layers = o.layers;
    this.root = o.root;
    this.used = o.used;
    this.#store = o.store;
    this.#registry = o.registry;
    this.#folder = o.folder;
  }

  /** @param o.root a folder to keep at the end, e.g. of the fixture before: as a restarted daemon would. */
  static async open(
    o: { root?: string; hosts?: RegistryHosts } & Partial<
      Pick<ImagesOptions, "orphanGraceMs"> & { platform: Platform | ImagesOptions["platform"] }
    > = {},
  ): Promise<ImagesFixture> {
    const folder = o.root === undefined ? await tempDir("images") : undefined;
    const root = o.root ?? folder?.path ?? "";
    await mkdir(root, { recursive: true });
    const log = createLogger({ level: "silent" });
    const layers = new LayerStore({ root: join(root, "layers"), unpackBinary, log });
    await layers.open();
    const store = await Store.open(join(root, "kobako.db"), (message) => {
      throw new Error(message);
    });
    const registry = new RegistryClient({ hosts: () => o.hosts ?? {}, timing: fastTiming });
    const used = new Set<string>();
    const platform = typeof o.platform === "object" ? o.platform : hostPlatform();
    const images = new Images({
      layers,
      registry,
      records: storedRecords(store, (_, error) => {
        throw error;
      }),
      platform: typeof o.platform === "function" ? o.platform : () => platform,
      log,
      inUse: (id) => used.has(id),
      ...(o.orphanGraceMs === undefined ? {} : { orphanGraceMs: o.orphanGraceMs }),
    });
    await images.load();
    return new ImagesFixture({ images, layers, root, used, store, registry, folder });
  }

  layerKeys(): string[] {
    return this.layers.list().map(({ key }) => key);
  }

  /** Stops as a daemon does; the folder stays if it was given. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.images.close();
    this.#registry.close();
    await this.#store.close();
    await this.#folder?.[Symbol.asyncDispose]();
  }
}
