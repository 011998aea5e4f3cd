/**
 * How the layers of an image lie on each other as folders of an overlay (image-spec layer.md).
 */

/** Owner and mode of a root folder. */
export interface RootAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** A layer as far as stacking needs to know it. */
export interface StackedLayer {
  readonly path: string;
  /** Of its root folder, when the layer lists one. */
  readonly root?: RootAttributes;
  /** Nothing of the layers below is to be seen: overlayfs merges root folders whatever their marks say. */
  readonly rootOpaque?: boolean;
}

/**
 * The folders for `lowerdir`, highest first. A layer that comes twice counts where it is highest, because
 * overlayfs refuses one folder twice, and all that the lower one shows or hides, the higher one does too.
 */
export function lowerFolders(layers: readonly StackedLayer[]): string[] {
  const folders = new Set<string>();
  for (const layer of layers.toReversed()) {
    folders.add(layer.path);
    if (layer.rootOpaque) break;
  }
  return [...folders];
}

/** Owner and mode of the image's root folder: of the highest layer that lists it, else root's, 0755. */
export function rootAttributes(layers: readonly StackedLayer[]): RootAttributes {
  for (const layer of layers.toReversed()) {
    if (layer.root) return layer.root;
    if (layer.rootOpaque) break;
  }
  return { mode: 0o755, uid: 0, gid: 0 };
}
