/** Making a JPEG, one at a time, of a picture that this browser can decode and Rekognition cannot read. */

const MAX_FILE = 50 * 1024 * 1024;
let last = null;

/** The file as a JPEG within these limits, or why there is none. */
export const toJpeg = (file, side, size) => (last = Promise.resolve(last).then(() => made(file, side, size)));

async function made(file, side, size) {
  if (file.size > MAX_FILE) return "The page converts up to 50 MB";
  try {
    const picture = await createImageBitmap(file); // upright
    const scale = Math.min(1, side / Math.max(picture.width, picture.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(picture.width * scale);
    canvas.height = Math.round(picture.height * scale);
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    picture.close();
    for (const quality of [0.95, 0.85, 0.7]) {
      const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", quality));
      if (blob?.size <= size) return new File([blob], `${file.name || "picture"}.jpg`);
    }
  } catch {
    // It cannot decode it, or lacks the memory.
  }
  return "This browser cannot convert it";
}
