// SPDX-License-Identifier: Apache-2.0
// What is used of noVNC 1.7, which has no types of its own.

declare module "@novnc/novnc" {
  interface RFBEvents {
    connect: CustomEvent<object>;
    disconnect: CustomEvent<{ clean: boolean }>;
    credentialsrequired: CustomEvent<{ types: string[] }>;
    securityfailure: CustomEvent<{ status: number; reason?: string }>;
    clipboard: CustomEvent<{ text: string }>;
    bell: CustomEvent<object>;
    desktopname: CustomEvent<{ name: string }>;
  }

  /** Draws the mouse pointer where the browser's own cannot have the guest's picture: on touch screens. */
  interface Cursor {
    _canvas: HTMLCanvasElement;
    _position: { x: number; y: number };
    _hotSpot: { x: number; y: number };
    _updatePosition(): void;
    _updateVisibility(target: Element | null): void;
  }

  export default class RFB {
    constructor(
      target: HTMLElement,
      channel: object,
      options?: { shared?: boolean; credentials?: { password?: string } },
    );
    viewOnly: boolean;
    focusOnClick: boolean;
    scaleViewport: boolean;
    resizeSession: boolean;
    background: string;
    qualityLevel: number;
    compressionLevel: number;
    disconnect(): void;
    sendKey(keysym: number, code: string | null, down?: boolean): void;
    focus(options?: FocusOptions): void;
    blur(): void;
    clipboardPasteFrom(text: string): void;
    toBlob(callback: (blob: Blob | null) => void, type?: string): void;
    addEventListener<K extends keyof RFBEvents>(type: K, listener: (event: RFBEvents[K]) => void): void;
    // Not part of its interface: see cursor.ts and guest.ts.
    readonly _cursor: Cursor;
    readonly _remoteCapsLock: boolean | null; // null is unknown
    readonly _supportsSetDesktopSize: boolean;
  }
}

declare module "@novnc/novnc/core/input/keysymdef.js" {
  const keysyms: { lookup(codePoint: number): number };
  export default keysyms;
}
