/**
 * One HTTP exchange with a registry over node:http and node:https: connections are kept and reused, every wait has
 * an end, and trust is settled per host. Redirects are followed with the credentials left behind at a change of
 * origin.
 */
import { addAbortListener } from "node:events";
import { readFile } from "node:fs/promises";
import {
  Agent as HttpAgent,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as httpRequest,
} from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import { RuntimeError } from "../errors/runtime-error.ts";
import { Body } from "./body.ts";
import { isLoopback, type RegistryHostSettings, type RegistryHosts, settingsOf } from "./endpoint.ts";
import { connectionFailure, RegistryError } from "./failure.ts";
import type { RegistryTiming } from "./retry.ts";

export interface Call {
  readonly method: "GET" | "HEAD" | "POST";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** The Authorization header; sent to the origin of `url` only. */
  readonly authorization?: string | undefined;
  readonly body?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Of the server that answered in the end. */
  readonly origin: string;
  /** To be read or discarded by the receiver. */
  readonly body: Body;
}

const maxRedirects = 10;
const maxHeaderBytes = 32 << 10;
const idleConnectionMs = 15_000;

export class Transport {
  readonly #hosts: () => RegistryHosts;
  readonly #timing: RegistryTiming;
  readonly #userAgent: string;
  readonly #http: HttpAgent;
  readonly #httpProxied: HttpAgent;
  // By the settings that made them: a reload brings new objects, and the agents of old ones go with their last request.
  readonly #https = new WeakMap<RegistryHostSettings, Promise<HttpsAgent>>();
  readonly #agents = new Set<WeakRef<HttpAgent | HttpsAgent>>();
  readonly #plain: RegistryHostSettings = {};

  constructor(o: { hosts: () => RegistryHosts; timing: RegistryTiming; userAgent: string }) {
    this.#hosts = o.hosts;
    this.#timing = o.timing;
    this.#userAgent = o.userAgent;
    this.#http = new HttpAgent(agentOptions);
    this.#httpProxied = new HttpAgent({ ...agentOptions, proxyEnv: process.env });
  }

  /** Closes idle connections. */
  close(): void {
    this.#http.destroy();
    this.#httpProxied.destroy();
    for (const agent of this.#agents) agent.deref()?.destroy();
    this.#agents.clear();
  }

  /**
   * Sends `call` and follows redirects (10 at most, never from https to http).
   * @throws RegistryError `unavailable`; the signal's reason when it was aborted.
   */
  async send(call: Call, signal: AbortSignal): Promise<Answer> {
    let current = call;
    for (let hops = 0; ; hops++) {
      const response = await this.#exchangeOnce(current, signal);
      const status = response.statusCode ?? 0;
      const body = new Body(response, {
        origin: current.url.origin,
        isHead: call.method === "HEAD",
        timing: this.#timing,
      });
      const location = response.headers.location;
      if (![301, 302, 303, 307, 308].includes(status) || location === undefined) {
        return { status, headers: response.headers, origin: current.url.origin, body };
      }
      await body.discard(signal);
      if (hops === maxRedirects) {
        throw new RegistryError(
          "unavailable",
          `registry ${call.url.origin} redirects more than ${maxRedirects} times`,
        );
      }
      current = redirected(current, location);
    }
  }

  /** One hop; a kept connection that the server closed meanwhile is replaced once. */
  async #exchangeOnce(call: Call, signal: AbortSignal): Promise<IncomingMessage> {
    const agent = await this.#agentFor(call.url);
    const first = await this.#exchange(call, agent, signal);
    if (!(first instanceof StaleConnection)) return first;
    const second = await this.#exchange(call, agent, signal);
    if (!(second instanceof StaleConnection)) return second;
    throw connectionFailure(call.url.origin, second.cause);
  }

  #exchange(
    call: Call,
    agent: HttpAgent | HttpsAgent,
    signal: AbortSignal,
  ): Promise<IncomingMessage | StaleConnection> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage | StaleConnection>();
    const { origin } = call.url;
    const isTls = call.url.protocol === "https:";
    const request: ClientRequest = (isTls ? httpsRequest : httpRequest)(call.url, {
      agent,
      method: call.method,
      maxHeaderSize: maxHeaderBytes,
      headers: {
        "user-agent": this.#userAgent,
        // Bytes are hashed as they are sent: no compression on top of the blob's own.
        "accept-encoding": "identity",
        ...call.headers,
        ...(call.authorization === undefined ? {} : { authorization: call.authorization }),
        ...(call.body === undefined ? {} : { "content-length": String(Buffer.byteLength(call.body)) }),
      },
    });
    const expire = (afterMs: number, doing: string, retry: "connect" | "later") =>
      setTimeout(() => {
        request.destroy(
          new RegistryError("unavailable", `registry ${origin} did not ${doing} within ${afterMs} ms`, {
            retry,
          }),
        );
      }, afterMs);
    const connecting = expire(this.#timing.connectMs, "accept a connection", "connect");
    let answering: NodeJS.Timeout | undefined;
    const connected = () => {
      clearTimeout(connecting);
      answering ??= expire(this.#timing.noProgressMs, "answer", "later");
    };
    const aborting = addAbortListener(signal, () => request.destroy(asError(signal.reason)));
    const settled = () => {
      clearTimeout(connecting);
      clearTimeout(answering);
      aborting[Symbol.dispose]();
    };
    request.once("socket", (socket) => {
      if (!socket.connecting) connected();
      else socket.once(isTls ? "secureConnect" : "connect", connected);
    });
    request.once("response", (response) => {
      settled();
      resolve(response);
    });
    request.on("error", (error) => {
      settled();
      if (signal.aborted) reject(asError(signal.reason));
      else if (request.reusedSocket && isConnectionEnd(error)) resolve(new StaleConnection(error));
      else reject(connectionFailure(origin, error));
    });
    request.once("close", () => {
      settled();
      reject(
        new RegistryError("unavailable", `registry ${origin} closed the connection without an answer`, {
          retry: "later",
        }),
      );
    });
    request.end(call.body);
    return promise;
  }

  async #agentFor(url: URL): Promise<HttpAgent | HttpsAgent> {
    const proxied = !isLoopback(url.host);
    if (url.protocol === "http:") return proxied ? this.#httpProxied : this.#http;
    const found = settingsOf(this.#hosts(), url.host);
    const isPlain = !found.insecure && !found.ca && !found.cert;
    const settings = isPlain ? this.#plain : found;
    let agent = this.#https.get(settings);
    if (!agent) {
      agent = makeHttpsAgent(url.host, settings);
      this.#https.set(settings, agent);
      agent.then(
        (made) => this.#agents.add(new WeakRef(made)),
        () => this.#https.delete(settings), // a file that is put right is read again
      );
    }
    return await agent;
  }
}

const agentOptions = { keepAlive: true, timeout: idleConnectionMs, maxSockets: 64, maxFreeSockets: 8 };

class StaleConnection {
  readonly cause: unknown;
  constructor(cause: unknown) {
    this.cause = cause;
  }
}

async function makeHttpsAgent(host: string, settings: RegistryHostSettings): Promise<HttpsAgent> {
  return new HttpsAgent({
    ...agentOptions,
    proxyEnv: process.env,
    rejectUnauthorized: !settings.insecure,
    secureContext: await secureContext(host, settings),
  });
}

async function secureContext(host: string, settings: RegistryHostSettings): Promise<SecureContext> {
  const { ca, cert, key } = settings;
  const read = async (name: string, path: string | undefined) => {
    if (!path) return undefined;
    try {
      return await readFile(path, "utf8");
    } catch (cause) {
      throw new RuntimeError("invalid-argument", `registries."${host}".${name}: ${path} cannot be read`, {
        cause,
      });
    }
  };
  const extra = await read("ca", ca);
  const options = { cert: await read("cert", cert), key: await read("key", key) };
  try {
    return createSecureContext({
      ca: [...trustedAuthorities(), ...(extra === undefined ? [] : [extra])],
      minVersion: "TLSv1.2",
      ...(options.cert === undefined ? {} : { cert: options.cert }),
      ...(options.key === undefined ? {} : { key: options.key }),
    });
  } catch (cause) {
    throw new RuntimeError("invalid-argument", `registries."${host}": ca, cert or key is not usable PEM`, {
      cause,
    });
  }
}

/** The machine's authorities, as its administrator keeps them; Node's own list where the machine has none. */
function trustedAuthorities(): readonly string[] {
  const system = getCACertificates("system");
  return system.length > 0 ? system : getCACertificates("default");
}

/** The next hop. @throws RegistryError for a hop that must not be taken; the address is not quoted: it may be signed. */
function redirected(call: Call, location: string): Call {
  let url: URL;
  try {
    url = new URL(location, call.url);
  } catch {
    throw new RegistryError(
      "unavailable",
      `registry ${call.url.origin} redirects to something that is no address`,
    );
  }
  const isHttp = url.protocol === "http:" || url.protocol === "https:";
  if (!isHttp || (call.url.protocol === "https:" && url.protocol === "http:")) {
    throw new RegistryError(
      "unavailable",
      `registry ${call.url.origin} redirects from ${call.url.protocol}// to ${url.protocol}//${url.host}, which is not followed`,
    );
  }
  url.username = "";
  url.password = "";
  url.hash = "";
  const stays = url.origin === call.url.origin;
  return { ...call, url, authorization: stays ? call.authorization : undefined };
}

function isConnectionEnd(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === "ECONNRESET" || code === "EPIPE";
}

function asError(reason: unknown): Error {
  return reason instanceof Error
    ? reason
    : new RuntimeError("cancelled", "request was cancelled", { cause: reason });
}
