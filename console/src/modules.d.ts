// SPDX-License-Identifier: Apache-2.0
// What build.js makes of files that are not TypeScript.

declare module "*.css" {
  /** The style sheet, minified. */
  const text: string;
  export default text;
}

declare module "*.svg" {
  const text: string;
  export default text;
}
