/**
 * From an HTTP request to a protocol: which one the client wants, and the answer that begins it. Pure, but for
 * the bytes it returns. Source: RFC 9110 section 7.8, RFC 6455 section 4.2, and what Kubernetes' clients send.
 */
import type { IncomingMessage } from "node:http";
import { type SpdyCommandProtocol, spdyCommandProtocols } from "./command/spdy-command.ts";
import { type WebSocketCommandProtocol, webSocketCommandProtocols } from "./command/websocket-command.ts";
import { portForwardProtocol } from "./port-forward/spdy-port-forward.ts";
import { webSocketPortForwardProtocol } from "./port-forward/websocket-port-forward.ts";
import { acceptKey, offered } from "./websocket/handshake.ts";

export const tunnelProtocol = `SPDY/3.1+${portForwardProtocol}`;

/** A protocol that was agreed on; `answer`: the lines of the 101 answer that are its own. */
export type CommandUpgrade = { readonly answer: readonly string[] } & (
  | { readonly kind: "spdy"; readonly protocol: SpdyCommandProtocol }
  | { readonly kind: "websocket"; readonly protocol: WebSocketCommandProtocol }
);
export interface PortForwardUpgrade {
  readonly kind: "spdy" | "tunnel" | "websocket";
  readonly answer: readonly string[];
}

/** A request that is not upgraded: the status and sentence of the answer, and further lines of it. */
export interface Refusal {
  readonly status: 400 | 403 | 404 | 405 | 503;
  readonly text: string;
  readonly lines?: readonly string[];
}

export function isRefusal(value: object): value is Refusal {
  return "status" in value;
}

export function commandUpgrade(request: IncomingMessage): CommandUpgrade | Refusal {
  const to = upgradeTarget(request);
  if (typeof to === "object") return to;
  if (to === "spdy") {
    const agreed = spdyProtocol(request, spdyCommandProtocols, "channel.k8s.io");
    return "status" in agreed ? agreed : { kind: "spdy", ...agreed };
  }
  const agreed = webSocketProtocol(request, webSocketCommandProtocols);
  return "status" in agreed ? agreed : { kind: "websocket", ...agreed };
}

export function portForwardUpgrade(request: IncomingMessage): PortForwardUpgrade | Refusal {
  const to = upgradeTarget(request);
  if (typeof to === "object") return to;
  if (to === "spdy") {
    const agreed = spdyProtocol(request, [portForwardProtocol], portForwardProtocol);
    return "status" in agreed ? agreed : { kind: "spdy", answer: agreed.answer };
  }
  const agreed = webSocketProtocol(request, [tunnelProtocol, webSocketPortForwardProtocol]);
  if ("status" in agreed) return agreed;
  return { kind: agreed.protocol === tunnelProtocol ? "tunnel" : "websocket", answer: agreed.answer };
}

function upgradeTarget(request: IncomingMessage): "spdy" | "websocket" | Refusal {
  const { upgrade, connection } = request.headers;
  const length = request.headers["content-length"];
  if ((length !== undefined && length !== "0") || request.headers["transfer-encoding"] !== undefined)
    return { status: 400, text: "a request to upgrade has no body" };
  if (!offered(connection).some((option) => option.toLowerCase() === "upgrade"))
    return { status: 400, text: "Upgrade request required" };
  const targets = offered(upgrade).map((target) => target.toLowerCase());
  if (targets.includes("spdy/3.1")) {
    if (request.method !== "POST" && request.method !== "GET")
      return { status: 405, text: "use POST or GET" };
    return "spdy";
  }
  if (targets.includes("websocket")) {
    if (request.method !== "GET") return { status: 405, text: "use GET" };
    return "websocket";
  }
  return { status: 400, text: "upgrade to SPDY/3.1 or websocket" };
}

/** The client's first choice that we know; `silent`: what a client means that names none. */
function spdyProtocol<P extends string>(
  request: IncomingMessage,
  known: readonly P[],
  silent: P,
): { protocol: P; answer: readonly string[] } | Refusal {
  const header = request.headers["x-stream-protocol-version"];
  const wanted = header === undefined ? [silent] : offered(header);
  const protocol = wanted
    .map((name) => known.find((ours) => ours === name))
    .find((found) => found !== undefined);
  if (protocol === undefined) {
    return {
      status: 403,
      text: `no protocol in common: this server speaks ${known.join(", ")}`,
      lines: known.map((name) => `X-Accepted-Stream-Protocol-Versions: ${name}`),
    };
  }
  return { protocol, answer: ["Upgrade: SPDY/3.1", `X-Stream-Protocol-Version: ${protocol}`] };
}

function webSocketProtocol<P extends string>(
  request: IncomingMessage,
  known: readonly P[],
): { protocol: P; answer: readonly string[] } | Refusal {
  const accept = acceptKey(request.headers);
  if (accept === undefined)
    return {
      status: 400,
      text: "not a WebSocket request of version 13",
      lines: ["Sec-WebSocket-Version: 13"],
    };
  const protocol = offered(request.headers["sec-websocket-protocol"])
    .map((name) => known.find((ours) => ours === name))
    .find((found) => found !== undefined);
  if (protocol === undefined)
    return { status: 400, text: `no protocol in common: this server speaks ${known.join(", ")}` };
  const answer = [
    "Upgrade: websocket",
    `Sec-WebSocket-Accept: ${accept}`,
    `Sec-WebSocket-Protocol: ${protocol}`,
  ];
  return { protocol, answer };
}

const reasons = {
  101: "Switching Protocols",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  503: "Service Unavailable",
} as const;

/** The head of the answer that begins a protocol. */
export function switchingProtocols(answer: readonly string[]): string {
  return `HTTP/1.1 101 ${reasons[101]}\r\nConnection: Upgrade\r\n${answer.join("\r\n")}\r\n\r\n`;
}

/** A whole answer, after which the connection is closed. */
export function refusalText({ status, text, lines = [] }: Refusal): string {
  const body = `${text}\n`;
  const head = [
    `HTTP/1.1 ${status} ${reasons[status]}`,
    "Connection: close",
    "Content-Type: text/plain; charset=utf-8",
    "X-Content-Type-Options: nosniff",
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...lines,
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}
