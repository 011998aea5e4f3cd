/**
 * Port-forward over WebSocket channels (v4.channel.k8s.io), as @kubernetes/client-node and other browsers' kin
 * speak it: port number i of the request has channel 2i for data and 2i+1 for errors, each of which begins with
 * the port, u16 little-endian. One connection a port; neither side can end one direction only.
 */
import { RuntimeError } from "../../errors/runtime-error.ts";
import { defaultInputLimits, type Inbox, InputBudget } from "../inbox.ts";
import type { Link } from "../link.ts";
import { protocolFault } from "../protocol-fault.ts";
import type { Transport } from "../transport.ts";
import { WebSocketConnection } from "../websocket/connection.ts";
import type { PortDialer } from "./dialer.ts";
import { forward } from "./forward.ts";
import { forwardFault } from "./spdy-port-forward.ts";

export const webSocketPortForwardProtocol = "v4.channel.k8s.io";
/** Channel numbers are one byte, and 255 is taken. */
export const maxWebSocketPorts = 64;
const maxMessageBytes = 64 << 10;

export interface WebSocketPortForwardOptions {
  readonly sandboxId: string;
  readonly ports: readonly number[];
  readonly dialer: PortDialer;
  readonly onActivity: () => void;
}

export class WebSocketPortForward implements Link {
  readonly gone: Promise<Error | undefined>;
  readonly #o: WebSocketPortForwardOptions;
  readonly #transport: Transport;
  readonly #socket: WebSocketConnection;
  readonly #budget: InputBudget;
  readonly #inputs: readonly Inbox[];
  readonly #leaving = new AbortController();
  readonly #gone = Promise.withResolvers<Error | undefined>();
  /** Channel of the message under way. */
  #channel: number | undefined;

  constructor(transport: Transport, o: WebSocketPortForwardOptions) {
    this.#o = o;
    this.#transport = transport;
    this.gone = this.#gone.promise;
    this.#budget = new InputBudget(defaultInputLimits, (paused) => transport.pause(paused));
    this.#inputs = o.ports.map(() => this.#budget.inbox());
    this.#socket = new WebSocketConnection(transport, {
      message: (piece, first, last) => this.#message(piece, first, last),
      closed: (fault) => {
        const reason = fault ?? new RuntimeError("cancelled", "the client of port-forward left");
        for (const input of this.#inputs) input.fail(reason);
        this.#leaving.abort(reason);
        this.#gone.resolve(fault);
      },
    });
    this.#socket.start();
    void this.#serveAll();
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

  async #serveAll(): Promise<void> {
    await Promise.all(this.#inputs.map((input, i) => this.#serve(input, i, this.#o.ports[i] ?? 0)));
    this.#socket.close();
  }

  /** Never rejects. */
  async #serve(input: Inbox, index: number, port: number): Promise<void> {
    const { sandboxId, dialer } = this.#o;
    const bytes = Uint8Array.of(port & 0xff, port >> 8);
    this.#socket.send(Uint8Array.of(2 * index), bytes);
    this.#socket.send(Uint8Array.of(2 * index + 1), bytes);
    const write = (data: Buffer) => this.#write(2 * index, data);
    try {
      const connection = await dialer.connect(sandboxId, port, this.#leaving.signal);
      await forward({ input, write, end: () => {} }, connection, this.#leaving.signal, true);
    } catch (fault) {
      input.discard();
      await this.#write(2 * index + 1, Buffer.from(forwardFault(port, sandboxId, fault)));
    }
  }

  async #write(channel: number, data: Buffer): Promise<void> {
    for (let at = 0; at < data.length && !this.#transport.closed; at += maxMessageBytes) {
      this.#socket.send(Uint8Array.of(channel), data.subarray(at, at + maxMessageBytes));
      this.#o.onActivity();
      const room = this.#transport.room();
      if (room !== undefined) await room;
    }
  }

  #message(piece: Buffer, first: boolean, last: boolean): void {
    let rest = piece;
    if (first) this.#channel = undefined;
    if (this.#channel === undefined && rest.length > 0) {
      this.#channel = rest[0];
      rest = rest.subarray(1);
    }
    if (this.#channel === undefined) return;
    if (this.#channel >= 2 * this.#inputs.length) throw protocolFault(`channel ${this.#channel} is unknown`);
    this.#o.onActivity();
    // Odd channels are ours to write.
    if (this.#channel % 2 === 0) this.#inputs[this.#channel / 2]?.push(rest);
    if (last) this.#channel = undefined;
  }
}
