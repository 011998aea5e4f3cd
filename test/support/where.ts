/** Tests that need what not every machine has say why they are skipped. */
import { describe, it } from "vitest";

/** `describe` where `holds`; elsewhere one test of that name, skipped with the reason `otherwise`. */
export function where(holds: boolean, otherwise: string): (name: string, tests: () => void) => void {
  return (name, tests) => {
    if (holds) describe(name, tests);
    else it(name, ({ skip }) => skip(otherwise));
  };
}
