/**
 * Frames of SPDY/3.1. Pure: bytes in, frames out. Control frames are gathered, each type to its own cap; data
 * frames are handed on piece by piece as they come, whatever size they claim, so nothing grows with them.
 * Source: SPDY protocol draft 3.1, section 2.2.
 */
import { protocolFault } from "../protocol-fault.ts";

export const frameType = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const;

export const rstStatus = { protocolError: 1, refusedStream: 3, cancel: 5, internalError: 6 } as const;
export const goAwayStatus = { ok: 0, protocolError: 1, internalError: 2 } as const;

export const flagFin = 0x01;

const version = 3;
const headerBytes = 8;
const maxHeaderFrameBytes = 16 << 10;
const streamIdMask = 0x7fffffff;

/** The smallest and largest payload of each type. */
const payloadBytes = new Map<number, readonly [number, number]>([
  [frameType.synStream, [10, maxHeaderFrameBytes]],
  [frameType.synReply, [4, maxHeaderFrameBytes]],
  [frameType.rstStream, [8, 8]],
  [frameType.settings, [4, 4 + 8 * 64]],
  [frameType.ping, [4, 4]],
  [frameType.goAway, [8, 8]],
  [frameType.headers, [4, maxHeaderFrameBytes]],
  [frameType.windowUpdate, [8, 8]],
]);

export interface FrameSink {
  /** `payload` is valid during the call only. A type without a meaning here is not handed on. */
  control(type: number, flags: number, payload: Buffer): void;
  /** A piece of a data frame, perhaps empty. `fin`: the last of its stream. */
  data(streamId: number, piece: Buffer, fin: boolean): void;
}

/** Cuts bytes into frames. Holds at most one control frame. A throw of the sink passes through. */
export class FrameParser {
  readonly #sink: FrameSink;
  readonly #header = Buffer.alloc(headerBytes);
  #headerHave = 0;
  /** What is left of the frame under way. */
  #left = 0;
  /** Of a control frame that comes in pieces, as long as its header says. */
  #control: Buffer | undefined;
  #skip = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** @throws RuntimeError `invalid-argument` for what is not SPDY/3.1, or larger than it may be */
  feed(input: Buffer): void {
    let at = 0;
    while (at < input.length) {
      if (this.#headerHave < headerBytes) {
        const taken = Math.min(headerBytes - this.#headerHave, input.length - at);
        input.copy(this.#header, this.#headerHave, at, at + taken);
        this.#headerHave += taken;
        at += taken;
        if (this.#headerHave < headerBytes) return;
        this.#begin();
        if (this.#left > 0) continue;
        this.#headerHave = 0;
        this.#piece(Buffer.alloc(0));
        continue;
      }
      const piece = input.subarray(at, at + this.#left);
      at += piece.length;
      this.#left -= piece.length;
      if (this.#left === 0) this.#headerHave = 0;
      this.#piece(piece);
    }
  }

  get #isControl(): boolean {
    return (this.#header.readUInt8(0) & 0x80) !== 0;
  }

  /** Checks a header. */
  #begin(): void {
    this.#left = this.#header.readUIntBE(5, 3);
    this.#skip = false;
    if (!this.#isControl) {
      if (this.#header.readUInt32BE(0) === 0) throw protocolFault("SPDY data for stream 0");
      return;
    }
    const spoken = this.#header.readUInt16BE(0) & 0x7fff;
    if (spoken !== version) throw protocolFault(`SPDY version ${spoken}, ${version} expected`);
    const type = this.#header.readUInt16BE(2);
    const range = payloadBytes.get(type);
    // Unknown types are to be ignored (section 2.2.1): credentials, and what later versions may have.
    const [least, most] = range ?? [0, maxHeaderFrameBytes];
    this.#skip = range === undefined;
    if (this.#left < least || this.#left > most)
      throw protocolFault(`SPDY frame of type ${type} has ${this.#left} bytes, ${least} to ${most} expected`);
    this.#control = undefined;
  }

  /** Takes a piece of the payload, the last one when nothing is left. */
  #piece(piece: Buffer): void {
    const last = this.#left === 0;
    if (!this.#isControl) {
      const fin = last && (this.#header.readUInt8(4) & flagFin) !== 0;
      this.#sink.data(this.#header.readUInt32BE(0), piece, fin);
      return;
    }
    if (this.#skip) return;
    // A frame that lies whole in one piece is not copied.
    let payload = piece;
    if (this.#control !== undefined || !last) {
      this.#control ??= Buffer.allocUnsafe(piece.length + this.#left);
      payload = this.#control;
      piece.copy(payload, payload.length - this.#left - piece.length);
    }
    if (!last) return;
    this.#control = undefined;
    this.#sink.control(this.#header.readUInt16BE(2), this.#header.readUInt8(4), payload);
  }
}

/** The stream id at `at` of a control frame's payload. @throws `invalid-argument` for 0 */
export function streamIdOf(payload: Buffer, at = 0): number {
  const id = payload.readUInt32BE(at) & streamIdMask;
  if (id === 0) throw protocolFault("SPDY control frame for stream 0");
  return id;
}

function control(type: number, flags: number, ...words: readonly number[]): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes + 4 * words.length);
  frame.writeUInt16BE(0x8000 | version, 0);
  frame.writeUInt16BE(type, 2);
  frame.writeUInt32BE(4 * words.length, 4);
  frame.writeUInt8(flags, 4);
  words.forEach((word, i) => {
    frame.writeUInt32BE(word, headerBytes + 4 * i);
  });
  return frame;
}

/** A SYN_STREAM without association or priority; only clients send them. */
export function synStream(streamId: number, block: Buffer, fin = false): Buffer {
  const head = control(frameType.synStream, fin ? flagFin : 0, streamId, 0, 0).subarray(0, headerBytes + 10);
  head.writeUIntBE(10 + block.length, 5, 3);
  return Buffer.concat([head, block]);
}

export function synReply(streamId: number, block: Buffer): Buffer {
  const head = control(frameType.synReply, 0, streamId);
  head.writeUIntBE(4 + block.length, 5, 3);
  return Buffer.concat([head, block]);
}

export const rstStream = (streamId: number, status: number): Buffer =>
  control(frameType.rstStream, 0, streamId, status);

export const ping = (id: number): Buffer => control(frameType.ping, 0, id);

export const goAway = (lastStreamId: number, status: number): Buffer =>
  control(frameType.goAway, 0, lastStreamId, status);

export const windowUpdate = (streamId: number, delta: number): Buffer =>
  control(frameType.windowUpdate, 0, streamId, delta);

/** SETTINGS with the window that new streams begin with. */
export const initialWindow = (bytes: number): Buffer => control(frameType.settings, 0, 1, 7, bytes);

/** What goes before `size` bytes of a stream; at most 2^24-1. */
export function dataHeader(streamId: number, size: number, fin: boolean): Buffer {
  const header = Buffer.allocUnsafe(headerBytes);
  header.writeUInt32BE(streamId, 0);
  header.writeUInt32BE(size, 4);
  header.writeUInt8(fin ? flagFin : 0, 4);
  return header;
}
