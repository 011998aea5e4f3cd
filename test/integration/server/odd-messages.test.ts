/** Row C5 of the security bar, a sample: odd messages to every method get a status, whatever they are. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Client, credentials } from "@grpc/grpc-js";
import protobuf from "protobufjs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { imageService, kobako, type Method, runtimeService } from "../../../cri-api/index.ts";
import { statusCode } from "../../../src/server/grpc-status.ts";
import { type Served, served } from "./serve.ts";

const rounds = process.env.KOBAKO_SOAK === "1" ? 20_000 : 60;
const proto = readFileSync(join(import.meta.dirname, "../../../cri-api/runtime/v1/api.proto"), "utf8");
const space = protobuf
  .parse(proto, { keepCase: true })
  .root.resolveAll()
  .lookup("runtime.v1") as protobuf.Namespace;

let server: Served;
let client: Client;
beforeAll(async () => {
  server = await served();
  client = new Client(`unix:${server.socket}`, credentials.createInsecure());
});
afterAll(async () => {
  client.close();
  await server[Symbol.asyncDispose]();
});

function random(seed: number): (below: number) => number {
  let x = seed | 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

/** A message of `type` with odd values: unknown enums, huge and negative numbers, paths, markup, missing parts. */
function odd(type: protobuf.Type, rnd: (below: number) => number, depth = 0): Record<string, unknown> {
  const texts = ["", "../../x", "\0", "-rf", "%s%n", "__proto__", "x".repeat(5_000), "a\nb", "\u{10ffff}"];
  const out: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    if (rnd(3) === 0) continue;
    const one = (): unknown => {
      if (field.resolvedType instanceof protobuf.Enum) return [0, 1, -1, 99, 2 ** 31 - 1][rnd(5)];
      if (field.resolvedType instanceof protobuf.Type)
        return depth > 6 ? {} : odd(field.resolvedType, rnd, depth + 1);
      if (field.type === "string") return texts[rnd(texts.length)];
      if (field.type === "bytes") return Buffer.alloc(rnd(100), rnd(256));
      if (field.type === "bool") return rnd(2) === 1;
      if (field.type === "double") return [Number.NaN, Number.NEGATIVE_INFINITY, 1e308][rnd(3)];
      return [0, -1, 2 ** 31 - 1, "9223372036854775807", "-9223372036854775808"][
        rnd(field.type.endsWith("64") ? 5 : 3)
      ];
    };
    if (field instanceof protobuf.MapField)
      out[field.name] = { [String(texts[rnd(5)])]: texts[rnd(texts.length)] };
    else out[field.name] = field.repeated ? Array.from({ length: rnd(4) }, one) : one();
  }
  return out;
}

function send(path: string, bytes: Buffer): Promise<number> {
  return new Promise((resolve) => {
    const call = client.makeServerStreamRequest(
      path,
      (b: Buffer) => b,
      (b) => b,
      bytes,
      { deadline: Date.now() + 10_000 },
    );
    // Endless streams are left after their first message.
    call.on("data", () => call.cancel());
    call.on("error", (error: { code?: number }) => resolve(error.code ?? statusCode.UNKNOWN));
    call.on("end", () => resolve(statusCode.OK));
  });
}

it(`${rounds} odd messages to each method end in a status, the server lives and its memory is flat`, async () => {
  const methods = [runtimeService, imageService, kobako].flatMap(
    (table) => Object.values(table) as unknown as Method[],
  );
  const rnd = random(20261121);
  const seen = new Set<number>();
  await send(methods[0]?.path ?? "", Buffer.alloc(0));
  const before = server.memoryMib();
  for (let round = 0; round < rounds; round++) {
    const codes = await Promise.all(
      methods.map((method) => {
        const type = space.get(method.request.name);
        let bytes = Buffer.alloc(rnd(200), rnd(256));
        if (type instanceof protobuf.Type && round % 3 > 0) {
          bytes = Buffer.from(type.encode(type.fromObject(odd(type, rnd))).finish());
          if (round % 3 === 2)
            for (let i = rnd(5); i > 0 && bytes.length > 0; i--) bytes[rnd(bytes.length)] = rnd(256);
        }
        return send(method.path, bytes);
      }),
    );
    for (const code of codes) seen.add(code);
  }
  expect(server.child.exitCode).toBe(null);
  const usual: number[] = [
    statusCode.OK,
    statusCode.CANCELLED,
    statusCode.INVALID_ARGUMENT,
    statusCode.NOT_FOUND,
    statusCode.UNIMPLEMENTED,
  ];
  expect([...seen].filter((code) => !usual.includes(code))).toEqual([]);
  expect(seen.has(statusCode.INVALID_ARGUMENT)).toBe(true);
  expect(server.memoryMib() - before).toBeLessThan(100);
  expect(await server.client.version({ version: "end" })).toMatchObject({ version: "end" });
});
