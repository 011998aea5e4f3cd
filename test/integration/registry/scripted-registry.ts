/**
 * A registry inside the test: it serves images from memory with ranges, keeps a record of every request, and a
 * script can take any request over, to stall, lie, redirect or break off.
 */
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { BuiltImage, BuiltIndex } from "../../support/image-builder.ts";

export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
  readonly body: string;
}

/** Returns true when it has taken the request over. */
export type Script = (request: SeenRequest, response: ServerResponse) => boolean | Promise<boolean>;

interface Document {
  readonly bytes: Uint8Array;
  readonly digest: string;
  readonly mediaType: string;
}

export class ScriptedRegistry implements AsyncDisposable {
  readonly host: string;
  readonly url: string;
  readonly requests: SeenRequest[] = [];
  script: Script = () => false;
  readonly #server: Server;
  readonly #manifests = new Map<string, Document>();
  readonly #blobs = new Map<string, Document>();

  private constructor(server: Server, scheme: string) {
    this.#server = server;
    const { port } = server.address() as AddressInfo;
    this.host = `127.0.0.1:${port}`;
    this.url = `${scheme}://${this.host}`;
  }

  static async start(o: { tls?: { cert: string; key: string } } = {}): Promise<ScriptedRegistry> {
    let registry: ScriptedRegistry | undefined;
    const listener: RequestListener = (request, response) => {
      registry?.answer(request, response).catch((error: unknown) => response.destroy(error as Error));
    };
    const server = o.tls ? createTlsServer(o.tls, listener) : createServer(listener);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    registry = new ScriptedRegistry(server, o.tls ? "https" : "http");
    return registry;
  }

  /** Holds `what` under `repository:tag`; returns the reference. */
  add(repository: string, tag: string, what: BuiltImage | BuiltIndex): string {
    for (const image of "images" in what ? what.images : [what]) {
      for (const blob of [image.config, ...image.layers]) this.#blobs.set(blob.digest, blob);
      this.#manifests.set(image.manifest.digest, image.manifest);
    }
    this.#manifests.set(what.manifest.digest, what.manifest);
    this.#manifests.set(`${repository}:${tag}`, what.manifest);
    return `${this.host}/${repository}:${tag}`;
  }

  /** Requests for a path that contains `part`. */
  seen(part: string): SeenRequest[] {
    return this.requests.filter(({ url }) => url.includes(part));
  }

  /** Waits until `count` requests for `part` have come. */
  async until(part: string, count = 1): Promise<void> {
    while (this.seen(part).length < count) await once(this.#server, "seen");
  }

  async answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of message) body += String(chunk);
    const request: SeenRequest = {
      method: message.method ?? "",
      url: message.url ?? "",
      authorization: message.headers.authorization,
      range: message.headers.range,
      body,
    };
    this.requests.push(request);
    this.#server.emit("seen");
    if (!(await this.script(request, response))) this.serve(request, response);
  }

  /** What an honest registry answers. */
  serve(request: SeenRequest, response: ServerResponse): void {
    const path = request.url.replace(/\?.*/, "");
    const [, repository = "", kind, name = ""] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path) ?? [];
    const found =
      kind === "blobs"
        ? this.#blobs.get(name)
        : (this.#manifests.get(name) ?? this.#manifests.get(`${repository}:${name}`));
    if (!found) {
      response.writeHead(404, { "content-type": "application/json" });
      response.end('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}');
      return;
    }
    const from = Number(/^bytes=(\d+)-$/.exec(request.range ?? "")?.[1] ?? 0);
    const bytes = found.bytes.subarray(from);
    response.writeHead(from > 0 ? 206 : 200, {
      "content-type": kind === "blobs" ? "application/octet-stream" : found.mediaType,
      "content-length": bytes.byteLength,
      "docker-content-digest": found.digest,
      ...(from > 0
        ? { "content-range": `bytes ${from}-${found.bytes.byteLength - 1}/${found.bytes.byteLength}` }
        : {}),
    });
    response.end(request.method === "HEAD" ? undefined : bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** Sends the headers of `length` bytes, then `bytes`, then breaks the connection (or holds it open). */
export async function sendPart(
  response: ServerResponse,
  bytes: Uint8Array,
  o: { length: number; status?: number; headers?: Record<string, string>; after: "break" | "hold" },
): Promise<void> {
  response.writeHead(o.status ?? 200, { "content-length": o.length, ...o.headers });
  response.flushHeaders();
  await new Promise<void>((resolve) =>
    response.write(bytes.byteLength > 0 ? bytes : Buffer.alloc(0), () => resolve()),
  );
  if (o.after === "break") response.destroy();
}

/** Writes without end until the other side goes away; returns how many bytes were taken. */
export async function sendForever(
  response: ServerResponse,
  headers: Record<string, string> = {},
  status = 200,
): Promise<number> {
  response.writeHead(status, headers);
  const block = Buffer.alloc(64 << 10, " ");
  let sent = 0;
  const closed = once(response, "close");
  while (!response.destroyed) {
    const goesOn = response.write(block);
    sent += block.byteLength;
    if (!goesOn) await Promise.race([once(response, "drain"), closed]);
  }
  return sent;
}
