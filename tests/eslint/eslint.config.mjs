// SPDX-License-Identifier: Apache-2.0
// What ESLint checks (tests/lint): its own and typescript-eslint's recommended rules, for pages and for Node.
import js from "@eslint/js";
import globals from "globals";
import typescript from "typescript-eslint";

export default [
  js.configs.recommended,
  ...typescript.configs.recommended.map((config) => ({ ...config, files: ["**/*.ts"] })),
  {
    files: ["console/build.js"],
    languageOptions: { globals: globals.node },
  },
  {
    files: ["console/examples/html/*.js", "status/page/*.js"],
    languageOptions: { globals: globals.browser },
  },
  {
    files: ["console/examples/**/*.js"],
    ignores: ["**/vite.config.js"],
    languageOptions: { globals: globals.browser },
  },
  {
    files: ["**/*.mjs"],
    languageOptions: { globals: globals.node },
  },
  {
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "eqeqeq": "error",
      "no-implicit-globals": "error",
      "no-shadow": "error",
      "no-var": "error",
      "prefer-const": "error",
    },
  },
];
