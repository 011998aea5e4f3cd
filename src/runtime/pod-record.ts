/** What handlers keep in a pod's run folder for a later daemon; the builtin one keeps nothing. By it a pod's type is known. */
export const podRecord = { oci: "runtime.json", "shim-v2": "shim.json" } as const;
