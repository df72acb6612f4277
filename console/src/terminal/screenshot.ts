// SPDX-License-Identifier: Apache-2.0
// Draws the lines that a terminal shows as a picture. The renderers' own pictures cannot be read: one is WebGL, the
// other one is HTML.

import type { IBufferCell, ITheme, Terminal } from "@xterm/xterm";

const ANSI = [
  ...(["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"] as const),
  ...(["brightBlack", "brightRed", "brightGreen", "brightYellow"] as const),
  ...(["brightBlue", "brightMagenta", "brightCyan", "brightWhite"] as const),
];
const CUBE = [0, 95, 135, 175, 215, 255];
const LINE_HEIGHT = 1.2;

/** One of xterm's 256 colours: 16 named ones, a cube of 6 x 6 x 6, 24 greys. */
export function paletteColour(index: number, theme: ITheme): string {
  if (index < 16) return theme[ANSI[index]!] ?? "";
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return `rgb(${grey}, ${grey}, ${grey})`;
  }
  const cell = index - 16;
  return `rgb(${CUBE[Math.floor(cell / 36)]}, ${CUBE[Math.floor(cell / 6) % 6]}, ${CUBE[cell % 6]})`;
}

export function rgb(value: number): string {
  return `#${value.toString(16).padStart(6, "0")}`;
}

function colours(cell: IBufferCell, theme: ITheme): [text: string, ground: string] {
  let text = theme.foreground!;
  if (cell.isFgRGB()) text = rgb(cell.getFgColor());
  else if (cell.isFgPalette()) {
    const bright = cell.isBold() && cell.getFgColor() < 8 ? 8 : 0; // as xterm.js shows bold text
    text = paletteColour(cell.getFgColor() + bright, theme);
  }
  let ground = theme.background!;
  if (cell.isBgRGB()) ground = rgb(cell.getBgColor());
  else if (cell.isBgPalette()) ground = paletteColour(cell.getBgColor(), theme);
  return cell.isInverse() ? [ground, text] : [text, ground];
}

function fontOf(cell: IBufferCell, terminal: Terminal): string {
  const { fontSize, fontFamily } = terminal.options;
  return `${cell.isItalic() ? "italic " : ""}${cell.isBold() ? "bold " : ""}${fontSize}px ${fontFamily}`;
}

/** A PNG of the lines that are in view. */
export function picture(terminal: Terminal): Promise<Blob> {
  const scale = globalThis.devicePixelRatio || 1;
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { alpha: false })!;
  const theme = terminal.options.theme!;
  context.font = `${terminal.options.fontSize}px ${terminal.options.fontFamily}`;
  const width = context.measureText("W").width;
  const height = Math.ceil(terminal.options.fontSize! * LINE_HEIGHT);
  canvas.width = Math.ceil(terminal.cols * width * scale);
  canvas.height = Math.ceil(terminal.rows * height * scale);
  context.scale(scale, scale);
  context.fillStyle = theme.background!;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.textBaseline = "middle";
  const buffer = terminal.buffer.active;
  for (let row = 0; row < terminal.rows; row++) {
    const line = buffer.getLine(buffer.viewportY + row);
    for (let column = 0; line && column < terminal.cols; column++) {
      const cell = line.getCell(column);
      if (cell?.getWidth()) drawCell(context, cell, terminal, column * width, row * height, width, height);
    }
  }
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the browser made no picture"))), "image/png"),
  );
}

function drawCell(
  context: CanvasRenderingContext2D,
  cell: IBufferCell,
  terminal: Terminal,
  left: number,
  top: number,
  width: number,
  height: number,
): void {
  const [text, ground] = colours(cell, terminal.options.theme!);
  const wide = width * cell.getWidth();
  if (ground !== terminal.options.theme!.background) {
    context.fillStyle = ground;
    context.fillRect(left, top, wide + 0.5, height);
  }
  const characters = cell.getChars();
  if (!characters.trim() || cell.isInvisible()) return;
  context.globalAlpha = cell.isDim() ? 0.5 : 1;
  context.fillStyle = text;
  context.font = fontOf(cell, terminal);
  context.fillText(characters, left, top + height / 2, wide);
  if (cell.isUnderline()) context.fillRect(left, top + height - 2, wide, 1);
  if (cell.isStrikethrough()) context.fillRect(left, top + height / 2, wide, 1);
  context.globalAlpha = 1;
}
