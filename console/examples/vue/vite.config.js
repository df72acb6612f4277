// SPDX-License-Identifier: Apache-2.0
import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

const isCustomElement = (tag) => tag.startsWith("proxxy-");
export default defineConfig({ plugins: [vue({ template: { compilerOptions: { isCustomElement } } })] });
