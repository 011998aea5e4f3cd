/** Chain ids: the name of a layer together with all that lies below it (image-spec config.md, "Layer ChainID"). */
import { sha256 } from "./digest.ts";

/** @param diffIds lowest first, at least one. */
export function chainId(diffIds: readonly string[]): string {
  return diffIds.reduce((chain, diffId) => (chain === "" ? diffId : sha256(`${chain} ${diffId}`)), "");
}
