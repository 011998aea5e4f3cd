/**
 * Keeps web pages away from the streams. A page's requests carry `Origin`, and a page that was made to look like
 * this host's own (DNS rebinding) carries its own name in `Host`.
 *
 * A kubelet hands on the `Host` that it was called by itself: its node's address or name, with its own port. So
 * a name that is not known here passes when it comes with another port than ours, which no browser can send to us.
 */
import { isIP } from "node:net";
import { hostname } from "node:os";

export interface HostRules {
  /** The port we listen on. */
  readonly port: number;
  /** Further names this host is called by. */
  readonly names: readonly string[];
}

/** Why a request is refused; undefined when it is not. */
export function refusal(
  headers: { host?: string | undefined; origin?: string | undefined },
  rules: HostRules,
): string | undefined {
  if (headers.origin !== undefined) return "requests of web pages are refused: they have an Origin";
  const { host } = headers;
  if (host === undefined) return "Host is missing";
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)(?::(\d{1,5}))?$/.exec(host);
  const name = match?.[1]?.toLowerCase();
  if (name === undefined) return "Host is malformed";
  if (isIP(name.replace(/^\[|\]$/g, "")) !== 0) return undefined;
  const own = hostname().toLowerCase();
  if (name === "localhost" || name === own || name === own.split(".")[0]) return undefined;
  if (rules.names.some((known) => known.toLowerCase() === name)) return undefined;
  const port = match?.[3];
  if (port !== undefined && Number(port) !== rules.port) return undefined;
  return "Host is not a name of this node";
}
