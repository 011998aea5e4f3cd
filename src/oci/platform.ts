/**
 * Platforms and the choice among those that an index offers.
 * Source: image-spec image-index.md, "platform"; names and aliases as containerd normalises them.
 */
import { RuntimeError } from "../errors/runtime-error.ts";
import type { Descriptor } from "./manifest.ts";

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** "": none given. */
  readonly variant: string;
}

const architectureAliases: Readonly<Record<string, { architecture: string; variant?: string }>> = {
  x86_64: { architecture: "amd64" },
  "x86-64": { architecture: "amd64" },
  x64: { architecture: "amd64" },
  i386: { architecture: "386" },
  i686: { architecture: "386" },
  ia32: { architecture: "386" },
  aarch64: { architecture: "arm64" },
  armhf: { architecture: "arm", variant: "v7" },
  armel: { architecture: "arm", variant: "v6" },
  mipsel: { architecture: "mipsle" },
  mips64el: { architecture: "mips64le" },
};

/** What a missing variant stands for. */
const impliedVariant: Readonly<Record<string, string>> = { amd64: "v1", arm64: "v8", arm: "v7" };

/** One spelling per platform: `x86_64` is amd64, arm64 means arm64/v8, `7` is v7. */
export function normalizePlatform(platform: Platform): Platform {
  const os = platform.os.toLowerCase();
  const written = platform.architecture.toLowerCase();
  const alias = Object.hasOwn(architectureAliases, written) ? architectureAliases[written] : undefined;
  const architecture = alias?.architecture ?? written;
  let variant = platform.variant.toLowerCase() || alias?.variant || "";
  if (/^\d/.test(variant)) variant = `v${variant}`;
  if (variant === "" && Object.hasOwn(impliedVariant, architecture)) {
    variant = impliedVariant[architecture] ?? "";
  }
  return { os: os === "macos" ? "darwin" : os, architecture, variant };
}

/** The platform of the machine we run on. */
export function hostPlatform(): Platform {
  const armVersion = (process.config.variables as { readonly arm_version?: unknown }).arm_version;
  return normalizePlatform({
    os: process.platform,
    architecture: process.arch,
    variant: process.arch === "arm" && armVersion !== undefined ? String(armVersion) : "",
  });
}

/** @throws RuntimeError `invalid-argument` for what is not `os/architecture[/variant]`. */
export function parsePlatform(text: string): Platform {
  const match = /^([a-z]+)\/([\w-]+)(?:\/(\w+))?$/.exec(text);
  if (match === null)
    throw new RuntimeError(
      "invalid-argument",
      `platform ${JSON.stringify(text.slice(0, 80))}: expected os/architecture[/variant], such as linux/arm64`,
    );
  const [, os = "", architecture = "", variant = ""] = match;
  return normalizePlatform({ os, architecture, variant });
}

/** `os/architecture[/variant]`, the implied variant left out. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = normalizePlatform(platform);
  const shown = variant !== "" && impliedVariant[architecture] !== variant ? `/${variant}` : "";
  return `${os || "unknown"}/${architecture || "unknown"}${shown}`;
}

/**
 * How well `offered` suits `wanted`: 0 is exact, larger is worse, undefined does not run there. A machine runs lower
 * variants of its own architecture and, as the last choice, the 32-bit form of it.
 */
export function platformDistance(wanted: Platform, offered: Platform): number | undefined {
  const want = normalizePlatform(wanted);
  const offer = normalizePlatform(offered);
  if (want.os !== offer.os) return undefined;
  if (want.architecture === offer.architecture) return variantDistance(want.variant, offer.variant);
  if (want.architecture === "amd64" && offer.architecture === "386") return 100;
  if (want.architecture === "arm64" && offer.architecture === "arm") {
    const distance = variantDistance("v8", offer.variant);
    return distance === undefined ? undefined : 100 + distance;
  }
  return undefined;
}

function variantDistance(want: string, offer: string): number | undefined {
  if (want === offer) return 0;
  const wantLevel = /^v(\d+)/.exec(want)?.[1];
  const offerLevel = /^v(\d+)/.exec(offer)?.[1];
  if (wantLevel === undefined || offerLevel === undefined) return undefined;
  const distance = Number(wantLevel) - Number(offerLevel);
  return distance >= 0 ? distance : undefined;
}

/**
 * The descriptor of an index that suits `wanted` best; on a tie the first. Entries without a platform are the last
 * choice (their config is asked later), attestations (`unknown/unknown`) are none.
 * @throws RuntimeError `invalid-argument` naming the wanted and the offered platforms.
 */
export function selectPlatform(
  descriptors: readonly Descriptor[],
  wanted: Platform,
  name: string,
): Descriptor {
  let best: { descriptor: Descriptor; distance: number } | undefined;
  for (const descriptor of descriptors) {
    const distance = descriptor.platform ? platformDistance(wanted, descriptor.platform) : 1000;
    if (distance !== undefined && (!best || distance < best.distance)) best = { descriptor, distance };
  }
  if (best) return best.descriptor;
  const offered = new Set<string>();
  for (const { platform } of descriptors) {
    if (platform && platform.os !== "unknown") offered.add(formatPlatform(platform));
  }
  throw new RuntimeError(
    "invalid-argument",
    `${name} is not offered for ${formatPlatform(wanted)}, only for ${[...offered].slice(0, 20).join(", ") || "no platform"}`,
  );
}
