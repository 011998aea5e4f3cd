/**
 * Header blocks of SPDY/3: u32 count, then name and value, each after its u32 length; all of one direction are
 * one zlib stream with a known dictionary, flushed to a byte boundary after each block.
 *
 * Both directions are synchronous and keep next to nothing. A flushed block is raw deflate data by itself, given
 * what was decoded before it as its dictionary: no inflater lives between frames (it would hold 40 KiB a
 * connection). What we send is stored, not compressed: valid zlib, and all there is to send is empty.
 * Source: SPDY protocol draft 3.1, section 2.6.10.
 */
import { constants, inflateRawSync } from "node:zlib";
import { protocolFault } from "../protocol-fault.ts";
import { dictionary, dictionaryAdler32 } from "./dictionary.ts";

/** How far back deflate may refer. */
const windowBytes = 32 << 10;
/** One block after decoding: what a bomb may cost. */
const maxBlockBytes = 16 << 10;
const maxHeaders = 32;
/** An empty stored block, which ends each header block: Go's inflater gives out what it has when it meets one. */
const flushed = Buffer.from([0, 0, 0, 0xff, 0xff]);

/** One block as sent; its names are lower case. */
export type Headers = ReadonlyMap<string, string>;

/** Decodes the blocks of one direction of a connection, in order: each one counts, whether it is of use or not. */
export class HeaderDecoder {
  #window: Buffer | undefined;

  /** @throws RuntimeError `invalid-argument`: not deflate data, too large, or no header block */
  decode(block: Buffer): Headers {
    let data = block;
    if (this.#window === undefined) {
      data = data.subarray(zlibHeaderBytes(block));
      this.#window = dictionary;
    }
    let decoded: Buffer;
    try {
      decoded = inflateRawSync(data, {
        dictionary: this.#window,
        finishFlush: constants.Z_SYNC_FLUSH,
        maxOutputLength: maxBlockBytes,
      });
    } catch (cause) {
      throw protocolFault("SPDY header block is damaged or too large", cause);
    }
    this.#window = Buffer.concat([this.#window, decoded]).subarray(-windowBytes);
    return parseBlock(decoded);
  }
}

/** The length of the zlib header that a direction begins with. */
function zlibHeaderBytes(block: Buffer): number {
  if (block.length < 2) throw protocolFault("SPDY header block is cut short");
  const header = block.readUInt16BE(0);
  if ((header & 0x0f00) !== 0x0800 || header % 31 !== 0)
    throw protocolFault("SPDY header block is not zlib data");
  if ((header & 0x20) === 0) return 2;
  if (block.length < 6 || block.readUInt32BE(2) !== dictionaryAdler32)
    throw protocolFault("SPDY header block needs another dictionary than SPDY/3's");
  return 6;
}

function parseBlock(block: Buffer): Headers {
  let at = 0;
  const number = (): number => {
    if (at + 4 > block.length) throw protocolFault("SPDY header block is cut short");
    at += 4;
    return block.readUInt32BE(at - 4);
  };
  const text = (): string => {
    const length = number();
    if (length > block.length - at) throw protocolFault("SPDY header block is cut short");
    at += length;
    return block.toString("latin1", at - length, at);
  };
  const count = number();
  if (count > maxHeaders)
    throw protocolFault(`SPDY header block has ${count} headers, at most ${maxHeaders} expected`);
  const headers = new Map<string, string>();
  for (let i = 0; i < count; i++) {
    const name = text().toLowerCase();
    const value = text();
    if (name === "" || headers.has(name))
      throw protocolFault("SPDY header block repeats a name, or has an empty one");
    headers.set(name, value);
  }
  if (at !== block.length) throw protocolFault("SPDY header block is longer than its headers");
  return headers;
}

/** Encodes the blocks of one direction of a connection, in order. */
export class HeaderEncoder {
  #begun = false;

  encode(headers: Headers): Buffer {
    const parts: Buffer[] = [u32(headers.size)];
    for (const [name, value] of headers) {
      parts.push(u32(Buffer.byteLength(name, "latin1")), Buffer.from(name, "latin1"));
      parts.push(u32(Buffer.byteLength(value, "latin1")), Buffer.from(value, "latin1"));
    }
    const block = Buffer.concat(parts);
    // One stored deflate block: 0, its length, the complement of its length. zlib header: 32 KiB window, fastest.
    const begin = this.#begun ? Buffer.alloc(5) : Buffer.from([0x78, 0x01, 0, 0, 0, 0, 0]);
    begin.writeUInt16LE(block.length, begin.length - 4);
    begin.writeUInt16LE(~block.length & 0xffff, begin.length - 2);
    this.#begun = true;
    return Buffer.concat([begin, block, flushed]);
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}
