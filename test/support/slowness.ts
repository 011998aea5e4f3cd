/**
 * Time limits of tests. They are set for a machine such as a developer's, and grow on a slower one: hack/guest, whose
 * processor is emulated, sets KOBAKO_SLOWNESS; so may who runs the tests on a small board.
 * Only what ends a test that hangs is scaled, never a time that a test is about.
 */
const text = process.env.KOBAKO_SLOWNESS ?? "1";

/** How many times as long as on a developer's machine things take here; at least 1. */
export const slowness = Number(text);
if (!(slowness >= 1)) throw new Error(`KOBAKO_SLOWNESS is ${text}, expected a number of at least 1`);

/** `ms` (or seconds) as a limit for this machine, a whole number. */
export function within(ms: number): number {
  return Math.ceil(ms * slowness);
}
