/**
 * The ids of a user namespace, users and groups alike: those from 0 on are the host's from `hostId` on.
 * One range: all that a kubelet gives, and all that its volumes are mapped by.
 */
export interface IdMap {
  readonly hostId: number;
  readonly length: number;
}

/** A line of `uidMappings`. Source: runtime-spec config-linux.md, "User namespace mappings". */
export interface OciIdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export function sameIdMap(a: IdMap | undefined, b: IdMap | undefined): boolean {
  return a?.hostId === b?.hostId && a?.length === b?.length;
}

/** Who `id` is on the host. One that has no number there would be nobody's: the namespace's root has it instead. */
export function hostIdOf(map: IdMap | undefined, id: number): number {
  if (map === undefined) return id;
  return map.hostId + (id < map.length ? id : 0);
}

/** Both lists, as a container's `linux` and its mounts have them. */
export function ociMappings(map: IdMap): {
  uidMappings: readonly OciIdMapping[];
  gidMappings: readonly OciIdMapping[];
} {
  const lines = [{ containerID: 0, hostID: map.hostId, size: map.length }];
  return { uidMappings: lines, gidMappings: lines };
}
