import { readFileSync } from "node:fs";
import { join } from "node:path";
import protobuf from "protobufjs";
import { describe, expect, it } from "vitest";
import { generate } from "../hack/generate.ts";
import { imageService, runtimeService } from "./index.ts";

interface Facts {
  readonly package: string;
  readonly services: Record<
    string,
    Record<string, { request: string; response: string; server_streaming?: true }>
  >;
  readonly messages: Record<string, Record<string, FieldFacts>>;
  readonly enums: Record<string, Record<string, number>>;
}
interface FieldFacts {
  readonly number: number;
  readonly type: string;
  readonly repeated?: true;
  readonly map_key?: string;
  readonly deprecated?: true;
  readonly sensitive?: true;
}

const facts = JSON.parse(
  readFileSync(join(import.meta.dirname, "../test/fixtures/cri-api.json"), "utf8"),
) as Facts;
const source = readFileSync(join(import.meta.dirname, "runtime/v1/api.proto"), "utf8");
const root = protobuf.parse(source, { keepCase: true }).root.resolveAll();
const space = root.lookup(facts.package) as protobuf.Namespace;
const types = space.nestedArray.filter((o) => o instanceof protobuf.Type);

function fieldFacts(field: protobuf.Field): FieldFacts {
  return {
    number: field.id,
    type: field.type,
    ...(field instanceof protobuf.MapField ? { map_key: field.keyType } : {}),
    ...(field.repeated ? { repeated: true } : {}),
    ...(field.options?.deprecated ? { deprecated: true } : {}),
    ...(field.options?.debug_redact ? { sensitive: true } : {}),
  };
}

describe("runtime/v1/api.proto", () => {
  it("is proto3 of the package runtime.v1", () => {
    expect(source).toContain('\nsyntax = "proto3";\n');
    expect(facts.package).toBe("runtime.v1");
    expect(types.flatMap((type) => type.oneofsArray)).toEqual([]);
  });

  it("has the published services, methods and their types", () => {
    const services = space.nestedArray.filter((o) => o instanceof protobuf.Service);
    const ours = services.map((service) => [
      service.name,
      Object.fromEntries(
        service.methodsArray.map((m) => [
          m.name,
          {
            request: m.requestType,
            response: m.responseType,
            ...(m.responseStream ? { server_streaming: true } : {}),
          },
        ]),
      ),
    ]);
    expect(Object.fromEntries(ours)).toEqual(facts.services);
    expect(services.flatMap((s) => s.methodsArray).filter((m) => m.requestStream)).toEqual([]);
  });

  it("has the published messages: each field's number, type, label, deprecation and secrecy", () => {
    const ours = types.map((type) => [
      type.name,
      Object.fromEntries(type.fieldsArray.map((field) => [field.name, fieldFacts(field)])),
    ]);
    expect(Object.fromEntries(ours)).toEqual(facts.messages);
  });

  it("has the published enums and their values", () => {
    const enums = [space, ...types].flatMap((o) => o.nestedArray.filter((e) => e instanceof protobuf.Enum));
    const name = (e: protobuf.Enum) => (e.parent === space ? e.name : `${e.parent?.name}.${e.name}`);
    expect(Object.fromEntries(enums.map((e) => [name(e), e.values]))).toEqual(facts.enums);
  });
});

describe("cri-api/gen", () => {
  it.each(["runtime", "kobako"])("is what %s/v1/api.proto gives", (name) => {
    const proto = `${name}/v1/api.proto`;
    const text = generate(`cri-api/${proto}`, readFileSync(join(import.meta.dirname, proto), "utf8"));
    expect(text).toBe(readFileSync(join(import.meta.dirname, `gen/${name}-v1.ts`), "utf8"));
  });

  it("serves all 43 methods under their published paths", () => {
    const paths = [runtimeService, imageService].flatMap((table) => Object.values(table).map((m) => m.path));
    const published = Object.entries(facts.services).flatMap(([service, methods]) =>
      Object.keys(methods).map((method) => `/runtime.v1.${service}/${method}`),
    );
    expect(published).toHaveLength(43);
    expect(paths.sort()).toEqual(published.sort());
  });

  it("refuses recursive messages: nothing else bounds the depth of a decode", () => {
    const recursive = 'syntax = "proto3"; package p; message A { B b = 1; } message B { repeated A a = 1; }';
    expect(() => generate("p.proto", recursive)).toThrow(/\.p\.A contains itself/);
  });
});
