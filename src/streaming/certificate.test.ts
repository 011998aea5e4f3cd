import { X509Certificate } from "node:crypto";
import { describe, expect, it } from "vitest";
import { selfSignedCertificate } from "./certificate.ts";

describe("selfSignedCertificate", () => {
  const { cert, key } = selfSignedCertificate(["node-1.example", "192.0.2.7", "2001:db8::5", "::1"]);
  const parsed = new X509Certificate(cert);

  it("is valid for the names it was made for, and for no others", () => {
    expect(parsed.checkHost("node-1.example")).toBe("node-1.example");
    expect(parsed.checkHost("other.example")).toBeUndefined();
    for (const address of ["192.0.2.7", "2001:db8::5", "::1"]) expect(parsed.checkIP(address)).toBe(address);
    expect(parsed.checkIP("192.0.2.8")).toBeUndefined();
  });

  it("is signed by its own key, and valid from before now for years", () => {
    expect(parsed.verify(parsed.publicKey)).toBe(true);
    expect(key).toContain("BEGIN PRIVATE KEY");
    expect(parsed.validFromDate.getTime()).toBeLessThan(Date.now());
    expect(parsed.validToDate.getTime()).toBeGreaterThan(Date.now() + 9 * 365 * 24 * 3600_000);
  });

  it("has another serial number and key each time", () => {
    const other = new X509Certificate(selfSignedCertificate(["a"]).cert);
    expect(other.serialNumber).not.toBe(parsed.serialNumber);
  });
});
