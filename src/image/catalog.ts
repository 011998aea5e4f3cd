/** The images that are here, in memory, and how they are found: by id, short id, tag or digest. */
import { errorKind, RuntimeError } from "../errors/runtime-error.ts";
import { formatReference, parseReference } from "../oci/reference.ts";
import type { Image } from "./image.ts";

/** Fewer hex digits are taken for a name only. */
const minPrefix = 6;

export class Catalog {
  readonly #byId = new Map<string, Image>();
  /** Tags and digests. A tag names one image, a digest too. */
  readonly #byName = new Map<string, Image>();

  get(id: string): Image | undefined {
    return this.#byId.get(id);
  }

  list(): readonly Image[] {
    return [...this.#byId.values()];
  }

  /** The image that holds this tag or digest, in its full form. */
  byName(name: string): Image | undefined {
    return this.#byName.get(name);
  }

  /** The image that was pulled as `digest` (of a manifest or index) from any repository. */
  byManifest(digest: string): Image | undefined {
    for (const [name, image] of this.#byName) if (name.endsWith(`@${digest}`)) return image;
    return undefined;
  }

  /** Adds or replaces. Whoever else held one of its tags must be put without it first. */
  put(image: Image): void {
    this.#forgetNames(image.id);
    this.#byId.set(image.id, image);
    for (const name of [...image.repoTags, ...image.repoDigests]) this.#byName.set(name, image);
  }

  remove(id: string): void {
    this.#forgetNames(id);
    this.#byId.delete(id);
  }

  #forgetNames(id: string): void {
    const old = this.#byId.get(id);
    if (!old) return;
    for (const name of [...old.repoTags, ...old.repoDigests]) {
      if (this.#byName.get(name)?.id === id) this.#byName.delete(name);
    }
  }

  /**
   * @param ref id with or without `sha256:`, the beginning of one (6 hex digits or more), name, name:tag or name@digest.
   * A name wins over the beginning of an id.
   * @throws RuntimeError `invalid-argument` when several ids begin so.
   */
  find(ref: string): Image | undefined {
    const id = ref.startsWith("sha256:") ? ref : `sha256:${ref}`;
    return this.#byId.get(id) ?? this.#byName.get(nameOf(ref) ?? "") ?? this.#findByPrefix(id);
  }

  /** The tag or digest by which `ref` finds an image; undefined when it is an id or the beginning of one. */
  nameFor(ref: string): string | undefined {
    const id = ref.startsWith("sha256:") ? ref : `sha256:${ref}`;
    if (this.#byId.has(id)) return undefined;
    const name = nameOf(ref);
    return name !== undefined && this.#byName.has(name) ? name : undefined;
  }

  #findByPrefix(id: string): Image | undefined {
    if (!/^sha256:[0-9a-f]+$/.test(id) || id.length < "sha256:".length + minPrefix) return undefined;
    const found = this.list().filter((image) => image.id.startsWith(id));
    if (found.length > 1) {
      throw new RuntimeError("invalid-argument", `image id ${id} is ambiguous: give more of it`);
    }
    return found[0];
  }
}

/** The full form of a reference, undefined when it is none. */
function nameOf(ref: string): string | undefined {
  try {
    return formatReference(parseReference(ref));
  } catch (error) {
    if (errorKind(error) === "invalid-argument") return undefined;
    throw error;
  }
}
