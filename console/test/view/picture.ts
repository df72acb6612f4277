// SPDX-License-Identifier: Apache-2.0
// What the guest in the harness seems to show.

const LINES = [
  "root@web-01:~# uptime",
  " 07:12:44 up 41 days,  2:11,  1 user,  load average: 0.08, 0.03, 0.01",
  "root@web-01:~# systemctl status nginx",
  "● nginx.service - A high performance web server",
  "     Active: active (running) since Fri 2026-10-16 05:01:20 UTC",
  "root@web-01:~# ",
];

export const TERMINAL_TEXT = ["Debian GNU/Linux 13 web-01 ttyS0", "", "web-01 login: root", "Password:", ...LINES].join(
  "\n",
);

export function drawScreen(canvas: HTMLCanvasElement): void {
  canvas.width = 1280;
  canvas.height = 720;
  const paint = canvas.getContext("2d")!;
  const sky = paint.createLinearGradient(0, 0, 1280, 720);
  sky.addColorStop(0, "#1c3b5a");
  sky.addColorStop(1, "#5b2a4e");
  const fill = (colour: string | CanvasGradient, x: number, y: number, width: number, height: number): void => {
    paint.fillStyle = colour;
    paint.fillRect(x, y, width, height);
  };
  fill(sky, 0, 0, 1280, 720);
  fill("rgb(0 0 0 / 50%)", 0, 0, 1280, 28);
  fill("#101418", 240, 140, 740, 380);
  fill("#30363d", 240, 140, 740, 30);
  paint.fillStyle = "#ffffff";
  paint.font = "14px sans-serif";
  paint.fillText("Activities", 16, 19);
  paint.fillText("Thu 07:12", 610, 19);
  paint.fillStyle = "#9fe8a0";
  paint.font = "15px monospace";
  LINES.forEach((line, index) => paint.fillText(line, 258, 198 + index * 23));
}
