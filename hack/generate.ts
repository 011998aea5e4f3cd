/**
 * Writes cri-api/gen/ and src/ttrpc/gen/ from the .proto files beside them (typed, static encode and decode code), and
 * the reference in docs/config.md from src/config/schema.ts.
 *
 *   hack/generate           writes the files
 *   hack/generate --check   compares, and exits with 1 when a file is not what it should be
 *
 * Enters: proto3 files of one package each, without imports, oneofs or recursive messages (it refuses those: the
 * decoder's nesting is bounded by the schema). Leaves: one module per file; the functions it calls are in
 * cri-api/wire.ts, the doors are cri-api/index.ts and src/ttrpc/message.ts.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import protobuf from "protobufjs";
import { configReference } from "../src/config/print.ts";

const root = join(import.meta.dirname, "..");
/** `wire`: the module with the run-time half, as seen from the one that is written. */
const inputs = [
  { proto: "cri-api/runtime/v1/api.proto", module: "cri-api/gen/runtime-v1.ts", wire: "../wire.ts" },
  { proto: "cri-api/kobako/v1/api.proto", module: "cri-api/gen/kobako-v1.ts", wire: "../wire.ts" },
  { proto: "src/ttrpc/shim.proto", module: "src/ttrpc/gen/shim.ts", wire: "../../../cri-api/wire.ts" },
];

/** A scalar: its type in TypeScript, its default, the wire type, the pair of functions in wire.ts. */
const scalars: Readonly<
  Record<string, { ts: string; zero: string; wire: number; name: string; read: string }>
> = {
  string: { ts: "string", zero: '""', wire: 2, name: "String", read: "rString(r)" },
  bytes: { ts: "Uint8Array", zero: "new Uint8Array(0)", wire: 2, name: "Bytes", read: "rBytes(r)" },
  bool: { ts: "boolean", zero: "false", wire: 0, name: "Bool", read: "r.bool()" },
  int32: { ts: "number", zero: "0", wire: 0, name: "Int32", read: "r.int32()" },
  uint32: { ts: "number", zero: "0", wire: 0, name: "Uint32", read: "r.uint32()" },
  int64: { ts: "bigint", zero: "0n", wire: 0, name: "Int64", read: "rInt64(r)" },
  uint64: { ts: "bigint", zero: "0n", wire: 0, name: "Uint64", read: "rUint64(r)" },
  double: { ts: "number", zero: "0", wire: 1, name: "Double", read: "r.double()" },
};

/** What is emitted for one field. `zero` is absent for message fields, which may be absent themselves. */
interface Emitted {
  readonly name: string;
  readonly ts: string;
  readonly init: string;
  readonly zero?: string;
  readonly write: string;
  readonly cases: readonly string[];
}

/** snake_case to camelCase; a leading capital or acronym becomes lower case (CDI_devices: cdiDevices). */
export function camelCase(name: string): string {
  return name
    .replace(/^[A-Z]+(?=_|$)|^[A-Z]/, (head) => head.toLowerCase())
    .replace(/_([a-z0-9])/gi, (_, letter: string) => letter.toUpperCase());
}

function emitField(field: protobuf.Field): Emitted {
  const name = camelCase(field.name);
  const at = `m.${name}`;
  const tag = (wire: number) => (field.id << 3) | wire;
  if (field.partOf) throw new Error(`${field.fullName}: oneofs are not supported`);
  if (field instanceof protobuf.MapField) {
    if (field.keyType !== "string" || field.type !== "string")
      throw new Error(`${field.fullName}: only map<string, string> is supported`);
    return {
      name,
      ts: "Record<string, string>",
      init: "Readonly<Record<string, string>>",
      zero: "emptyMap()",
      write: `wStringMap(w, ${tag(2)}, ${at});`,
      cases: [`case ${tag(2)}: rStringMapItem(r, ${at}); break;`],
    };
  }
  const type = field.resolvedType;
  if (type instanceof protobuf.Type) {
    const message = type.name;
    if (field.repeated)
      return {
        name,
        ts: `${message}[]`,
        init: `readonly ${message}Init[]`,
        zero: "[]",
        write: `wMessages(w, ${tag(2)}, w${message}, ${at});`,
        cases: [`case ${tag(2)}: rMessagesItem(r, r${message}, ${at}); break;`],
      };
    return {
      name,
      ts: message,
      init: `${message}Init`,
      write: `wMessage(w, ${tag(2)}, w${message}, ${at});`,
      cases: [`case ${tag(2)}: ${at} = rMessage(r, r${message}, ${at}); break;`],
    };
  }
  const isEnum = type instanceof protobuf.Enum;
  const scalar = scalars[isEnum ? "int32" : field.type];
  if (!scalar) throw new Error(`${field.fullName}: type ${field.type} is not supported`);
  const ts = isEnum ? type.name : scalar.ts;
  if (!field.repeated)
    return {
      name,
      ts,
      init: ts,
      zero: scalar.zero,
      write: `w${scalar.name}(w, ${tag(scalar.wire)}, ${at});`,
      cases: [`case ${tag(scalar.wire)}: ${at} = ${scalar.read}; break;`],
    };
  const list = { name, ts: `${ts}[]`, init: `readonly ${ts}[]`, zero: "[]" };
  if (field.type === "string")
    return {
      ...list,
      write: `wStrings(w, ${tag(2)}, ${at});`,
      cases: [`case ${tag(2)}: rStringsItem(r, ${at}); break;`],
    };
  if (field.type === "int32" || field.type === "int64")
    return {
      ...list,
      write: `w${scalar.name}s(w, ${tag(2)}, ${at});`,
      // A decoder takes a list of numbers packed or one by one, whichever way it was sent.
      cases: [
        `case ${tag(2)}: rPacked(r, r${scalar.name}, ${at}); break;`,
        `case ${tag(scalar.wire)}: rItem(r, r${scalar.name}, ${at}); break;`,
      ],
    };
  throw new Error(`${field.fullName}: repeated ${field.type} is not supported`);
}

function doc(comment: string | null, indent = ""): string[] {
  return comment ? [`${indent}/** ${comment.replace(/\s*\n\s*/g, " ")} */`] : [];
}

function emitEnum(type: protobuf.Enum): string[] {
  const out = [...doc(type.comment), `export const ${type.name} = {`];
  for (const [name, value] of Object.entries(type.values))
    out.push(...doc(type.comments[name] ?? null, "  "), `  ${name}: ${value},`);
  out.push(
    "} as const;",
    "/** Any number: values of a newer client are kept. */",
    `export type ${type.name} = number;`,
  );
  return [...out, ""];
}

function emitMessage(type: protobuf.Type): string[] {
  const name = type.name;
  const fields = type.fieldsArray.map(emitField);
  const out: string[] = [];
  const declare = (suffix: string, comment: string | null, line: (f: Emitted) => string) => {
    out.push(...doc(comment));
    if (fields.length === 0) return out.push(`export type ${name}${suffix} = Record<never, never>;`);
    out.push(`export interface ${name}${suffix} {`);
    fields.forEach((f, i) => {
      if (suffix === "") out.push(...doc(type.fieldsArray[i]?.comment ?? null, "  "));
      out.push(`  ${line(f)}`);
    });
    return out.push("}");
  };
  declare("", type.comment, (f) => (f.zero ? `${f.name}: ${f.ts};` : `${f.name}?: ${f.ts} | undefined;`));
  declare("Init", null, (f) => `readonly ${f.name}?: ${f.init} | undefined;`);
  const unused = fields.length === 0 ? "_" : "";
  out.push(`function w${name}(${unused}w: Writer, ${unused}m: ${name}Init): void {`);
  out.push(...fields.map((f) => `  ${f.write}`), "}");
  const zeros = fields.map((f) => `${f.name}: ${f.zero ?? "undefined"}`);
  const fresh = fields.length === 0 ? "{}" : `{ ${zeros.join(", ")} }`;
  out.push(
    `function r${name}(r: Reader, end: number, m: ${name} = ${fresh}): ${name} {`,
    "  while (r.pos < end) {",
    "    const tag = r.tag();",
  );
  if (fields.length === 0) out.push("    skip(r, tag);");
  else
    out.push(
      "    switch (tag) {",
      ...fields.flatMap((f) => f.cases.map((line) => `      ${line}`)),
      "      default: skip(r, tag);",
      "    }",
    );
  out.push("  }", "  return ended(r, end, m);", "}");
  out.push(
    `export const ${name}: Codec<${name}, ${name}Init> = /* @__PURE__ */ codec("${name}", w${name}, r${name});`,
    "",
  );
  return out;
}

function emitService(service: protobuf.Service): string[] {
  const lower = camelCase(service.name);
  const out = [...doc(service.comment), `export const ${lower} = {`];
  for (const method of service.methodsArray) {
    if (method.requestStream) throw new Error(`${method.fullName}: client streams are not supported`);
    const [request, response] = [method.resolvedRequestType?.name, method.resolvedResponseType?.name];
    out.push(
      ...doc(method.comment, "  "),
      `  ${camelCase(method.name)}: { path: "/${service.fullName.slice(1)}/${method.name}", ` +
        `serverStreaming: ${method.responseStream ?? false}, request: ${request}, response: ${response} },`,
    );
  }
  return [...out, "} as const;", ""];
}

/** Refuses messages that contain themselves: nothing else bounds how deep a decoder goes. */
function refuseRecursion(types: readonly protobuf.Type[]): void {
  const visit = (type: protobuf.Type, path: readonly protobuf.Type[]): void => {
    if (path.includes(type)) throw new Error(`${type.fullName} contains itself`);
    for (const field of type.fieldsArray)
      if (field.resolvedType instanceof protobuf.Type) visit(field.resolvedType, [...path, type]);
  };
  for (const type of types) visit(type, []);
}

/** The text of the module for one .proto, a path below the checkout. */
export function generate(proto: string, source: string, wire = "../wire.ts"): string {
  const parsed = new protobuf.Root();
  const { package: name } = protobuf.parse(source, parsed, { keepCase: true, alternateCommentMode: true });
  parsed.resolveAll();
  const space = parsed.lookup(name ?? "") as protobuf.Namespace;
  const types = space.nestedArray.filter((o) => o instanceof protobuf.Type);
  const enums = [space, ...types].flatMap((o) => o.nestedArray.filter((e) => e instanceof protobuf.Enum));
  const services = space.nestedArray.filter((o) => o instanceof protobuf.Service);
  refuseRecursion(types);
  const body = [
    ...enums.flatMap(emitEnum),
    ...types.flatMap(emitMessage),
    ...services.flatMap(emitService),
  ].join("\n");
  const helpers = [
    ...new Set(
      body.match(
        /\b(?:[rw](?:String|Bytes|Bool|U?[Ii]nt(?:32|64)|Double|Message|Item|Packed)\w*|skip|ended|emptyMap|codec)(?=[(,)])/g,
      ),
    ),
  ];
  const own = new Set(types.flatMap((t) => [`r${t.name}`, `w${t.name}`]));
  return [
    `// Made by hack/generate from ${proto}. Do not edit.`,
    `import { ${helpers
      .filter((h) => !own.has(h))
      .sort()
      .join(", ")} } from "${wire}";`,
    `import type { Codec, Reader, Writer } from "${wire}";`,
    "",
    body,
  ].join("\n");
}

/** `page` with the reference of the settings between its two marks. */
function withReference(page: string): string {
  const [begin, end] = ["<!-- begin: made by hack/generate -->", "<!-- end -->"];
  return `${page.slice(0, page.indexOf(begin))}${begin}\n\n${configReference()}\n\n${page.slice(page.indexOf(end))}`;
}

if (import.meta.main) {
  const check = process.argv.includes("--check");
  const docs = join(root, "docs/config.md");
  const outputs = [
    ...inputs.map(({ proto, module, wire }) => ({
      path: join(root, module),
      text: generate(proto, readFileSync(join(root, proto), "utf8"), wire),
    })),
    { path: docs, text: withReference(readFileSync(docs, "utf8")) },
  ];
  for (const { path, text } of outputs) {
    if (!check) writeFileSync(path, text);
    else if (text !== readFileSync(path, "utf8")) {
      console.error(`${relative(root, path)} is not what its source gives: run hack/generate`);
      process.exitCode = 1;
    }
  }
}
