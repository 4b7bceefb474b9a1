/** Waiting for results: one loop for all pictures, slower the longer nothing comes. */

import { ApiError, listResults } from "./api.js";
import { pause } from "./dom.js";

const FIRST_MS = 400;
const LONGEST_MS = 5000;
const GIVE_UP_MS = 180000;
const PAGE_SIZE = 100;

const waiting = new Map();
let running = false;
let lastNews = 0;

/**
 * The result item of a picture that was just sent. onTrouble gets an ApiError while the API does not answer, then
 * null. Throws ApiError: `no_result` after three minutes in which no result came for any picture.
 */
export function awaited(key, onTrouble) {
  lastNews = Date.now();
  return new Promise((resolve, reject) => {
    waiting.set(key, { resolve, reject, onTrouble });
    if (!running) loop();
  });
}

async function loop() {
  running = true;
  let wait = FIRST_MS;
  while (waiting.size) {
    await pause(wait);
    const found = await look();
    wait = found ? FIRST_MS : Math.min(wait * 1.4, LONGEST_MS);
    if (found) lastNews = Date.now();
    else if (Date.now() - lastNews > GIVE_UP_MS)
      endAll(new ApiError(0, "no_result", "No result after three minutes."));
  }
  running = false;
}

/** Read the newest results, as far back as those waited for can be; how many results came. */
async function look() {
  let found = 0;
  try {
    let after = null;
    let left = 2 + waiting.size / PAGE_SIZE;
    do {
      const answer = await listResults(waiting.size < 20 ? 20 : PAGE_SIZE, after);
      found += answer.items.filter(settle).length;
      after = answer.next;
      left -= 1;
    } while (waiting.size && after && left > 0);
    for (const { onTrouble } of waiting.values()) onTrouble(null);
  } catch (error) {
    if (!error.passing) endAll(error);
    for (const { onTrouble } of waiting.values()) onTrouble(error);
  }
  return found;
}

function settle(item) {
  const one = waiting.get(item.objectKey);
  if (!one || item.error?.triesLeft) return false;
  waiting.delete(item.objectKey);
  one.resolve(item);
  return true;
}

function endAll(error) {
  for (const { reject } of waiting.values()) reject(error);
  waiting.clear();
}
