/** Whether Rekognition would take a file, by its content: the rules of the pipeline. */

import { toJpeg } from "./convert.js";

const MAX_BYTES = 15 * 1024 * 1024;
const MIN_SIDE = 80;
const MAX_SIDE = 10000;
const HEAD_BYTES = 256 * 1024;

const FORMATS = [
  [/^$/, "an empty file"],
  [/^\x89PNG.{8}CgBI/s, "a PNG optimized for iPhone apps"],
  [/^%PDF/, "a PDF document"],
  [/^GIF8/, "a GIF picture"],
  [/^BM/, "a BMP picture"],
  [/^(II\*\0|MM\0\*)/, "a TIFF or RAW picture"],
  [/^(FUJIFILMCCD-RAW|IIU\0|IIR[OS]|MMOR|....ftypcrx )/s, "a camera RAW file"],
  [/^PK\x03\x04/, "a ZIP archive or an Office document"],
  [/^RIFF....WEBP/s, "a WebP picture"],
  [/^....ftyp.*avi[fs]/s, "an AVIF picture"],
  [/^....ftyp(hei|hev|mif|msf)/s, "a HEIC picture"],
  [/^....ftyp/s, "a video"],
];

/** `{type, file}` for a picture that may be sent, perhaps made a JPEG; `{refused}` with the reason and what to
 * do about it. */
export async function checkPicture(file) {
  const checked = await check(file);
  if (!checked.other) return { ...checked, file };
  const made = await toJpeg(file, MAX_SIDE, MAX_BYTES);
  if (typeof made === "string") return no(`${checked.refused} ${made}; imgpipe upload can.`);
  return { ...(await check(made)), file: made };
}

async function check(file) {
  let head;
  try {
    head = await bytes(file, HEAD_BYTES);
  } catch {
    return no("It cannot be read. Is it a folder, or was it moved?");
  }
  const start = String.fromCharCode(...head.slice(0, 32));
  const png = /^\x89PNG\r\n\x1a\n(?!....CgBI)/s.test(start);
  const type = /^\xff\xd8/.test(start) ? "image/jpeg" : png && "image/png";
  if (!type) {
    const kind = FORMATS.find(([mark]) => mark.test(start))?.[1] ?? "another kind of file";
    const refused = `It is neither JPEG nor PNG: it looks like ${kind}.`;
    return kind.endsWith("picture") ? other(refused) : no(`${refused} Convert it (renaming is not enough).`);
  }
  if (file.size > MAX_BYTES) {
    return other(`It has ${sizeText(file.size)}; at most 15 MB are allowed.`);
  }
  let size = measure(head, type);
  // A JPEG may carry a lot before its size.
  if (size === "more" && file.size > head.length) size = measure(await bytes(file, file.size), type);
  if (typeof size === "string") return no("The file is damaged. Open it, save it again, and send that.");
  const [width, height] = size;
  const has = `It has ${width} x ${height} pixels;`;
  if (Math.min(width, height || MIN_SIDE) < MIN_SIDE)
    return no(`${has} both sides need at least ${MIN_SIDE}. Send a larger version.`);
  if (Math.max(width, height) > MAX_SIDE)
    return other(`${has} no side may have more than 10,000.`);
  return { type };
}

/** 1536: "1.5 KB". */
export function sizeText(bytes) {
  let unit = 0;
  for (; bytes >= 1023.95 && unit < 3; unit++) bytes /= 1024;
  return `${+bytes.toFixed(1)} ${["B", "KB", "MB", "GB"][unit]}`;
}

const no = (refused) => ({ refused });

const other = (refused) => ({ refused, other: true });

const bytes = async (file, count) => new Uint8Array(await file.slice(0, count).arrayBuffer());

/** [width, height] as the file says (height 0: not told), "more" or "damaged". */
function measure(data, type) {
  const view = new DataView(data.buffer);
  if (type === "image/png") {
    if (data.length < 24) return "damaged";
    const [width, height] = [view.getUint32(16), view.getUint32(20)];
    return width && height ? [width, height] : "damaged";
  }
  for (let at = 2; at + 9 <= data.length; ) {
    const marker = data[at] === 0xff && data[at + 1];
    if (marker === 0xda || marker === 0xd9) return "damaged";
    const alone = marker === 1 || (marker >= 0xd0 && marker <= 0xd8);
    const frame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (frame) return view.getUint16(at + 7) ? [view.getUint16(at + 7), view.getUint16(at + 5)] : "damaged";
    // Decoders step over what is no marker.
    at += !marker || marker === 0xff ? 1 : alone ? 2 : 2 + Math.max(view.getUint16(at + 2), 2);
  }
  return "more";
}
