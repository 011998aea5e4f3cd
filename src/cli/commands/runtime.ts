/** kobako runtime list, kobako runtime check: the handlers of the daemon, and whether one works. */
import { randomBytes, randomUUID } from "node:crypto";
import { imageService, runtimeService } from "../../../cri-api/index.ts";
import type { Context } from "../cli.ts";
import { CliError, exitCode } from "../cli-error.ts";
import { Daemon } from "../client.ts";
import { printable, table, writeValue } from "../output.ts";

/** As Status tells it: src/server/handler-info.ts. */
interface HandlerStatus {
  readonly name: string;
  readonly type: string;
  readonly program: string;
  readonly version?: string;
  readonly ociVersion?: string;
  readonly features?: Readonly<Record<string, boolean>>;
  readonly missing?: readonly string[];
  readonly error?: string;
}

async function askHandlers(daemon: Daemon): Promise<readonly HandlerStatus[]> {
  const { info } = await daemon.call(runtimeService.status, { verbose: true });
  const text = info.handlers;
  if (text === undefined) throw new CliError("the daemon is older than this command: it tells no handlers");
  return JSON.parse(text) as readonly HandlerStatus[];
}

/** kobako runtime list */
export async function list(context: Context): Promise<void> {
  using daemon = new Daemon(context.address);
  const handlers = await askHandlers(daemon);
  if (context.output !== "table") return await writeValue(context, handlers);
  const rows = handlers.map(({ name, type, version, error, program }) => [
    name,
    type,
    version ?? "-",
    error === undefined ? program || "-" : `not usable: ${error}`,
  ]);
  context.stdout.write(table(["HANDLER", "TYPE", "VERSION", "PROGRAM"], rows));
}

/** kobako runtime check NAME: what it is, and a pod with one container made by it. Exit code 1: it does not work. */
export async function check(
  context: Context,
  name: string,
  flags: { readonly image?: string },
): Promise<number> {
  using daemon = new Daemon(context.address);
  const handlers = await askHandlers(daemon);
  const handler = handlers.find((one) => one.name === name);
  if (handler === undefined)
    throw new CliError(
      `handler ${JSON.stringify(name)} is not configured: known are ${handlers.map((one) => one.name).join(", ")}`,
      exitCode.usage,
    );
  const steps = handler.error === undefined ? await smokeTest(daemon, name, flags.image) : [];
  const works = handler.error === undefined && steps.every(({ error }) => error === undefined);
  if (context.output === "table") context.stdout.write(report(handler, steps));
  else await writeValue(context, { ...handler, works, steps });
  return works ? exitCode.ok : exitCode.failed;
}

interface Step {
  readonly name: string;
  readonly ms: number;
  readonly error?: string;
}

/** A pod of the host's network: the handler is looked at, not the CNI plugins. */
async function smokeTest(
  daemon: Daemon,
  handler: string,
  asked: string | undefined,
): Promise<readonly Step[]> {
  const image = asked ?? (await smallestImage(daemon));
  const steps: Step[] = [];
  /** False: it failed, and what builds on it is left out. */
  const step = async (name: string, work: () => Promise<unknown>): Promise<boolean> => {
    const started = performance.now();
    const error = await work().then(
      () => undefined,
      (cause: unknown) => (cause instanceof Error ? cause.message : String(cause)),
    );
    const ms = Math.round((performance.now() - started) * 10) / 10;
    steps.push({ name, ms, ...(error === undefined ? {} : { error }) });
    return error === undefined;
  };
  const linux = { securityContext: { namespaceOptions: { network: 2, pid: 1, ipc: 0 } } };
  const config = {
    metadata: {
      name: `check-${handler}-${randomBytes(3).toString("hex")}`,
      namespace: "kobako",
      uid: randomUUID(),
    },
    linux,
  };
  let podSandboxId = "";
  let containerId = "";
  const made = await step("pod", async () => {
    ({ podSandboxId } = await daemon.call(
      runtimeService.runPodSandbox,
      { config, runtimeHandler: handler },
      { timeoutMs: 240_000 },
    ));
  });
  if (!made) return steps;
  const created = await step(`container of ${image}`, async () => {
    const container = { metadata: { name: "check" }, image: { image }, linux };
    ({ containerId } = await daemon.call(runtimeService.createContainer, {
      podSandboxId,
      config: container,
      sandboxConfig: config,
    }));
  });
  if (created) await step("start", () => daemon.call(runtimeService.startContainer, { containerId }));
  await step("removal", async () => {
    await daemon.call(runtimeService.stopPodSandbox, { podSandboxId });
    await daemon.call(runtimeService.removePodSandbox, { podSandboxId });
  });
  return steps;
}

async function smallestImage(daemon: Daemon): Promise<string> {
  const { images } = await daemon.call(imageService.listImages, {});
  const [smallest] = images.toSorted((a, b) => Number(a.size - b.size));
  if (smallest === undefined)
    throw new CliError("no image is here to make a container of: kobako pull one, or name one with --image");
  return smallest.repoTags[0] ?? smallest.id;
}

function report(handler: HandlerStatus, steps: readonly Step[]): string {
  const { name, type, program, version, ociVersion, features, missing, error } = handler;
  const offered = Object.entries(features ?? {})
    .filter(([, yes]) => yes)
    .map(([feature]) => feature);
  const lines = [
    `handler ${name}, type ${type}${program === "" ? "" : `, ${program}`}`,
    ...(error === undefined
      ? [
          `version: ${version}, config.json up to ${ociVersion}`,
          `features: ${offered.length === 0 ? "none" : offered.join(", ")}`,
          ...(missing ?? []).map((text) => `missing: ${text}`),
        ]
      : [`not usable: ${error}`]),
    ...steps.map(
      (one) =>
        `${one.error === undefined ? "ok  " : "FAIL"} ${one.name} ${one.ms} ms${one.error === undefined ? "" : `: ${one.error}`}`,
    ),
  ];
  return `${lines.map(printable).join("\n")}\n`;
}
