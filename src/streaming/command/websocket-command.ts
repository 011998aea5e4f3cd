/**
 * Remote command over WebSocket: the first byte of each message names the channel. v5 adds the message
 * (255, channel): the client sends no more on it. In v4 a client that has no more input can only leave.
 */
import { type Inbox, InputBudget } from "../inbox.ts";
import type { Link } from "../link.ts";
import { protocolFault } from "../protocol-fault.ts";
import type { Transport } from "../transport.ts";
import { WebSocketConnection } from "../websocket/connection.ts";
import type { CommandChannel, CommandStreams } from "./channel.ts";
import { type CommandStatus, statusBytes } from "./status.ts";

export const webSocketCommandProtocols = ["v5.channel.k8s.io", "v4.channel.k8s.io"] as const;
export type WebSocketCommandProtocol = (typeof webSocketCommandProtocols)[number];

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
const maxMessageBytes = 64 << 10;

export class WebSocketCommand implements CommandChannel, Link {
  readonly stdin: Inbox | undefined;
  readonly sizes: Inbox | undefined;
  readonly gone: Promise<Error | undefined>;
  readonly #transport: Transport;
  readonly #socket: WebSocketConnection;
  readonly #budget: InputBudget;
  readonly #streams: CommandStreams;
  readonly #hasClose: boolean;
  readonly #onActivity: () => void;
  readonly #gone = Promise.withResolvers<Error | undefined>();
  /** Channel of the message under way. */
  #channel: number | undefined;

  constructor(
    transport: Transport,
    protocol: WebSocketCommandProtocol,
    streams: CommandStreams,
    onActivity: () => void,
  ) {
    this.#transport = transport;
    this.#streams = streams;
    this.#hasClose = protocol === "v5.channel.k8s.io";
    this.#onActivity = onActivity;
    this.gone = this.#gone.promise;
    this.#budget = new InputBudget({ streamBytes: 256 << 10, connectionBytes: 1 << 20 }, (paused) =>
      transport.pause(paused),
    );
    this.stdin = streams.stdin ? this.#budget.inbox() : undefined;
    this.sizes = streams.tty ? this.#budget.inbox() : undefined;
    this.#socket = new WebSocketConnection(transport, {
      message: (piece, first, last) => this.#message(piece, first, last),
      closed: (fault) => {
        this.stdin?.fail(fault ?? protocolFault("the client left"));
        this.sizes?.discard();
        this.#gone.resolve(fault);
      },
    });
    this.#socket.start();
    // Clients take the first message for the sign that all is well.
    const lowest = streams.stdout ? channel.stdout : streams.stderr ? channel.stderr : channel.error;
    this.#socket.send(Uint8Array.of(lowest));
  }

  async write(stream: "stdout" | "stderr", data: Buffer): Promise<void> {
    if (!this.#streams[stream]) return;
    for (let at = 0; at < data.length && !this.#transport.closed; at += maxMessageBytes) {
      this.#socket.send(Uint8Array.of(channel[stream]), data.subarray(at, at + maxMessageBytes));
      this.#onActivity();
      const room = this.#transport.room();
      if (room !== undefined) await room;
    }
  }

  finish(status: CommandStatus): Promise<void> {
    this.stdin?.discard();
    this.sizes?.discard();
    this.#socket.send(Uint8Array.of(channel.error), statusBytes(status, true));
    this.#socket.close();
    return Promise.resolve();
  }

  get inputPaused(): boolean {
    return this.#budget.paused;
  }

  ping(): void {
    this.#socket.ping();
  }

  destroy(fault?: Error): void {
    this.#socket.destroy(fault);
  }

  #message(piece: Buffer, first: boolean, last: boolean): void {
    let rest = piece;
    if (first) this.#channel = undefined;
    if (this.#channel === undefined && rest.length > 0) {
      this.#channel = rest[0];
      rest = rest.subarray(1);
    }
    if (this.#channel === undefined) return;
    this.#onActivity();
    switch (this.#channel) {
      case channel.stdin:
        this.stdin?.push(rest);
        break;
      case channel.resize:
        this.sizes?.push(rest);
        break;
      case channel.stdout:
      case channel.stderr:
      case channel.error:
        break; // ours to write; some clients send an empty message
      case channel.close:
        if (!this.#hasClose) throw protocolFault("channel 255 is known to v5.channel.k8s.io only");
        if (rest.length > 0) this.#closeChannel(rest);
        break;
      default:
        throw protocolFault(`channel ${this.#channel} is unknown`);
    }
    if (last) this.#channel = undefined;
  }

  #closeChannel(rest: Buffer): void {
    const closed = rest[0] ?? channel.close;
    if (rest.length > 1 || closed > channel.resize)
      throw protocolFault("a close message names one channel, 0 to 4");
    if (closed === channel.stdin) this.stdin?.end();
    if (closed === channel.resize) this.sizes?.end();
  }
}
