/**
 * Streaming: exec, attach and port-forward as kubectl, crictl and kubelets use them.
 * Enters: what a caller of the CRI may do, as a grant; leaves: a URL that is good for one connection within a
 * minute. The connection speaks SPDY/3.1 or WebSocket; its streams are joined with those of a process or a pod.
 * Listens on loopback unless told otherwise, and then with TLS.
 * Never: logs a URL, follows or sends a redirect, reads anything of a request but its path and headers, keeps
 * more than a bounded part of a stream in memory.
 */
import {
  createServer as createHttp,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createHttps } from "node:https";
import { isIP, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import type { Duplex } from "node:stream";
import { RuntimeError } from "../errors/runtime-error.ts";
import type { Log } from "../log/log.ts";
import type { ProcessStreams } from "../runtime/handler.ts";
import { type Certificate, selfSignedCertificate } from "./certificate.ts";
import type { CommandStreams } from "./command/channel.ts";
import { type CommandGrant, serveCommand } from "./command/session.ts";
import { SpdyCommand } from "./command/spdy-command.ts";
import { WebSocketCommand } from "./command/websocket-command.ts";
import { refusal } from "./host-check.ts";
import type { Link } from "./link.ts";
import type { PortDialer } from "./port-forward/dialer.ts";
import { SpdyPortForward } from "./port-forward/spdy-port-forward.ts";
import { maxWebSocketPorts, WebSocketPortForward } from "./port-forward/websocket-port-forward.ts";
import { Tokens, tokenPattern } from "./token.ts";
import { SocketTransport } from "./transport.ts";
import {
  commandUpgrade,
  isRefusal,
  portForwardUpgrade,
  type Refusal,
  refusalText,
  switchingProtocols,
} from "./upgrade.ts";
import { WebSocketTunnel } from "./websocket/tunnel.ts";

export type { Certificate } from "./certificate.ts";
export type { PortDialer } from "./port-forward/dialer.ts";

export interface StreamingOptions {
  /** An address of this host, or a wildcard with `advertised`. Default: 127.0.0.1. */
  readonly address?: string;
  /** 0, the default: any. */
  readonly port?: number;
  /** The host in URLs, where it is not `address`. */
  readonly advertised?: string;
  /** Elsewhere than on loopback there is TLS, by default with a certificate of our own making. */
  readonly certificate?: Certificate;
  /** Further names this host is called by in `Host`. */
  readonly hostNames?: readonly string[];
  readonly dialer: PortDialer;
  readonly log: Log;
  readonly limits?: Partial<StreamingLimits>;
}

export interface StreamingLimits {
  /** From a connection to its whole request. */
  readonly requestMs: number;
  /** From an upgrade to all streams that were asked for. */
  readonly setupMs: number;
  /** How long a connection may carry nothing. */
  readonly idleMs: number;
  /** Between signs of life on a connection that is read; on one that is not they come four times as often. */
  readonly pingMs: number;
  /** Connections without an accepted token, at a time; beyond it the oldest goes. */
  readonly pending: number;
  /** Connections in use, at a time. */
  readonly sessions: number;
  readonly tokenMs: number;
  readonly tokens: number;
}

export const defaultLimits: StreamingLimits = {
  requestMs: 10_000,
  setupMs: 30_000,
  idleMs: 4 * 3600_000,
  pingMs: 20_000,
  pending: 128,
  sessions: 4096,
  tokenMs: 60_000,
  tokens: 1000,
};

/** A command in a container; `open` is called when its client is there. */
export interface CommandRequest extends CommandStreams {
  readonly containerId: string;
  open(signal: AbortSignal): Promise<ProcessStreams>;
}

export interface PortForwardRequest {
  readonly sandboxId: string;
  /** For WebSocket channels only: SPDY names the port of each connection. */
  readonly ports: readonly number[];
}

type Grant = CommandGrant | ({ readonly kind: "portforward" } & PortForwardRequest);

interface Session {
  readonly link: Link;
  lastActiveMs: number;
  lastPingMs: number;
}

const notFound: Refusal = { status: 404, text: "404 page not found" };

export class StreamingServer {
  /** `http://127.0.0.1:PORT`. */
  readonly origin: string;
  readonly #server: Server;
  readonly #port: number;
  readonly #o: StreamingOptions;
  readonly #limits: StreamingLimits;
  readonly #tokens: Tokens<Grant>;
  /** Connections whose token was not accepted yet, oldest first, by the client's end. */
  readonly #pending = new Map<string, { readonly socket: Socket; readonly timer: NodeJS.Timeout }>();
  readonly #sessions = new Set<Session>();
  /** Looks after the sessions while there are any. */
  #timer: NodeJS.Timeout | undefined;

  /** @throws RuntimeError `invalid-argument` for an address that is none of this host's, `failed-precondition` for a port in use */
  static async listen(o: StreamingOptions): Promise<StreamingServer> {
    const limits = { ...defaultLimits, ...o.limits };
    const address = o.address ?? "127.0.0.1";
    if (isIP(address) === 0)
      throw new RuntimeError("invalid-argument", `streaming address "${address}" is no IP address`);
    const wildcard = address === "0.0.0.0" || /^[0:]+$/.test(address);
    if (wildcard && o.advertised === undefined)
      throw new RuntimeError(
        "invalid-argument",
        `streaming address ${address} needs an advertised host for its URLs`,
      );
    const host = o.advertised ?? address;
    const certificate = isLoopback(address)
      ? o.certificate
      : (o.certificate ?? selfSignedCertificate([host, address]));
    const http = {
      // Each connection has a timer of its own (#arrived): Node's would wake an idle daemon for nothing.
      headersTimeout: 0,
      requestTimeout: 0,
      connectionsCheckingInterval: 2 ** 30,
      maxHeaderSize: 16 << 10,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      noDelay: true,
    };
    const server =
      certificate === undefined
        ? createHttp(http)
        : createHttps({ ...http, ...certificate, minVersion: "TLSv1.2", handshakeTimeout: limits.requestMs });
    const port = await bind(server, address, o.port ?? 0);
    const scheme = certificate === undefined ? "http" : "https";
    const origin = `${scheme}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
    return new StreamingServer(server, port, origin, o, limits);
  }

  private constructor(
    server: Server,
    port: number,
    origin: string,
    o: StreamingOptions,
    limits: StreamingLimits,
  ) {
    this.#server = server;
    this.#port = port;
    this.origin = origin;
    this.#o = o;
    this.#limits = limits;
    this.#tokens = new Tokens({ lifetimeMs: limits.tokenMs, capacity: limits.tokens });
    server.on("connection", (socket: Socket) => this.#arrived(socket));
    server.on("request", (request: IncomingMessage, response: ServerResponse) =>
      this.#plain(request, response),
    );
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#upgrade(request, socket, head),
    );
    server.on("clientError", (_error: Error, socket: Duplex) => socket.destroy());
    server.on("error", (error) => o.log.error({ error }, "streaming server"));
  }

  /** Connections in use. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** The URL of one exec. @throws `invalid-argument`, or `resource-exhausted` when too many URLs wait for use */
  exec(request: CommandRequest): string {
    return this.#command("exec", request);
  }

  attach(request: CommandRequest): string {
    return this.#command("attach", request);
  }

  portForward(request: PortForwardRequest): string {
    if (request.ports.length > maxWebSocketPorts)
      throw new RuntimeError(
        "invalid-argument",
        `port has ${request.ports.length} entries, at most ${maxWebSocketPorts}`,
      );
    const wrong = request.ports.find((port) => !Number.isInteger(port) || port < 1 || port > 65535);
    if (wrong !== undefined) throw new RuntimeError("invalid-argument", `port ${wrong} is not in 1 to 65535`);
    return this.#url("portforward", { kind: "portforward", ...request });
  }

  /** Takes no more connections and ends those in use: execs are killed, attaches detached. May be called twice. */
  async close(): Promise<void> {
    this.#tokens.clear();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const { socket } of this.#pending.values()) socket.destroy();
    const ending = new RuntimeError("unavailable", "the daemon is being stopped");
    for (const { link } of this.#sessions) link.destroy(ending);
    await closed;
  }

  #command(kind: "exec" | "attach", request: CommandRequest): string {
    if (request.tty && request.stderr)
      throw new RuntimeError(
        "invalid-argument",
        "tty and stderr exclude each other: a terminal has one output",
      );
    if (!request.stdin && !request.stdout && !request.stderr)
      throw new RuntimeError("invalid-argument", "one of stdin, stdout and stderr must be set");
    const { containerId, stdin, stdout, stderr, tty } = request;
    const open = (signal: AbortSignal) => request.open(signal);
    return this.#url(kind, { kind, containerId, stdin, stdout, stderr, tty, open });
  }

  #url(kind: Grant["kind"], grant: Grant): string {
    return `${this.origin}/${kind}/${this.#tokens.issue(grant)}`;
  }

  /** Counts a connection as pending until its token is accepted. */
  #arrived(socket: Socket): void {
    const key = peer(socket);
    const timer = setTimeout(() => socket.destroy(), this.#limits.requestMs);
    this.#pending.set(key, { socket, timer });
    socket.once("close", () => {
      if (this.#pending.get(key)?.socket === socket) this.#accepted(key);
    });
    // Beyond the cap the oldest goes: an honest client has sent its request by then.
    const [oldest] = this.#pending.values();
    if (this.#pending.size > this.#limits.pending) oldest?.socket.destroy();
  }

  /** A connection is pending no more. */
  #accepted(key: string): void {
    clearTimeout(this.#pending.get(key)?.timer);
    this.#pending.delete(key);
  }

  /** A request that does not ask for an upgrade is refused, whatever it shows. */
  #plain(request: IncomingMessage, response: ServerResponse): void {
    const refused = this.#check(request);
    const { status, text } = isRefusal(refused) ? refused : { status: 400, text: "Upgrade request required" };
    response.writeHead(status, { Connection: "close", "Content-Type": "text/plain; charset=utf-8" });
    response.end(`${text}\n`);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Until a transport takes over; without a listener a reset would end the daemon.
    socket.on("error", () => socket.destroy());
    const grant = this.#check(request);
    const refused = isRefusal(grant) ? grant : this.#begin(grant, request, socket, head);
    if (refused !== undefined) socket.end(refusalText(refused), () => socket.destroy());
  }

  /** What the request's token grants; the token is used up by this. */
  #check(request: IncomingMessage): Grant | Refusal {
    const unwelcome = refusal(request.headers, { port: this.#port, names: this.#o.hostNames ?? [] });
    if (unwelcome !== undefined) return { status: 403, text: unwelcome };
    const [, kind, token = ""] = /^\/(exec|attach|portforward)\/([^/?#]+)$/.exec(request.url ?? "") ?? [];
    const grant = tokenPattern.test(token) ? this.#tokens.take(token) : undefined;
    return grant === undefined || grant.kind !== kind ? notFound : grant;
  }

  #begin(grant: Grant, request: IncomingMessage, socket: Duplex, head: Buffer): Refusal | undefined {
    if (this.#sessions.size >= this.#limits.sessions)
      return { status: 503, text: `${this.#limits.sessions} streaming connections are in use` };
    if (grant.kind === "portforward") return this.#beginPortForward(grant, request, socket, head);
    const upgrade = commandUpgrade(request);
    if (isRefusal(upgrade)) return upgrade;
    const { transport, session, activity } = this.#accept(socket, head, upgrade.answer);
    if (upgrade.kind === "websocket") {
      const command = new WebSocketCommand(transport, upgrade.protocol, grant, activity);
      session(command, () => serveCommand(command, grant), { container: grant.containerId });
    } else {
      const command = new SpdyCommand(transport, upgrade.protocol, grant, activity);
      const serve = async () => {
        await this.#inTime(command.ready, command);
        return await serveCommand(command, grant);
      };
      session(command, serve, { container: grant.containerId });
    }
    return undefined;
  }

  #beginPortForward(
    grant: PortForwardRequest,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): Refusal | undefined {
    const upgrade = portForwardUpgrade(request);
    if (isRefusal(upgrade)) return upgrade;
    if (upgrade.kind === "websocket" && grant.ports.length === 0)
      return {
        status: 400,
        text: "the request named no port, which port-forward over WebSocket channels needs",
      };
    const { transport, session, activity } = this.#accept(socket, head, upgrade.answer);
    const { dialer } = this.#o;
    const o = { ...grant, dialer, onActivity: activity, setupMs: this.#limits.setupMs };
    const link =
      upgrade.kind === "websocket"
        ? new WebSocketPortForward(transport, o)
        : new SpdyPortForward(upgrade.kind === "tunnel" ? new WebSocketTunnel(transport) : transport, o);
    session(link, () => Promise.resolve(), { sandbox: grant.sandboxId });
    return undefined;
  }

  /** Answers the upgrade and prepares the connection's entry among those in use. */
  #accept(socket: Duplex, head: Buffer, answer: readonly string[]) {
    this.#accepted(peer(socket as Socket));
    socket.write(switchingProtocols(answer));
    let entry: Session | undefined;
    const activity = () => {
      if (entry !== undefined) entry.lastActiveMs = performance.now();
    };
    const session = (
      link: Link & { readonly gone: Promise<Error | undefined> },
      serve: () => Promise<unknown>,
      subject: Record<string, string>,
    ) => {
      const now = performance.now();
      const added: Session = { link, lastActiveMs: now, lastPingMs: now };
      entry = added;
      this.#sessions.add(added);
      this.#timer ??= setInterval(
        () => this.#tick(),
        Math.min(this.#limits.pingMs, this.#limits.idleMs) / 4,
      ).unref();
      void link.gone.then((fault) => {
        this.#sessions.delete(added);
        if (this.#sessions.size === 0) {
          clearInterval(this.#timer);
          this.#timer = undefined;
        }
        if (fault !== undefined)
          this.#o.log.debug({ ...subject, error: fault }, "streaming connection ended");
      });
      serve().then(
        (fault) => {
          if (fault !== undefined) this.#o.log.info({ ...subject, error: fault }, "streaming");
        },
        (fault) => {
          this.#o.log.debug({ ...subject, error: fault }, "streaming");
          link.destroy(fault instanceof Error ? fault : undefined);
        },
      );
    };
    return { transport: new SocketTransport(socket, head), session, activity };
  }

  /** Ends a connection whose streams do not come in time. */
  async #inTime(ready: Promise<void>, link: Link): Promise<void> {
    const late = new RuntimeError(
      "deadline-exceeded",
      `streams were not opened within ${this.#limits.setupMs} ms`,
    );
    const timer = setTimeout(() => link.destroy(late), this.#limits.setupMs);
    try {
      await ready;
    } finally {
      clearTimeout(timer);
    }
  }

  #tick(): void {
    const now = performance.now();
    for (const session of this.#sessions) {
      const { link } = session;
      if (now - session.lastActiveMs >= this.#limits.idleMs) {
        link.destroy(
          new RuntimeError("deadline-exceeded", `nothing was carried for ${this.#limits.idleMs} ms`),
        );
      } else if (now - session.lastPingMs >= this.#limits.pingMs || link.inputPaused) {
        session.lastPingMs = now;
        link.ping();
      }
    }
  }
}

function isLoopback(address: string): boolean {
  return address === "::1" || /^127\./.test(address);
}

function peer(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}

function bind(server: Server, address: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const kind = cause.code === "EADDRNOTAVAIL" ? "invalid-argument" : "failed-precondition";
      reject(
        new RuntimeError(kind, `streaming address ${address} port ${port} can't be listened on`, { cause }),
      );
    });
    server.listen(port, address, () => {
      const bound = server.address();
      server.removeAllListeners("error");
      resolve(typeof bound === "object" && bound !== null ? bound.port : port);
    });
  });
}
