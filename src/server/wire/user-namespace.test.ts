/** What a kubelet says of user namespaces, and what nobody may say (KEP-127; CRI UserNamespace, Mount). */
import { expect, it } from "vitest";
import { NamespaceMode, UserNamespace, type UserNamespaceInit } from "../../../cri-api/index.ts";
import { mountIdMap, userNamespace, wireUserNamespace } from "./user-namespace.ts";

const line = { containerId: 0, hostId: 65_536, length: 65_536 };
const read = (init: UserNamespaceInit) =>
  userNamespace("userns_options", UserNamespace.decode(UserNamespace.encode(init)));

it("one range for users and groups from 0 on is the pod's, and is told again by its status", () => {
  const options = read({ mode: NamespaceMode.POD, uids: [line], gids: [line] });
  expect(options).toEqual({ user: "pod", idMap: { hostId: 65_536, length: 65_536 } });
  expect(wireUserNamespace(options)).toEqual({ mode: NamespaceMode.POD, uids: [line], gids: [line] });
});

it("NODE and nothing are the host's, but a container that says nothing has its pod's", () => {
  expect(read({ mode: NamespaceMode.NODE })).toEqual({ user: "node" });
  expect(userNamespace("userns_options", undefined)).toEqual({ user: undefined });
  expect(wireUserNamespace({ user: undefined })).toBeUndefined();
});

it.each([
  ["uids: 0 mappings", { mode: NamespaceMode.POD }],
  ["gids: 0 mappings", { mode: NamespaceMode.POD, uids: [line] }],
  ["uids: 2 mappings", { mode: NamespaceMode.POD, uids: [line, line], gids: [line] }],
  ["gids: 2 mappings", { mode: NamespaceMode.POD, uids: [line], gids: [line, line] }],
  ["uids and gids are not the same", { uids: [line], gids: [{ ...line, hostId: 1 }] }],
  ["uids and gids are not the same", { uids: [line], gids: [{ ...line, length: 1 }] }],
  ["uids: container_id 1", { uids: [{ ...line, containerId: 1 }], gids: [{ ...line, containerId: 1 }] }],
  ["uids: length 0", { uids: [{ ...line, length: 0 }], gids: [line] }],
  [
    "uids: length 65536 from host_id 4294967295",
    { uids: [{ ...line, hostId: 4_294_967_295 }], gids: [line] },
  ],
  [
    "uids: length 4294967295 from host_id 1",
    { uids: [{ ...line, hostId: 1, length: 4_294_967_295 }], gids: [line] },
  ],
  ["mode NODE takes no mappings", { mode: NamespaceMode.NODE, uids: [line] }],
  ["mode is CONTAINER", { mode: NamespaceMode.CONTAINER, uids: [line], gids: [line] }],
  ["mode is TARGET", { mode: NamespaceMode.TARGET }],
  ["mode 9 is unknown", { mode: 9 as NamespaceMode }],
] as const)("refused: %s", (text, init) => {
  expect(() => read(init)).toThrow(
    expect.objectContaining({ kind: "invalid-argument", message: expect.stringContaining(`userns_options`) }),
  );
  expect(() => read(init)).toThrow(text);
});

it("a mount has no mappings, or both of one range", () => {
  const wire = UserNamespace.decode(UserNamespace.encode({ uids: [line], gids: [line] }));
  expect(mountIdMap("mount", [], [])).toBeUndefined();
  expect(mountIdMap("mount", wire.uids, wire.gids)).toEqual({ hostId: 65_536, length: 65_536 });
  expect(() => mountIdMap("mount", wire.uids, [])).toThrow("mount.gid_mappings: 0 mappings");
});
