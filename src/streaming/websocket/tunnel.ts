/**
 * A transport through a WebSocket: the payloads of its binary messages, one after the other, are the bytes.
 * This is how kubectl and crictl speak SPDY to where only WebSocket gets through ("SPDY/3.1+" protocols).
 */
import type { Transport, TransportEvents } from "../transport.ts";
import { WebSocketConnection } from "./connection.ts";

export class WebSocketTunnel implements Transport {
  readonly #below: Transport;
  readonly #socket: WebSocketConnection;
  #events: TransportEvents | undefined;

  constructor(below: Transport) {
    this.#below = below;
    this.#socket = new WebSocketConnection(below, {
      message: (piece) => this.#events?.data(piece),
      closed: (fault) => this.#events?.closed(fault),
    });
  }

  get congested(): boolean {
    return this.#below.congested;
  }

  get closed(): boolean {
    return this.#below.closed;
  }

  start(events: TransportEvents): void {
    this.#events = events;
    this.#socket.start();
  }

  write(...parts: readonly Uint8Array[]): void {
    this.#socket.send(...parts);
  }

  room(): Promise<void> | undefined {
    return this.#below.room();
  }

  pause(paused: boolean): void {
    this.#below.pause(paused);
  }

  end(hurry?: boolean): void {
    this.#socket.close(undefined, "", hurry);
  }

  destroy(fault?: Error): void {
    this.#below.destroy(fault);
  }
}
