// SPDX-License-Identifier: Apache-2.0
// The icons, drawn on a grid of 24 by 24 with lines of 1.75. Each string is a path.

const PATHS = {
  keys: [
    "M4 6.5A2.5 2.5 0 0 1 6.5 4h11A2.5 2.5 0 0 1 20 6.5v11a2.5 2.5 0 0 1-2.5 2.5h-11A2.5 2.5 0 0 1 4 17.5z",
    "M9 15.5l3-7.5 3 7.5M10 13h4",
  ],
  keyboard: [
    "M2.5 8a2 2 0 0 1 2-2h15a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-15a2 2 0 0 1-2-2z",
    "M6 9.75h.01M9 9.75h.01M12 9.75h.01M15 9.75h.01M18 9.75h.01M6 12.25h.01M18 12.25h.01M9 14.75h6",
  ],
  type: ["M5 7V5h14v2", "M12 5v14", "M9 19h6"],
  clipboard: [
    "M8 5H6.5a1.5 1.5 0 0 0-1.5 1.5v12A1.5 1.5 0 0 0 6.5 20h11a1.5 1.5 0 0 0 1.5-1.5v-12A1.5 1.5 0 0 0 17.5 5H16",
    "M8.5 3.5h7v3h-7z",
    "M8.5 11.5h7M8.5 15h4.5",
  ],
  scaling: ["M4 5.5h16v13H4z", "M7.5 12V9H11", "M16.5 12v3H13"],
  quality: ["M5 19v-4M10 19v-7M15 19V9M20 19V5"],
  viewOnly: [
    "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12z",
    "M12 9.25a2.75 2.75 0 1 1 0 5.5 2.75 2.75 0 0 1 0-5.5z",
  ],
  screenshot: [
    "M4 8a1 1 0 0 1 1-1h3l1.5-2.5h5L16 7h3a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1z",
    "M12 9.5a3.25 3.25 0 1 1 0 6.5 3.25 3.25 0 0 1 0-6.5z",
  ],
  fullScreen: ["M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5"],
  leaveFullScreen: ["M9 4v5H4M20 9h-5V4M15 20v-5h5M4 15h5v5"],
  smaller: ["M3 18.5L8 6l5 12.5M4.75 14.5h6.5", "M15.5 10h5.5"],
  larger: ["M3 18.5L8 6l5 12.5M4.75 14.5h6.5", "M15.5 10h5.5M18.25 7.25v5.5"],
  search: ["M10.5 4.5a6 6 0 1 1 0 12 6 6 0 0 1 0-12z", "M15 15l5 5"],
  screenReader: ["M4 9.5v5h3.5l4.5 4v-13l-4.5 4z", "M15.5 9a4 4 0 0 1 0 6", "M18 6.5a7.5 7.5 0 0 1 0 11"],
  more: [5, 12, 19].map((x) => `M${x - 0.6} 12a.6.6 0 1 0 1.2 0 .6.6 0 1 0-1.2 0`),
  help: [
    "M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17z",
    "M9.5 9.5a2.5 2.5 0 1 1 3.75 2.25c-.8.45-1.25 1-1.25 1.75",
    "M12 16.75h.01",
  ],
  fold: ["M6 14.5l6-6 6 6"],
  unfold: ["M6 9.5l6 6 6-6"],
  close: ["M6 6l12 12M18 6L6 18"],
  check: ["M5 12.5l4.5 4.5L19 7.5"],
  copy: ["M9 9h10.5v11H9z", "M15 9V4H4.5v11H9"],
  warning: ["M12 4l9 16H3z", "M12 10v4.5M12 17h.01"],
  screen: ["M3.5 5h17v11h-17z", "M12 16v4M8 20h8"],
  unplugged: ["M9 3.5v4M15 3.5v4", "M6.5 7.5h11v3.5a5.5 5.5 0 0 1-11 0z", "M12 16.5v4"],
  up: ["M12 19V5M6 11l6-6 6 6"],
  down: ["M12 5v14M6 13l6 6 6-6"],
  left: ["M19 12H5M11 6l-6 6 6 6"],
  right: ["M5 12h14M13 6l6 6-6 6"],
} as const;

export type IconName = keyof typeof PATHS;

const SVG = "http://www.w3.org/2000/svg";

export function makeIcon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  for (const data of PATHS[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", data);
    svg.append(path);
  }
  return svg;
}
