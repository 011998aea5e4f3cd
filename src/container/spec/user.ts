/** Who a container asks to run as: what is then looked up inside its root. Pure. */
import { RuntimeError } from "../../errors/runtime-error.ts";
import type { ContainerSecurity } from "../config.ts";

/** As the runtime's `prepare` takes it. */
export interface UserRequest {
  /** "name", "name:group", "uid", "uid:gid" or "" for root. */
  readonly user: string;
  /** A gid that replaces the group of `user`; "": none. */
  readonly group: string;
  readonly supplementalGroups: readonly number[];
  readonly groupsPolicy: "merge" | "strict";
}

const maxId = 2n ** 31n - 1n;
/** Forms that some program reads as a number. Only plain decimal digits are one here. */
const numeric = /^[+-]?(0x[0-9a-f]+|\d+(\.\d*)?(e[+-]?\d+)?)$/i;

/**
 * The request's user name or uid before the image's user. With one of the request the image's group
 * does not count: the group is the user's own, or `run_as_group`.
 * @throws RuntimeError `invalid-argument` for an id out of range and for what looks like a number and
 * is none: it is never looked up as a name.
 */
export function userRequest(
  security: Pick<
    ContainerSecurity,
    "runAsUser" | "runAsUsername" | "runAsGroup" | "supplementalGroups" | "supplementalGroupsPolicy"
  >,
  imageUser: string,
): UserRequest {
  const user = security.runAsUsername || security.runAsUser?.toString() || imageUser;
  const parts = user.split(":");
  if (parts.length > 2) throw new RuntimeError("invalid-argument", `user "${user}" is no user:group`);
  for (const part of parts) checkPart(user, part);
  if (security.runAsGroup !== undefined) checkId("run_as_group", security.runAsGroup);
  for (const gid of security.supplementalGroups) checkId("supplemental_groups", gid);
  return {
    user,
    group: security.runAsGroup?.toString() ?? "",
    supplementalGroups: security.supplementalGroups.map(Number),
    groupsPolicy: security.supplementalGroupsPolicy,
  };
}

function checkPart(user: string, part: string): void {
  if (/[\0\n\r,]/.test(part))
    throw new RuntimeError("invalid-argument", `user ${JSON.stringify(user)} has an odd character`);
  if (!numeric.test(part)) return;
  if (!/^\d+$/.test(part))
    throw new RuntimeError(
      "invalid-argument",
      `user "${user}": "${part}" is neither a plain number nor a name`,
    );
  checkId(`user "${user}"`, BigInt(part));
}

function checkId(field: string, id: bigint): void {
  if (id < 0n || id > maxId)
    throw new RuntimeError("invalid-argument", `${field}: id ${id} is not from 0 to ${maxId}`);
}
