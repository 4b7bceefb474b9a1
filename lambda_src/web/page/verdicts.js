/** Waiting for verdicts: one loop for all pictures, slower the longer nothing comes, and never without an end. */

import { ApiError, listResults, readResult } from "./api.js";
import { pause } from "./dom.js";

const FIRST_MS = 400;
const LONGEST_MS = 5000;
const GIVE_UP_MS = 180000;
// Up to so many pictures are asked for one by one; more are looked for in the list of the newest.
const FEW = 4;

const waiting = new Map();
let running = false;
let lastNews = 0;

/**
 * The result item of a picture that was just sent. onTrouble gets an ApiError while the API does not answer, then
 * null. Throws ApiError: `no_verdict` after three minutes in which no verdict came for any picture.
 */
export function verdict(key, onTrouble) {
  lastNews = Date.now();
  return new Promise((resolve, reject) => {
    waiting.set(key, { resolve, reject, onTrouble });
    if (!running) loop();
  });
}

async function loop() {
  running = true;
  let wait = FIRST_MS;
  let rounds = 0;
  while (waiting.size) {
    await pause(wait);
    const found = await look((rounds += 1));
    wait = found ? FIRST_MS : Math.min(wait * 1.4, LONGEST_MS);
    if (found) lastNews = Date.now();
    else if (Date.now() - lastNews > GIVE_UP_MS) endAll(new ApiError(0, "no_verdict", "No verdict after three minutes."));
  }
  running = false;
}

/** Ask once; how many verdicts came. */
async function look(round) {
  try {
    const items = waiting.size <= FEW || round % 8 === 0 ? await some() : (await listResults(100)).items;
    for (const { onTrouble } of waiting.values()) onTrouble(null);
    return items.filter(settle).length;
  } catch (error) {
    if (!error.passing) endAll(error);
    for (const { onTrouble } of waiting.values()) onTrouble(error);
    return 0;
  }
}

async function some() {
  const keys = [...waiting.keys()].slice(0, 2 * FEW);
  const items = await Promise.all(
    keys.map((key) =>
      readResult(key).catch((error) => {
        if (error.status === 404) return null;
        throw error;
      }),
    ),
  );
  return items.filter(Boolean);
}

function settle(item) {
  const one = waiting.get(item.objectKey);
  if (!one || item.error?.retryable) return false;
  waiting.delete(item.objectKey);
  one.resolve(item);
  return true;
}

function endAll(error) {
  for (const { reject } of waiting.values()) reject(error);
  waiting.clear();
}
