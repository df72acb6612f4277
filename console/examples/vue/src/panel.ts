// SPDX-License-Identifier: Apache-2.0
import { createApp } from "vue";
import Panel from "./Panel.vue";

createApp(Panel, { vmid: 100 }).mount("#panel");
