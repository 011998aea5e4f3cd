import { describe, expect, it } from "vitest";
import { parseImageConfig } from "./image-config.ts";

const diffId = `sha256:${"a".repeat(64)}`;
const whole = {
  created: "2026-01-01T00:00:00Z",
  os: "linux",
  architecture: "arm64",
  variant: "v8",
  config: {
    User: "app:staff",
    Env: ["PATH=/bin", "ODD", "=x"],
    Entrypoint: ["/bin/app"],
    Cmd: ["-v"],
    WorkingDir: "/srv",
    StopSignal: "SIGQUIT",
    Labels: { a: "b" },
    Volumes: { "/data": {} },
    ExposedPorts: { "80/tcp": {} },
  },
  rootfs: { type: "layers", diff_ids: [diffId] },
};

function parse(value: unknown) {
  return parseImageConfig(Buffer.from(typeof value === "string" ? value : JSON.stringify(value)));
}

describe("an image configuration", () => {
  it("gives what a container takes from its image", () => {
    expect(parse(whole)).toEqual({
      config: {
        env: ["PATH=/bin", "ODD", "=x"],
        entrypoint: ["/bin/app"],
        cmd: ["-v"],
        workingDir: "/srv",
        user: "app:staff",
        stopSignal: "SIGQUIT",
        labels: { a: "b" },
        volumes: ["/data"],
        exposedPorts: ["80/tcp"],
        architecture: "arm64",
        os: "linux",
        variant: "v8",
        created: "2026-01-01T00:00:00Z",
      },
      diffIds: [diffId],
    });
  });

  it("may leave out or null everything", () => {
    const empty = { env: [], entrypoint: [], cmd: [], workingDir: "", user: "", labels: {}, volumes: [] };
    expect(parse({})).toMatchObject({ config: empty, diffIds: [] });
    const nulls = { Env: null, Entrypoint: null, Cmd: null, Labels: null, Volumes: null, User: null };
    expect(parse({ config: nulls, rootfs: null })).toMatchObject({ config: empty, diffIds: [] });
    expect(parse({ config: null })).toMatchObject({ config: empty });
  });

  it("poisons nothing", () => {
    const { config } = parse(
      `{"config":{"Labels":{"__proto__":"x","constructor":"y"},"__proto__":{"User":"root"}}}`,
    );
    expect(Object.keys(config.labels)).toEqual(["__proto__", "constructor"]);
    expect(config.user).toBe("");
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  it.each([
    ["a manifest", { layers: [] }, "is a manifest or an index"],
    ["an index", { manifests: [] }, "is a manifest or an index"],
    ["a diff id that is a path", { rootfs: { type: "layers", diff_ids: ["sha256:../x"] } }, "diff_ids[0]"],
    ["a rootfs of another kind", { rootfs: { type: "base" } }, 'must be "layers"'],
    ["an Env that is text", { config: { Env: "A=b" } }, "Env must be an array"],
    ["an Env with a number", { config: { Env: [1] } }, "Env[0] must be text"],
    ["a NUL in an argument", { config: { Cmd: ["a\0b"] } }, "Cmd[0] must be text without a NUL"],
    ["a NUL in the user", { config: { User: "a\0" } }, "User must be text without a NUL"],
    ["a label that is no text", { config: { Labels: { a: {} } } }, "Labels.a must be a string"],
    ["a second config in another case", { config: {}, Config: {} }, 'spells "config" as "Config"'],
    ["a list without end", { config: { Env: Array(10_001).fill("A=b") } }, "at most 10000"],
  ])("is not %s", (_, value, message) => {
    expect(() => parse(value)).toThrow(message);
    expect(() => parse(value)).toThrow(expect.objectContaining({ kind: "invalid-argument" }));
  });
});
