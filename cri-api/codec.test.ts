import { readFileSync } from "node:fs";
import { join } from "node:path";
import protobuf from "protobufjs";
import { describe, expect, it } from "vitest";
import { camelCase } from "../hack/generate.ts";
import * as api from "./index.ts";
import type { Codec } from "./index.ts";

const roots = ["runtime", "kobako"].map((name) =>
  protobuf
    .parse(readFileSync(join(import.meta.dirname, name, "v1/api.proto"), "utf8"), { keepCase: true })
    .root.resolveAll(),
);
const types = roots.flatMap((root, i) =>
  (root.lookup(i === 0 ? "runtime.v1" : "kobako.v1") as protobuf.Namespace).nestedArray.filter(
    (o) => o instanceof protobuf.Type,
  ),
);
const codecs = api as unknown as Record<string, Codec<object>>;

/** A small seeded generator (xorshift32): a failing case can be run again. */
function random(seed: number): (below: number) => number {
  let x = seed | 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}
type Random = ReturnType<typeof random>;

const texts = [
  "",
  "a",
  "kube-system",
  "ünï\u{1f4e6}",
  "\ufffd",
  "__proto__",
  "constructor",
  "x".repeat(300),
  "\0",
];
const signed = [
  0n,
  1n,
  -1n,
  2n ** 53n,
  -(2n ** 53n) - 1n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  1700000000123456789n,
];
const unsigned = [0n, 1n, 2n ** 32n, 2n ** 49n - 1n, 2n ** 49n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n];
const pick = <T>(rnd: Random, list: readonly T[]): T => list[rnd(list.length)] as T;

function scalar(field: protobuf.Field, rnd: Random): unknown {
  if (field.resolvedType instanceof protobuf.Enum)
    return pick(rnd, [...Object.values(field.resolvedType.values), 999]);
  switch (field.type) {
    case "string":
      return pick(rnd, texts);
    case "bytes":
      return Uint8Array.from({ length: rnd(200) }, () => rnd(256));
    case "bool":
      return rnd(2) === 1;
    case "int32":
      return pick(rnd, [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 443]);
    case "uint32":
      return pick(rnd, [0, 1, 2 ** 32 - 1, 70000]);
    case "int64":
      return pick(rnd, signed);
    case "uint64":
      return pick(rnd, unsigned);
    case "double":
      return pick(rnd, [0, -0, 0.1, -1e300, Number.POSITIVE_INFINITY]);
    default:
      throw new Error(`no value for ${field.type}`);
  }
}

/** A value as our codecs decode it: everything there, maps without prototype. */
function value(type: protobuf.Type, rnd: Random): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    const one = () =>
      field.resolvedType instanceof protobuf.Type ? value(field.resolvedType, rnd) : scalar(field, rnd);
    const name = camelCase(field.name);
    if (field instanceof protobuf.MapField)
      out[name] = Object.assign(
        Object.create(null),
        Object.fromEntries(Array.from({ length: rnd(4) }, () => [pick(rnd, texts), pick(rnd, texts)])),
      );
    else if (field.repeated) out[name] = Array.from({ length: rnd(4) }, one);
    else if (field.resolvedType instanceof protobuf.Type) out[name] = rnd(3) === 0 ? undefined : one();
    else out[name] = one();
  }
  return out;
}

/** The same value as protobufjs' reflection takes and gives it: published names, 64-bit integers as text. */
function reflected(type: protobuf.Type, ours: Record<string, unknown>): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    const v = ours[camelCase(field.name)];
    const convert = (one: unknown) =>
      typeof one === "bigint"
        ? one.toString()
        : field.resolvedType instanceof protobuf.Type
          ? reflected(field.resolvedType, one as Record<string, unknown>)
          : one instanceof Uint8Array
            ? Buffer.from(one).toString("base64")
            : one;
    if (v === undefined) continue;
    out[field.name] = Array.isArray(v) ? v.map(convert) : convert(v);
  }
  return out;
}

describe("codecs", () => {
  it("there is one for every message", () => {
    expect(types.length).toBeGreaterThan(175);
    for (const type of types) expect(codecs[type.name]?.name).toBe(type.name);
  });

  it.each(types.map((type) => [type.name, type] as const))(
    "%s agrees with reflection both ways",
    (name, type) => {
      const codec = codecs[name] as Codec<object>;
      for (let seed = 1; seed <= 24; seed++) {
        const ours = value(type, random(seed * 2654435761));
        const bytes = codec.encode(ours);
        expect(codec.decode(bytes), `seed ${seed}`).toEqual(ours);
        const theirs = type.toObject(type.decode(bytes), {
          longs: String,
          bytes: String,
          arrays: true,
          defaults: true,
        });
        // Reflection cannot hold a key named __proto__: leave those cases to the comparison above.
        if (!JSON.stringify(reflected(type, ours)).includes("__proto__")) {
          expect(prune(theirs)).toEqual(prune(reflected(type, ours)));
          expect(codec.decode(type.encode(type.fromObject(reflected(type, ours))).finish())).toEqual(ours);
        }
      }
    },
  );

  it("keeps __proto__ a plain key", () => {
    const labels = JSON.parse('{"__proto__":"x","constructor":"y","hasOwnProperty":"z"}') as Record<
      string,
      string
    >;
    const back = api.PodSandboxConfig.decode(api.PodSandboxConfig.encode({ labels })).labels;
    expect(Object.entries(back)).toEqual(Object.entries(labels));
    expect(Object.getPrototypeOf(back)).toBe(null);
    expect(({} as Record<string, unknown>).x).toBe(undefined);
  });

  it("merges a message that comes twice, as protobuf has it", () => {
    const bytes = Buffer.concat([
      api.PodSandboxConfig.encode({ metadata: { name: "a", attempt: 3 } }),
      api.PodSandboxConfig.encode({ metadata: { name: "b", uid: "u" } }),
    ]);
    expect(api.PodSandboxConfig.decode(bytes).metadata).toEqual({
      name: "b",
      uid: "u",
      namespace: "",
      attempt: 3,
    });
  });

  it("takes a list of numbers packed and one by one", () => {
    const loose = Buffer.from([0x10, 0x50, 0x10, 0xbb, 0x03]);
    expect(api.PortForwardRequest.decode(loose).port).toEqual([80, 443]);
    expect(api.PortForwardRequest.decode(api.PortForwardRequest.encode({ port: [80, -1] })).port).toEqual([
      80, -1,
    ]);
  });

  it("refuses numbers that do not fit instead of cutting them", () => {
    expect(() => api.Int64Value.encode({ value: 2n ** 63n })).toThrow(RangeError);
    expect(() => api.UInt64Value.encode({ value: -1n })).toThrow(RangeError);
    expect(() => api.ContainerMetadata.encode({ attempt: -1 })).toThrow(RangeError);
    expect(() => api.ExecSyncResponse.encode({ exitCode: 2 ** 31 })).toThrow(RangeError);
  });

  it("gives bytes that do not keep the message alive", () => {
    const wire = api.KeyValue.encode({ key: "k", value: Buffer.from([0, 0xff]) });
    const { value: bytes } = api.KeyValue.decode(wire);
    expect([...bytes]).toEqual([0, 0xff]);
    expect(bytes.buffer.byteLength).toBe(2);
  });
});

/** Without what is at its default, which reflection and we leave out alike. -0 is kept. */
function prune(v: unknown): unknown {
  if (Array.isArray(v)) return v.map(prune);
  if (v === null || typeof v !== "object") return v;
  return Object.fromEntries(
    Object.entries(v)
      .filter(
        ([, x]) => x !== undefined && x !== null && x !== "" && x !== "0" && x !== false && !Object.is(x, 0),
      )
      .map(([k, x]) => [k, prune(x)] as const)
      .filter(
        ([, x]) => !(Array.isArray(x) && x.length === 0) && !(isObject(x) && Object.keys(x).length === 0),
      ),
  );
}
function isObject(x: unknown): x is object {
  return typeof x === "object" && x !== null && !Array.isArray(x);
}

describe("hostile bytes", () => {
  const decode = (bytes: Uint8Array) => api.RunPodSandboxRequest.decode(bytes);

  it("100 000 nested groups are refused without recursion", () => {
    expect(() => decode(Buffer.alloc(100_000, 0x7b))).toThrow(/nested too deep/);
  });

  it("known groups of an unknown field are passed over, odd ones refused", () => {
    expect(decode(Buffer.from([0x7b, 0x08, 0x01, 0x7c]))).toEqual(decode(Buffer.alloc(0)));
    expect(() => decode(Buffer.from([0x7b, 0x84, 0x01]))).toThrow(/not open/);
    expect(() => decode(Buffer.from([0x7c]))).toThrow(/not open/);
    expect(() => decode(Buffer.from([0x7b]))).toThrow(api.DecodeError);
  });

  it("a length beyond the message is refused before anything is allocated", () => {
    expect(() => decode(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x07]))).toThrow(/announced/);
    expect(() => decode(Buffer.from([0x0a, 0x02, 0x12, 0x05, 0x61]))).toThrow(api.DecodeError);
    // The inner text is longer than its message but not than the request.
    expect(() => decode(Buffer.from([0x0a, 0x02, 0x12, 0x03, 0x61, 0x61, 0x61]))).toThrow(
      /longer than its message/,
    );
  });

  it("text that is not UTF-8 is refused, a real replacement character is not", () => {
    expect(() => decode(Buffer.from([0x12, 0x02, 0xc3, 0x28]))).toThrow(
      /RunPodSandboxRequest: text is not valid UTF-8/,
    );
    expect(decode(Buffer.from([0x12, 0x03, 0xef, 0xbf, 0xbd])).runtimeHandler).toBe("\ufffd");
  });

  it("16 MiB of empty messages cost an error, not gigabytes", () => {
    const mounts = Buffer.alloc(16 << 20);
    for (let i = 0; i < mounts.length; i += 2) mounts[i] = 0x3a;
    const before = process.memoryUsage().heapUsed;
    expect(() => api.ContainerConfig.decode(mounts)).toThrow(/too many items/);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(256 << 20);
    const strings = Buffer.alloc(16 << 20);
    for (let i = 0; i < strings.length; i += 2) strings[i] = 0x1a;
    expect(() => api.ContainerConfig.decode(strings)).toThrow(/too many items/);
    const numbers = Buffer.concat([Buffer.from([0x12, 0x80, 0x80, 0x80, 0x04]), Buffer.alloc(8 << 20)]);
    expect(() => api.PortForwardRequest.decode(numbers)).toThrow(/too many items/);
  });

  it("broken, cut and random messages end in a value or a DecodeError", () => {
    const rnd = random(20261121);
    for (const type of types) {
      const codec = codecs[type.name] as Codec<object>;
      for (let round = 0; round < 40; round++) {
        const bytes = Buffer.from(codec.encode(value(type, rnd)));
        for (let i = rnd(4); i > 0 && bytes.length > 0; i--) bytes[rnd(bytes.length)] = rnd(256);
        const cut = round % 3 === 0 ? Buffer.from(Array.from({ length: rnd(64) }, () => rnd(256))) : bytes;
        const input = round % 2 === 0 ? cut : cut.subarray(0, rnd(cut.length + 1));
        try {
          codec.decode(input);
        } catch (error) {
          expect(error).toBeInstanceOf(api.DecodeError);
        }
      }
    }
  });
});
