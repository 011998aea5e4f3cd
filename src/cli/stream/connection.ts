/**
 * The client's side of one streaming URL, over SPDY/3.1: the only one of the CRI's protocols in which every kind of
 * session can end one direction and keep the other.
 *
 * Enters: the URL of an Exec, Attach or PortForward. Leaves: streams of Node's, with back-pressure in both directions.
 * Never: follows a redirect, shows the URL (its last part is a secret), heeds windows: the server grants all there is.
 */
import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { Duplex } from "node:stream";
import {
  dataHeader,
  flagFin,
  FrameParser,
  frameType,
  goAway,
  goAwayStatus,
  ping,
  rstStatus,
  rstStream,
  streamIdOf,
  synStream,
} from "../../streaming/spdy/frame.ts";
import { HeaderDecoder, HeaderEncoder } from "../../streaming/spdy/header-block.ts";
import { CliError } from "../cli-error.ts";

/** Largest data frame that is sent. */
const maxDataBytes = 64 << 10;
const maxRefusalBytes = 4 << 10;
const upgradeLimitMs = 30_000;

/** Asks for the upgrade. Resolves with the socket and what came on it already. */
function upgrade(
  url: string,
  protocol: string,
  signal: AbortSignal,
): Promise<{ readonly socket: Duplex; readonly head: Buffer }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ socket: Duplex; head: Buffer }>();
  const options = {
    method: "POST",
    agent: false,
    signal: AbortSignal.any([signal, AbortSignal.timeout(upgradeLimitMs)]),
    headers: { Connection: "Upgrade", Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": protocol },
    // It is an address of this host, and its certificate of the daemon's own making: there is nobody to vouch for it.
    rejectUnauthorized: false,
  };
  const request = (new URL(url).protocol === "https:" ? requestHttps : requestHttp)(url, options);
  request.once("upgrade", (_response, socket, head) => resolve({ socket, head }));
  request.once("response", (response) => {
    void refusalText(response).then((text) => reject(new CliError(`the daemon refused the stream: ${text}`)));
  });
  request.once("error", (error) => {
    if (signal.aborted) reject(new CliError("given up"));
    else reject(new CliError(`connect to the daemon's streaming server: ${error.message}`));
  });
  request.end();
  return promise;
}

async function refusalText(response: IncomingMessage): Promise<string> {
  let text = `${response.statusCode} `;
  try {
    for await (const piece of response) {
      text += String(piece);
      if (text.length > maxRefusalBytes) break;
    }
  } catch {
    // The status says enough.
  }
  return text.slice(0, maxRefusalBytes).trim();
}

export class StreamConnection implements Disposable {
  /** Settles when the connection is over; undefined: in order. Never rejects. */
  readonly closed: Promise<Error | undefined>;
  readonly #socket: Duplex;
  readonly #closed = Promise.withResolvers<Error | undefined>();
  readonly #encoder = new HeaderEncoder();
  readonly #decoder = new HeaderDecoder();
  readonly #parser: FrameParser;
  readonly #streams = new Map<number, ClientStream>();
  /** Streams whose reader has enough: the connection is not read until each wants more. */
  readonly #full = new Set<number>();
  #lastId = -1;
  #over = false;

  private constructor(socket: Duplex, head: Buffer) {
    this.closed = this.#closed.promise;
    this.#socket = socket;
    this.#parser = new FrameParser({
      control: (type, flags, payload) => this.#control(type, flags, payload),
      data: (id, piece, fin) => this.#streams.get(id)?.received(piece, fin),
    });
    socket.setMaxListeners(0); // one a stream that waits for room
    socket.on("error", (error) => this.#end(error));
    socket.on("close", () => this.#end(new Error("the daemon ended the connection")));
    socket.on("data", (bytes: Buffer) => this.#received(bytes));
    if (head.length > 0) this.#received(head);
  }

  /** @throws CliError when nobody answers there, or with a refusal */
  static async open(url: string, protocol: string, signal: AbortSignal): Promise<StreamConnection> {
    const { socket, head } = await upgrade(url, protocol, signal);
    return new StreamConnection(socket, head);
  }

  /** Opens a stream. What is wanted of it stands in its headers. */
  stream(headers: Readonly<Record<string, string>>): Duplex {
    this.#lastId += 2;
    const id = this.#lastId;
    const stream = new ClientStream(id, this.#socket, {
      full: (isFull) => this.#hold(id, isFull),
      gone: () => {
        this.#streams.delete(id);
        this.#hold(id, false);
      },
    });
    if (this.#over) {
      stream.destroy(new Error("the connection is over"));
      return stream;
    }
    this.#streams.set(id, stream);
    this.#socket.write(synStream(id, this.#encoder.encode(new Map(Object.entries(headers)))));
    return stream;
  }

  /** Ends the connection: the server ends what served it. */
  close(): void {
    if (this.#over) return;
    this.#socket.write(goAway(0, goAwayStatus.ok));
    this.#end(undefined);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #received(bytes: Buffer): void {
    if (this.#over) return;
    try {
      this.#parser.feed(bytes);
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #control(type: number, flags: number, payload: Buffer): void {
    switch (type) {
      case frameType.synReply:
      case frameType.headers:
        // Of no meaning to us, but the next block builds on it.
        this.#decoder.decode(payload.subarray(4));
        if ((flags & flagFin) !== 0) this.#streams.get(streamIdOf(payload))?.received(Buffer.alloc(0), true);
        return;
      case frameType.rstStream:
        this.#streams.get(streamIdOf(payload))?.wasReset();
        return;
      case frameType.ping:
        if (payload.readUInt32BE(0) % 2 === 0) this.#socket.write(ping(payload.readUInt32BE(0)));
        return;
      case frameType.goAway:
        this.#end(undefined);
        return;
      default:
        return; // a server opens no streams; SETTINGS and WINDOW_UPDATE are not waited for
    }
  }

  #hold(id: number, isFull: boolean): void {
    if (isFull) this.#full.add(id);
    else if (!this.#full.delete(id)) return;
    if (this.#full.size > 0) this.#socket.pause();
    else this.#socket.resume();
  }

  #end(fault: Error | undefined): void {
    if (this.#over) return;
    this.#over = true;
    for (const stream of [...this.#streams.values()]) stream.wasCut(fault);
    this.#socket.end(() => this.#socket.destroy());
    this.#closed.resolve(fault);
  }
}

class ClientStream extends Duplex {
  readonly #id: number;
  readonly #socket: Duplex;
  readonly #tell: { full(isFull: boolean): void; gone(): void };
  #inputEnded = false;
  #cut = false;

  constructor(id: number, socket: Duplex, tell: { full(isFull: boolean): void; gone(): void }) {
    super({ allowHalfOpen: true });
    this.#id = id;
    this.#socket = socket;
    this.#tell = tell;
    // Its reader and its writer hear of it; one that nobody uses any more must not end the program.
    this.on("error", () => {});
  }

  received(piece: Buffer, fin: boolean): void {
    if (this.#inputEnded || this.destroyed) return;
    if (piece.length > 0 && !this.push(piece)) this.#tell.full(true);
    if (!fin) return;
    this.#inputEnded = true;
    this.push(null);
  }

  wasReset(): void {
    this.#cut = true;
    this.destroy(new Error("the daemon gave up the stream"));
  }

  /** The connection is over. */
  wasCut(fault: Error | undefined): void {
    this.#cut = true;
    if (!this.#inputEnded) this.destroy(fault ?? new Error("the stream was cut off"));
    else if (!this.writableFinished) this.destroy();
  }

  override _read(): void {
    this.#tell.full(false);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.cork();
    for (let at = 0; at < chunk.length; at += maxDataBytes) {
      const piece = chunk.subarray(at, at + maxDataBytes);
      this.#socket.write(dataHeader(this.#id, piece.length, false));
      this.#socket.write(piece);
    }
    this.#socket.uncork();
    if (!this.#socket.writableNeedDrain) {
      done();
      return;
    }
    const wake = () => {
      this.#socket.removeListener("drain", wake);
      this.#socket.removeListener("close", wake);
      done();
    };
    this.#socket.once("drain", wake);
    this.#socket.once("close", wake);
  }

  override _final(done: (error?: Error | null) => void): void {
    if (!this.#cut) this.#socket.write(dataHeader(this.#id, 0, true));
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const isWhole = this.#inputEnded && this.writableFinished;
    if (!isWhole && !this.#cut) this.#socket.write(rstStream(this.#id, rstStatus.cancel));
    this.#tell.gone();
    done(error);
  }
}
