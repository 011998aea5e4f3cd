/** Resource quantities as Kubernetes writes them. Source: apimachinery pkg/api/resource, "Quantity". */
import { CliError, exitCode } from "./cli-error.ts";

const suffixes: Readonly<Record<string, readonly [bigint, bigint]>> = {
  n: [1n, 1_000_000_000n],
  u: [1n, 1_000_000n],
  m: [1n, 1000n],
  "": [1n, 1n],
  k: [1000n, 1n],
  M: [1000n ** 2n, 1n],
  G: [1000n ** 3n, 1n],
  T: [1000n ** 4n, 1n],
  P: [1000n ** 5n, 1n],
  E: [1000n ** 6n, 1n],
  Ki: [1024n, 1n],
  Mi: [1024n ** 2n, 1n],
  Gi: [1024n ** 3n, 1n],
  Ti: [1024n ** 4n, 1n],
  Pi: [1024n ** 5n, 1n],
  Ei: [1024n ** 6n, 1n],
};

/**
 * The whole number of `1/perUnit` that `text` is, rounded up: "500m" of CPU is 500 per 1000, "1.5Gi" of memory
 * 1610612736 per 1.
 * @throws CliError naming `field`
 */
export function parseQuantity(text: string | number, perUnit: bigint, field: string): bigint {
  const match = /^(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i))?$/.exec(String(text));
  const scale = match && suffixes[match[4] ?? ""];
  if (!match || !scale)
    throw new CliError(`${field}: ${text} is not a quantity such as 500m or 64Mi`, exitCode.usage);
  const fraction = match[2] ?? "";
  let above = BigInt(`${match[1]}${fraction}`) * perUnit * scale[0];
  let below = 10n ** BigInt(fraction.length) * scale[1];
  const exponent = BigInt(match[3] ?? "0");
  if (exponent >= 0n) above *= 10n ** exponent;
  else below *= 10n ** -exponent;
  return (above + below - 1n) / below;
}
