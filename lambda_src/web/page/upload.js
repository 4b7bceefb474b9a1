/** Sending a picture: the API signs a form, the browser sends it straight to the bucket. */

import { ApiError, api } from "./api.js";

const AT_ONCE = 3;
const queue = [];
let sending = 0;

/** The object key of the picture once the bucket has it. onProgress gets 0 to 1. Throws ApiError. */
export function send(file, type, onProgress) {
  return new Promise((resolve, reject) => {
    queue.push(() => sendNow(file, type, onProgress).then(resolve, reject));
    next();
  });
}

async function next() {
  if (sending >= AT_ONCE || !queue.length) return;
  sending += 1;
  await queue.shift()();
  sending -= 1;
  next();
}

async function sendNow(file, type, onProgress) {
  for (const last of [false, true]) {
    const form = await api("uploads", {
      method: "POST",
      body: { key: file.name || "picture", sizeBytes: file.size, contentType: type },
    });
    onProgress(0);
    const { status, code } = await post(form, file, onProgress);
    if (status >= 200 && status < 300) return form.key;
    // A form is good for two minutes; a laptop may have slept in between.
    if (status !== 403 || last) throw new ApiError(status, code, refusal(status, code));
  }
}

function refusal(status, code) {
  if (!status) return "The bucket does not answer. Check the network and try again.";
  if (status === 403)
    return "The permission to upload has expired, or this computer's clock is wrong. Try again.";
  return `The bucket refused the picture (${code || status}). Try again.`;
}

function post(form, file, onProgress) {
  const data = new FormData();
  for (const [name, value] of Object.entries(form.fields)) data.append(name, value);
  data.append("file", file); // S3 ignores every field after the file
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onload = () =>
      resolve({ status: request.status, code: /<Code>(\w+)</.exec(request.responseText)?.[1] });
    request.onerror = () => resolve({ status: 0 });
    request.open("POST", form.url);
    request.send(data);
  });
}
