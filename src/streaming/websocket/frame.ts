/**
 * Frames of WebSocket, the server's side. Pure: bytes in, pieces of messages out. Payloads are unmasked and handed
 * on as they come, so neither a large frame nor a message of many frames is ever gathered.
 * No extensions: a frame with a reserved bit ends the connection. Source: RFC 6455, section 5.
 */
import { protocolFault, sizeFault } from "../protocol-fault.ts";

export const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export const closeCode = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  policy: 1008,
  tooBig: 1009,
} as const;

/** No client of ours sends a frame of this size; it is a frame that never ends. */
const maxFrameBytes = 64 << 20;
/** Frames of one message. */
const maxFragments = 4096;
const maxControlBytes = 125;

export interface FrameSink {
  /** A piece of a data message: its first, its last, or both; perhaps empty. */
  message(piece: Buffer, first: boolean, last: boolean): void;
  /** A control frame; `payload` is valid during the call only. */
  control(code: number, payload: Buffer): void;
}

/** Cuts bytes into messages. Changes its input in place: it unmasks. A throw of the sink passes through. */
export class FrameParser {
  readonly #sink: FrameSink;
  /** 2 bytes, then up to 8 of length and 4 of mask. */
  readonly #header = Buffer.alloc(14);
  #headerHave = 0;
  #headerWant = 2;
  #payload: { code: number; fin: boolean; left: number; maskAt: number } | undefined;
  #controlHave: Buffer | undefined;
  /** Frames of the message under way. */
  #fragments = 0;
  /** Whether the next piece begins a message. */
  #first = true;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** @throws RuntimeError `invalid-argument` for what RFC 6455 forbids to a client, `resource-exhausted` for what is too much */
  feed(input: Buffer): void {
    let at = 0;
    while (at < input.length) {
      if (this.#payload === undefined) {
        const taken = Math.min(this.#headerWant - this.#headerHave, input.length - at);
        input.copy(this.#header, this.#headerHave, at, at + taken);
        this.#headerHave += taken;
        at += taken;
        if (this.#headerHave === this.#headerWant) this.#headerPart();
        continue;
      }
      const payload: { code: number; left: number; maskAt: number } = this.#payload;
      const piece = input.subarray(at, at + payload.left);
      at += piece.length;
      payload.maskAt = unmask(piece, this.#header, this.#headerWant - 4, payload.maskAt);
      payload.left -= piece.length;
      this.#piece(piece);
    }
  }

  /** The first two bytes tell how many follow. */
  #headerPart(): void {
    const second = this.#header.readUInt8(1);
    if (this.#headerWant === 2) {
      if ((second & 0x80) === 0) throw protocolFault("WebSocket frame of a client is not masked");
      const short = second & 0x7f;
      this.#headerWant = 2 + (short === 127 ? 8 : short === 126 ? 2 : 0) + 4;
      return;
    }
    const first = this.#header.readUInt8(0);
    const code = first & 0x0f;
    const fin = (first & 0x80) !== 0;
    const left = this.#length(second & 0x7f);
    this.#check(code, fin, (first & 0x70) !== 0, left);
    this.#payload = { code, fin, left, maskAt: 0 };
    if (left === 0) this.#piece(Buffer.alloc(0));
  }

  #length(short: number): number {
    if (short < 126) return short;
    if (short === 126) return this.#header.readUInt16BE(2);
    return this.#header.readUInt32BE(2) * 2 ** 32 + this.#header.readUInt32BE(6);
  }

  #check(code: number, fin: boolean, reserved: boolean, length: number): void {
    if (reserved) throw protocolFault("WebSocket frame has reserved bits: no extension was agreed on");
    if (code >= opcode.close) {
      if (code > opcode.pong) throw protocolFault(`WebSocket frame has the unknown opcode ${code}`);
      if (!fin || length > maxControlBytes)
        throw protocolFault("WebSocket control frame is fragmented or too large");
      return;
    }
    if (code > opcode.binary) throw protocolFault(`WebSocket frame has the unknown opcode ${code}`);
    if ((code === opcode.continuation) !== this.#fragments > 0)
      throw protocolFault("WebSocket message begins within another, or is continued without a beginning");
    if (length > maxFrameBytes)
      throw sizeFault(`WebSocket frame of ${length} bytes, at most ${maxFrameBytes} expected`);
    if (++this.#fragments > maxFragments)
      throw sizeFault(`WebSocket message of more than ${maxFragments} fragments`);
  }

  #piece(piece: Buffer): void {
    const payload = this.#payload;
    if (payload === undefined) return;
    const done = payload.left === 0;
    if (done) {
      this.#payload = undefined;
      this.#headerHave = 0;
      this.#headerWant = 2;
    }
    if (payload.code >= opcode.close) {
      const have = this.#controlHave === undefined ? piece : Buffer.concat([this.#controlHave, piece]);
      this.#controlHave = done ? undefined : Buffer.from(have);
      if (done) this.#sink.control(payload.code, have);
      return;
    }
    const last = done && payload.fin;
    const first = this.#first;
    this.#first = last;
    if (last) this.#fragments = 0;
    if (piece.length > 0 || last) this.#sink.message(piece, first, last);
    else this.#first = first;
  }
}

/**
 * Takes the mask off `piece`, in place. `maskAt`: how far into the mask (at `keyAt` of `key`) it begins.
 * Returns how far into the mask the next piece begins.
 */
export function unmask(piece: Buffer, key: Buffer, keyAt: number, maskAt: number): number {
  const length = piece.length;
  const byte = (i: number): number => key[keyAt + ((maskAt + i) & 3)] ?? 0;
  let at = 0;
  const aligned = Math.min((4 - (piece.byteOffset & 3)) & 3, length);
  for (; at < aligned; at++) piece[at] = (piece[at] ?? 0) ^ byte(at);
  const wordCount = (length - at) >> 2;
  if (wordCount > 0) {
    const word =
      new Uint32Array(Uint8Array.of(byte(at), byte(at + 1), byte(at + 2), byte(at + 3)).buffer)[0] ?? 0;
    const words = new Uint32Array(piece.buffer, piece.byteOffset + at, wordCount);
    for (let i = 0; i < wordCount; i++) words[i] = (words[i] ?? 0) ^ word;
    at += wordCount << 2;
  }
  for (; at < length; at++) piece[at] = (piece[at] ?? 0) ^ byte(at);
  return (maskAt + length) & 3;
}

/** What goes before `size` bytes; frames of servers are not masked. */
export function frameHeader(code: number, size: number): Buffer {
  if (size < 126) return Buffer.from([0x80 | code, size]);
  if (size < 65536) {
    const header = Buffer.from([0x80 | code, 126, 0, 0]);
    header.writeUInt16BE(size, 2);
    return header;
  }
  const header = Buffer.alloc(10);
  header[0] = 0x80 | code;
  header[1] = 127;
  header.writeUInt32BE(size, 6);
  return header;
}

/** A whole close frame. `reason`: at most 123 bytes of it are sent. */
export function closeFrame(code: number, reason: string): Buffer {
  const text = Buffer.from(reason).subarray(0, maxControlBytes - 2);
  const payload = Buffer.alloc(2 + text.length);
  payload.writeUInt16BE(code, 0);
  text.copy(payload, 2);
  return Buffer.concat([frameHeader(opcode.close, payload.length), payload]);
}
