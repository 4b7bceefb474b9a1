/** Talking to the pipeline's HTTP API, and the access token that opens most of it. */

import { pause } from "./dom.js";

const TOKEN_NAME = "imgpipe-token";
const ANSWER_MS = 30000;

export const page = document.body.dataset;

/** A request that did not succeed. status 0: no answer at all. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }

  /** The API is there, and too busy or too slow to answer. */
  get late() {
    return this.code === "slow" || this.status === 429 || this.status >= 500;
  }

  /** Whether the same request may well succeed a little later. */
  get passing() {
    return this.status === 0 || this.late;
  }
}

// Some browsers keep nothing for a page from disk; then the token goes with it.
let remembered = null;

export function token() {
  try {
    return sessionStorage.getItem(TOKEN_NAME) ?? remembered;
  } catch {
    return remembered;
  }
}

export function keepToken(value) {
  remembered = value;
  try {
    if (value === null) sessionStorage.removeItem(TOKEN_NAME);
    else sessionStorage.setItem(TOKEN_NAME, value);
  } catch {
    // Kept in memory only.
  }
}

const WORDS = {
  0: "The API does not answer. Check the network; for a pipeline on this machine, imgpipe local start.",
  429: "Too many requests at once. Try again in a moment.",
};

/** One request; the JSON document of the answer. Throws ApiError. */
export async function api(path, { method = "GET", body } = {}) {
  const headers = {};
  const sent = token();
  if (sent) headers.Authorization = `Bearer ${sent}`;
  if (body) headers["Content-Type"] = "application/json";
  let answer;
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    answer = await fetch(page.api + path, { method, headers, body: body && JSON.stringify(body), signal });
  } catch (error) {
    throw new ApiError(0, error.name === "TimeoutError" ? "slow" : "unreachable", WORDS[0]);
  }
  const document = await answer.json().catch(() => null);
  if (answer.ok && document) return document;
  const { code = "unknown", message } = document?.error ?? {};
  if (answer.status === 401 && sent === token()) dispatchEvent(new CustomEvent("refused-token"));
  const words = message ?? WORDS[answer.status] ?? `The API answered with status ${answer.status}.`;
  throw new ApiError(answer.status, code, words);
}

/** What `ask` resolves to, asked again while the API is late. Throws ApiError. */
export async function repeated(ask, [ms, ...later] = [1000, 2000, 4000, 8000]) {
  try {
    return await ask();
  } catch (error) {
    if (!error.late || !ms) throw error;
  }
  await pause(ms);
  return repeated(ask, later);
}

export const readResult = (key) => api(`result?key=${encodeURIComponent(key)}`);

/** A page of results with links to the pictures: newest first, or a label's, best first. */
export function listResults(limit, after, { label, onlyFailed, threshold } = {}) {
  const query = new URLSearchParams({ limit, images: true });
  if (after) query.set("after", after);
  if (onlyFailed) query.set("status", "failed");
  else if (label) query.set("label", label);
  if (label) query.set("min_confidence", threshold);
  return api(`results?${query}`);
}

/** The labels whose names begin so, each with its number of pictures. */
export const labelsLike = async (prefix, threshold) =>
  (await api(`labels?${new URLSearchParams({ limit: 20, prefix, min_confidence: threshold })}`)).items;

export const pictureLink = async (key) => (await api(`image?key=${encodeURIComponent(key)}`)).url;
