import { describe, expect, it } from "vitest";
import { type Codec, imageService, type Method, runtimeService } from "../../cri-api/index.ts";
import { createLogger } from "../log/log.ts";
import { RuntimeError } from "../errors/runtime-error.ts";
import { type CallLogging, runUnary, subjectOf, type UnaryHandler } from "./unary.ts";

async function call<M extends Method<unknown, never, unknown, never>>(
  method: M,
  request: M extends { request: Codec<infer _, infer Init> } ? Init : never,
  handler: UnaryHandler,
  logging: CallLogging = "all",
): Promise<{
  line: Record<string, unknown> | undefined;
  text: string;
  answer: Awaited<ReturnType<typeof runUnary>>;
}> {
  const lines: string[] = [];
  const log = createLogger({ level: "info", stream: { write: (line: string) => void lines.push(line) } });
  const one = method as unknown as Method;
  const bytes = one.request.encode(request);
  const answer = await runUnary({ method: one, bytes, signal: new AbortController().signal }, handler, {
    log,
    logging,
  });
  const text = lines.join("");
  return { text, answer, line: text === "" ? undefined : (JSON.parse(text) as Record<string, unknown>) };
}

describe("the log line of a call", () => {
  it("tells what it was about and what came of it", async () => {
    const config = {
      metadata: { name: "web", namespace: "shop", uid: "u" },
      annotations: { token: "s3cret" },
    };
    const { line, text } = await call(
      runtimeService.runPodSandbox,
      { config, runtimeHandler: "runc" },
      async () => ({ podSandboxId: "p1" }),
    );
    expect(line).toMatchObject({
      level: "info",
      method: "RunPodSandbox",
      name: "web",
      namespace: "shop",
      handler: "runc",
      pod: "p1",
      code: "OK",
    });
    expect(text).not.toContain("s3cret");
  });

  it.each<[string, () => ReturnType<typeof call>]>([
    [
      "credentials of a pull",
      () =>
        call(
          imageService.pullImage,
          {
            image: { image: "r/i:1" },
            auth: {
              username: "u",
              password: "s3cret",
              auth: "s3cret",
              identityToken: "s3cret",
              registryToken: "s3cret",
            },
          },
          async () => ({ imageRef: "sha256:1" }),
        ),
    ],
    [
      "the environment and the command of a container",
      () =>
        call(
          runtimeService.createContainer,
          {
            podSandboxId: "p",
            config: {
              metadata: { name: "c" },
              image: { image: "i" },
              args: ["s3cret"],
              envs: [{ key: "K", value: Buffer.from("s3cret") }],
            },
          },
          async () => ({ containerId: "c1" }),
        ),
    ],
    [
      "what is executed",
      () =>
        call(runtimeService.execSync, { containerId: "c", cmd: ["echo", "s3cret"] }, async () => ({
          stdout: Buffer.from("s3cret"),
        })),
    ],
    [
      "the URL of a stream",
      () =>
        call(runtimeService.exec, { containerId: "c", cmd: ["sh"] }, async () => ({
          url: "http://127.0.0.1/s3cret",
        })),
    ],
  ])("holds no secret: %s", async (_, run) => {
    const { text } = await run();
    expect(text).not.toBe("");
    expect(text).not.toContain("s3cret");
  });

  it("is an error with a stack for our own mistakes only", async () => {
    const bug = await call(runtimeService.version, {}, async () => {
      throw new TypeError("bug");
    });
    expect(bug.line).toMatchObject({
      level: "error",
      code: "INTERNAL",
      error: { kind: "internal", message: "bug", stack: expect.stringContaining("TypeError") },
    });
    const missing = await call(runtimeService.containerStatus, { containerId: "x" }, async () => {
      throw new RuntimeError("not-found", "no x", { subject: { container: "x" } });
    });
    expect(missing.line).toMatchObject({
      level: "info",
      code: "NOT_FOUND",
      container: "x",
      error: { message: "no x", subject: { container: "x" } },
    });
    expect(missing.text).not.toContain("stack");
  });

  it("of calls that only look can be left out, failures never", async () => {
    const ok: UnaryHandler = async () => ({});
    const fail: UnaryHandler = async () => {
      throw new RuntimeError("unavailable", "no");
    };
    for (const name of [
      "version",
      "status",
      "listContainers",
      "podSandboxStatus",
      "listPodSandboxStats",
    ] as const) {
      expect((await call(runtimeService[name], {}, ok, "changes")).line).toBe(undefined);
      expect((await call(runtimeService[name], {}, fail, "changes")).line).toMatchObject({
        code: "UNAVAILABLE",
      });
    }
    expect((await call(runtimeService.startContainer, {}, ok, "changes")).line).toMatchObject({
      method: "StartContainer",
    });
    expect((await call(runtimeService.startContainer, {}, ok, "errors")).line).toBe(undefined);
  });

  it("cuts ids that are none", () => {
    expect(subjectOf({ containerId: "x".repeat(1 << 20) }).container).toHaveLength(256);
    expect(subjectOf(undefined)).toEqual({});
    expect(subjectOf({ config: "odd", image: 5 })).toEqual({});
  });
});

describe("a request", () => {
  it("that is broken is INVALID_ARGUMENT and reaches no handler", async () => {
    let reached = false;
    const answer = await runUnary(
      {
        method: runtimeService.version as unknown as Method,
        bytes: Buffer.from([0x0a, 0x05]),
        signal: new AbortController().signal,
      },
      async () => {
        reached = true;
        return {};
      },
      { log: createLogger({ level: "silent" }), logging: "all" },
    );
    expect(answer).toMatchObject({
      status: { name: "INVALID_ARGUMENT", details: expect.stringContaining("not a valid VersionRequest") },
    });
    expect(reached).toBe(false);
  });
});
