import { readFileSync } from "node:fs";
import { join } from "node:path";
import protobuf from "protobufjs";
import { describe, expect, it } from "vitest";
import { generate } from "../../hack/generate.ts";
import { isAny, service, timestamp, timestampNs } from "./message.ts";

interface FieldFacts {
  readonly number: number;
  readonly type: string;
  readonly repeated?: true;
  readonly map_key?: string;
}
interface Facts {
  readonly services: Record<string, Record<string, { request: string; response: string }>>;
  readonly messages: Record<string, Record<string, FieldFacts>>;
  readonly enums: Record<string, Record<string, number>>;
}

const facts = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../test/fixtures/shim-api.json"), "utf8"),
) as Facts;
const source = readFileSync(join(import.meta.dirname, "shim.proto"), "utf8");
const root = protobuf.parse(source, { keepCase: true, alternateCommentMode: true }).root.resolveAll();
const space = root.lookup("kobako.shim") as protobuf.Namespace;
const types = space.nestedArray.filter((o) => o instanceof protobuf.Type);

/** The published name is the last word of the comment. */
const published = (o: protobuf.ReflectionObject) => o.comment?.split(/\s/).at(-1) ?? "";

/** A message type is compared by the published name of what it refers to. */
function typeOf(field: protobuf.Field): string {
  return field.resolvedType ? (published(field.resolvedType).split(".").at(-1) ?? "") : field.type;
}

describe("shim.proto", () => {
  it.each(types.map((type) => [type.name, type] as const))(
    "%s has only fields of the published message, with their numbers and types",
    (_, type) => {
      const message = facts.messages[published(type)];
      expect(message, published(type)).toBeDefined();
      for (const field of type.fieldsArray) {
        const fact = message?.[field.name];
        expect(fact?.number, field.name).toBe(field.id);
        expect(fact?.type.split(".").at(-1), field.name).toBe(typeOf(field));
        expect(fact?.repeated ?? false, field.name).toBe(field.repeated);
        expect(fact?.map_key, field.name).toBe(
          field instanceof protobuf.MapField ? field.keyType : undefined,
        );
      }
    },
  );

  it("has the published states of a task", () => {
    const ours = (space.lookup("TaskStatus") as protobuf.Enum).values;
    const values = Object.entries(ours).map(([name, value]) => [name.replace("TASK_", ""), value]);
    expect(Object.fromEntries(values)).toEqual(facts.enums["containerd.v1.types.Status"]);
  });

  it("speaks to services that exist, whose two versions have the same methods", () => {
    expect(facts.services).toHaveProperty([service.events, "Forward"]);
    expect(facts.services[service.task(2)]).toEqual(facts.services[service.task(3)]);
    expect(Object.keys(facts.services[service.task(3)] ?? {})).toHaveLength(17);
  });

  it("gives one request to methods whose requests are alike", () => {
    const task = facts.services[service.task(3)] ?? {};
    const requests = (...methods: string[]) =>
      methods.map((m) => facts.messages[`containerd.task.v3.${task[m]?.request}`]);
    for (const [first, ...others] of [
      requests("State", "Start", "Delete", "Wait"),
      requests("Stats", "Pids", "Pause", "Resume", "Connect"),
    ]) {
      expect(first).toBeDefined();
      for (const other of others) expect(other).toEqual(first);
    }
  });
});

describe("src/ttrpc/gen", () => {
  it("is what shim.proto gives", () => {
    const text = generate("src/ttrpc/shim.proto", source, "../../../cri-api/wire.ts");
    expect(text).toBe(readFileSync(join(import.meta.dirname, "gen/shim.ts"), "utf8"));
  });
});

describe("timestamps", () => {
  it("are nanoseconds since 1970, and 0 where a shim sent none or nonsense", () => {
    expect(timestampNs(timestamp(1_700_000_000_123_456_789n))).toBe(1_700_000_000_123_456_789n);
    expect(timestampNs(undefined)).toBe(0n);
    // Go's zero time, as shims send it for a process that has not ended.
    expect(timestampNs({ seconds: -62_135_596_800n, nanos: 0 })).toBe(0n);
    expect(timestampNs({ seconds: 1n, nanos: -1 })).toBe(0n);
    expect(timestampNs({ seconds: 1n << 62n, nanos: 0 })).toBe(0n);
  });
});

describe("Any", () => {
  it("is known by its type with and without a host before it", () => {
    const value = new Uint8Array();
    expect(isAny({ typeUrl: "containerd.events.TaskExit", value }, "containerd.events.TaskExit")).toBe(true);
    expect(
      isAny(
        { typeUrl: "type.googleapis.com/containerd.events.TaskExit", value },
        "containerd.events.TaskExit",
      ),
    ).toBe(true);
    expect(isAny({ typeUrl: "xcontainerd.events.TaskExit", value }, "containerd.events.TaskExit")).toBe(
      false,
    );
  });
});
