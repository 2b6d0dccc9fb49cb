import { readFileSync } from "node:fs";

import { type Plugin, defineConfig } from "vite";

/** Puts LiteRT beside the page, which thus loads nothing from elsewhere. */
const litertFiles: Plugin = {
  name: "litert-files",
  generateBundle() {
    // With relaxed SIMD and, for older browsers, without. LiteRT takes its choice.
    for (const build of ["litert_wasm_internal", "litert_wasm_compat_internal"]) {
      for (const suffix of [".js", ".wasm"]) {
        this.emitFile({
          type: "asset",
          fileName: `wasm/${build}${suffix}`,
          source: readFileSync(
            new URL(`node_modules/@litertjs/core/wasm/${build}${suffix}`, import.meta.url),
          ),
        });
      }
    }
  },
};

export default defineConfig({
  // The built folder works under any path of any server.
  base: "./",
  // The Content Security Policy lets the page fetch files, but no data: addresses.
  build: { target: "es2022", assetsInlineLimit: 0 },
  plugins: [litertFiles],
});
