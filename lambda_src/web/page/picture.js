/** Whether Rekognition would take a file, by its content: the same rules that the pipeline applies. */

const MAX_BYTES = 15 * 1024 * 1024;
const MIN_SIDE = 80;
const MAX_SIDE = 10000;
const HEAD_BYTES = 256 * 1024;

const PNG_START = "\x89PNG\r\n\x1a\n";
const FORMATS = [
  ["%PDF", "a PDF document"],
  ["GIF8", "a GIF picture"],
  ["BM", "a BMP picture"],
  ["II*\0", "a TIFF picture"],
  ["MM\0*", "a TIFF picture"],
  ["PK\x03\x04", "a ZIP archive or an Office document"],
];

/** `{type}` for a picture that may be sent, `{refused}` with the reason and what to do about it. */
export async function checkPicture(file) {
  let head;
  try {
    head = await bytes(file, HEAD_BYTES);
  } catch {
    return { refused: "It cannot be read. Is it a folder, or was it moved?" };
  }
  const start = String.fromCharCode(...head.slice(0, 32));
  const type = start.startsWith("\xff\xd8\xff")
    ? "image/jpeg"
    : start.startsWith(PNG_START)
      ? "image/png"
      : null;
  if (!type) {
    return {
      refused: `It is neither JPEG nor PNG: it looks like ${kind(start, file.size)}. Convert it (renaming is not enough).`,
    };
  }
  if (file.size > MAX_BYTES) {
    return {
      refused: `It has ${megabytes(file.size)}; at most 15 MB are allowed. Save it smaller or with a lower quality.`,
    };
  }
  let size = measure(head, type);
  // A JPEG may carry a lot before its size: color profiles, previews.
  if (size === "more" && file.size > head.length) size = measure(await bytes(file, file.size), type);
  if (typeof size === "string")
    return { refused: "The file is damaged. Open it, save it again, and send that." };
  const [width, height] = size;
  if (Math.min(width, height || MIN_SIDE) < MIN_SIDE) {
    return {
      refused: `It has ${width} x ${height} pixels; both sides need at least ${MIN_SIDE}. Send a larger version.`,
    };
  }
  if (Math.max(width, height) > MAX_SIDE) {
    return {
      refused: `It has ${width} x ${height} pixels; no side may have more than 10,000. Scale it down.`,
    };
  }
  return { type };
}

const bytes = async (file, count) => new Uint8Array(await file.slice(0, count).arrayBuffer());

const megabytes = (size) => `${(size / 1024 / 1024).toFixed(1)} MB`;

function kind(start, size) {
  if (!size) return "an empty file";
  if (start.startsWith("RIFF") && start.slice(8, 12) === "WEBP") return "a WebP picture";
  if (start.slice(4, 8) === "ftyp")
    return /^(hei|hev|mif|msf)/.test(start.slice(8)) ? "a HEIC picture" : "a video or an AVIF picture";
  return FORMATS.find(([mark]) => start.startsWith(mark))?.[1] ?? "another kind of file";
}

/** [width, height] as the file says (height 0: not told), "more" or "damaged". */
function measure(data, type) {
  const view = new DataView(data.buffer);
  if (type === "image/png") {
    if (data.length < 24) return "damaged";
    const [width, height] = [view.getUint32(16), view.getUint32(20)];
    return width && height ? [width, height] : "damaged";
  }
  let at = 2;
  while (at + 9 <= data.length) {
    const marker = data[at + 1];
    if (data[at] !== 0xff || marker === 0xda || marker === 0xd9) return "damaged";
    const alone = marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
    const frame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (frame) return view.getUint16(at + 7) ? [view.getUint16(at + 7), view.getUint16(at + 5)] : "damaged";
    at += marker === 0xff ? 1 : alone ? 2 : 2 + Math.max(view.getUint16(at + 2), 2);
  }
  return "more";
}
