/** CRI UserNamespace and IDMapping to values. Pure. What is refused is what containerd and CRI-O refuse. */
import {
  type IDMapping,
  type IDMappingInit,
  NamespaceMode,
  type UserNamespace,
  type UserNamespaceInit,
} from "../../../cri-api/index.ts";
import { RuntimeError } from "../../errors/runtime-error.ts";
import { type IdMap, sameIdMap } from "../../oci/id-map.ts";
import type { UserNamespaceOptions } from "../../sandbox/config.ts";
import { enumName } from "./fields.ts";

/** The last of the 32-bit ids, 4294967295, is none (user_namespaces(7)). */
const ids = 2 ** 32 - 1;

const modeNames: Readonly<Record<number, string>> = {
  [NamespaceMode.POD]: "POD",
  [NamespaceMode.CONTAINER]: "CONTAINER",
  [NamespaceMode.NODE]: "NODE",
  [NamespaceMode.TARGET]: "TARGET",
};

/** @throws RuntimeError `invalid-argument` naming the field. */
export function userNamespace(field: string, wire: UserNamespace | undefined): UserNamespaceOptions {
  if (wire === undefined) return { user: undefined };
  const mode = enumName(`${field}.mode`, modeNames, wire.mode);
  switch (mode) {
    case "NODE":
      if (wire.uids.length + wire.gids.length > 0)
        throw new RuntimeError("invalid-argument", `${field}: mode NODE takes no mappings`);
      return { user: "node" };
    case "POD":
      return { user: "pod", idMap: idMap(field, "uids", wire.uids, "gids", wire.gids) };
    default:
      throw new RuntimeError("invalid-argument", `${field}.mode is ${mode}: it takes POD or NODE`);
  }
}

/** Mappings of a mount; undefined: it has none. @throws RuntimeError `invalid-argument` naming the field. */
export function mountIdMap(
  field: string,
  uids: readonly IDMapping[],
  gids: readonly IDMapping[],
): IdMap | undefined {
  if (uids.length + gids.length === 0) return undefined;
  return idMap(field, "uid_mappings", uids, "gid_mappings", gids);
}

function idMap(
  field: string,
  uidsName: string,
  uids: readonly IDMapping[],
  gidsName: string,
  gids: readonly IDMapping[],
): IdMap {
  const map = range(`${field}.${uidsName}`, uids);
  if (!sameIdMap(map, range(`${field}.${gidsName}`, gids)))
    throw new RuntimeError(
      "invalid-argument",
      `${field}: ${uidsName} and ${gidsName} are not the same range`,
    );
  return map;
}

function range(field: string, lines: readonly IDMapping[]): IdMap {
  const [line] = lines;
  if (line === undefined || lines.length > 1)
    throw new RuntimeError("invalid-argument", `${field}: ${lines.length} mappings, expected one`);
  const { containerId, hostId, length } = line;
  if (containerId !== 0)
    throw new RuntimeError(
      "invalid-argument",
      `${field}: container_id ${containerId}: expected 0, so that there is a root`,
    );
  if (length < 1 || hostId + length > ids)
    throw new RuntimeError(
      "invalid-argument",
      `${field}: length ${length} from host_id ${hostId} on: expected 1 or more, below ${ids}`,
    );
  return { hostId, length };
}

export function wireIdMap(map: IdMap | undefined): IDMappingInit[] {
  return map === undefined ? [] : [{ containerId: 0, ...map }];
}

/** undefined: a pod in the host's, of whom nobody asked. */
export function wireUserNamespace({ user, idMap: map }: UserNamespaceOptions): UserNamespaceInit | undefined {
  if (user === undefined) return undefined;
  const mode = user === "pod" ? NamespaceMode.POD : NamespaceMode.NODE;
  return { mode, uids: wireIdMap(map), gids: wireIdMap(map) };
}
