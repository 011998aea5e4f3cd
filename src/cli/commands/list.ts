/** kobako pods, ps, images. */
import {
  type Container,
  ContainerState,
  type Image,
  imageService,
  type PodSandbox,
  PodSandboxState,
  runtimeService,
} from "../../../cri-api/index.ts";
import type { Context } from "../cli.ts";
import { CliError, exitCode } from "../cli-error.ts";
import { Daemon } from "../client.ts";
import { findPod } from "../find.ts";
import { age, shortId, size, table, writeValue } from "../output.ts";

interface PodFlags {
  readonly quiet?: boolean;
  readonly name?: string;
  readonly namespace?: string;
  readonly label: readonly string[];
}

export async function pods(context: Context, flags: PodFlags): Promise<void> {
  using daemon = new Daemon(context.address);
  const labelSelector = Object.fromEntries(flags.label.map(labelPair));
  const { items } = await daemon.call(runtimeService.listPodSandbox, { filter: { labelSelector } });
  const wanted = items
    .filter(({ metadata }) => flags.name === undefined || metadata?.name === flags.name)
    .filter(({ metadata }) => flags.namespace === undefined || metadata?.namespace === flags.namespace)
    .toSorted(newestFirst);
  if (flags.quiet) return ids(context, wanted);
  if (context.output !== "table")
    return await writeValue(context, { items: wanted.map((pod) => ({ ...pod, state: podState(pod) })) });
  const now = Date.now();
  const rows = wanted.map((pod) => [
    shortId(pod.id),
    age(pod.createdAt, now),
    podState(pod).replace("SANDBOX_", "").toLowerCase(),
    pod.metadata?.name ?? "",
    pod.metadata?.namespace ?? "",
    String(pod.metadata?.attempt ?? 0),
    pod.runtimeHandler || "(default)",
  ]);
  context.stdout.write(
    table(["POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME"], rows),
  );
}

interface PsFlags {
  readonly all?: boolean;
  readonly quiet?: boolean;
  readonly pod?: string;
}

export async function ps(context: Context, flags: PsFlags): Promise<void> {
  using daemon = new Daemon(context.address);
  const podSandboxId = flags.pod === undefined ? "" : (await findPod(daemon, flags.pod)).id;
  const [{ containers }, { items }] = await Promise.all([
    daemon.call(runtimeService.listContainers, {
      filter: { podSandboxId, ...(flags.all ? {} : { state: { state: ContainerState.CONTAINER_RUNNING } }) },
    }),
    daemon.call(runtimeService.listPodSandbox, {}),
  ]);
  const wanted = containers.toSorted(newestFirst);
  if (flags.quiet) return ids(context, wanted);
  if (context.output !== "table")
    return await writeValue(context, {
      containers: wanted.map((one) => ({ ...one, state: containerState(one) })),
    });
  const now = Date.now();
  const names = new Map(items.map((pod) => [pod.id, pod.metadata?.name ?? ""]));
  const rows = wanted.map((one) => [
    shortId(one.id),
    imageName(one),
    age(one.createdAt, now),
    containerState(one).replace("CONTAINER_", "").toLowerCase(),
    one.metadata?.name ?? "",
    String(one.metadata?.attempt ?? 0),
    shortId(one.podSandboxId),
    names.get(one.podSandboxId) ?? "",
  ]);
  context.stdout.write(
    table(["CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD"], rows),
  );
}

export async function images(
  context: Context,
  image: string | undefined,
  flags: { readonly quiet?: boolean; readonly digests?: boolean },
): Promise<void> {
  using daemon = new Daemon(context.address);
  const filter = image === undefined ? {} : { filter: { image: { image } } };
  const { images: found } = await daemon.call(imageService.listImages, filter);
  const wanted = found.toSorted((a, b) => (imageSortKey(a) < imageSortKey(b) ? -1 : 1));
  if (flags.quiet) return ids(context, wanted);
  if (context.output !== "table") return await writeValue(context, { images: wanted });
  const head = ["IMAGE", "TAG", ...(flags.digests ? ["DIGEST"] : []), "IMAGE ID", "SIZE"];
  const rows = wanted.flatMap((one) =>
    imageNames(one).map(({ name, tag }) => [
      name,
      tag,
      ...(flags.digests ? [one.repoDigests[0]?.split("@")[1] ?? "<none>"] : []),
      shortId(one.id),
      size(one.size),
    ]),
  );
  context.stdout.write(table(head, rows));
}

/** One row per tag; images that only have a digest have none. */
export function imageNames(image: Pick<Image, "repoTags" | "repoDigests">): { name: string; tag: string }[] {
  if (image.repoTags.length === 0)
    return [{ name: image.repoDigests[0]?.split("@")[0] ?? "<none>", tag: "<none>" }];
  return image.repoTags.map((ref) => {
    // A colon before a slash belongs to a port.
    const at = ref.lastIndexOf(":");
    return at > ref.lastIndexOf("/")
      ? { name: ref.slice(0, at), tag: ref.slice(at + 1) }
      : { name: ref, tag: "<none>" };
  });
}

function imageSortKey(image: Image): string {
  return image.repoTags[0] ?? image.repoDigests[0] ?? image.id;
}

function imageName(container: Container): string {
  const name = container.image?.userSpecifiedImage || container.image?.image || container.imageRef;
  return name.startsWith("sha256:") || /^[0-9a-f]{64}$/.test(name) ? shortId(name) : name;
}

function podState(pod: PodSandbox): string {
  return nameOf(PodSandboxState, pod.state);
}

function containerState(container: Container): string {
  return nameOf(ContainerState, container.state);
}

function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(names).find((name) => names[name] === value) ?? String(value);
}

function newestFirst(a: { readonly createdAt: bigint }, b: { readonly createdAt: bigint }): number {
  return a.createdAt < b.createdAt ? 1 : a.createdAt > b.createdAt ? -1 : 0;
}

function ids(context: Context, list: readonly { readonly id: string }[]): void {
  context.stdout.write(list.map(({ id }) => `${id}\n`).join(""));
}

function labelPair(text: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw new CliError(`label ${text} must be KEY=VALUE`, exitCode.usage);
  return [text.slice(0, at), text.slice(at + 1)];
}
