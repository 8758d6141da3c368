// Pictures that a message carries: made smaller, so that the request stays below the Worker's bound.

import { h, iconButton } from "../dom.js";

const MAX_PIXELS = 1024;
const QUALITY = 0.85;
export const MAX_PICTURES = 4;

/** Return a data URI of a picture, at most 1,024 pixels wide and high. Throws for a file that is none. */
export async function toDataUri(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, MAX_PIXELS / Math.max(bitmap.width, bitmap.height));
  const canvas = h("canvas", { width: Math.round(bitmap.width * scale), height: Math.round(bitmap.height * scale) });
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // JPEG has no transparency
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", QUALITY);
}

/** A picture in the composer, with a button that removes it. */
export function thumbnail(url, remove) {
  const node = h("div", { class: "thumbnail" }, h("img", { src: url, alt: "Attached picture" }));
  node.append(
    iconButton("close", "Remove the picture", () => {
      node.remove();
      remove();
    }),
  );
  return node;
}
