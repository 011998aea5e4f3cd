/** The opening of a WebSocket. Source: RFC 6455, section 4.2. */
import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const maxOffered = 16;

/** The value of Sec-WebSocket-Accept; undefined when the request is not a valid opening. */
export function acceptKey(headers: IncomingHttpHeaders): string | undefined {
  const key = headers["sec-websocket-key"];
  if (headers["sec-websocket-version"] !== "13" || key === undefined) return undefined;
  if (!/^[A-Za-z0-9+/]{22}==$/.test(key)) return undefined;
  return createHash("sha1").update(`${key}${guid}`).digest("base64");
}

/** The names in a header that is a list, in the client's order. */
export function offered(header: string | readonly string[] | undefined): readonly string[] {
  if (header === undefined) return [];
  const text = typeof header === "string" ? header : header.join(",");
  return text
    .split(",", maxOffered)
    .map((name) => name.trim())
    .filter((name) => name !== "");
}
