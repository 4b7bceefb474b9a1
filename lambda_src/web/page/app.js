// The page: keeps the token for this tab, sends pictures to the bucket, and shows results as they come.
// Everything that comes from a picture or its name is shown as text, never as markup.
"use strict";

const TOKEN_NAME = "imgpipe-token";
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 4000;
const GIVE_UP_MS = 180000;

const byId = (id) => document.getElementById(id);
const publicResults = document.body.dataset.publicResults === "true";
const articles = new Map();

// ---- the access token ----

// A link such as `#token=...` hands the token over once. A fragment is never sent to a server, and it is taken out of
// the address at once, so that it stays in no history and on no screenshot.
function takeTokenFromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token === null) return;
  sessionStorage.setItem(TOKEN_NAME, token);
  history.replaceState(null, "", location.pathname + location.search);
}

function showTokenState() {
  const known = Boolean(sessionStorage.getItem(TOKEN_NAME));
  byId("token-note").textContent = known
    ? "A token is kept for this tab."
    : publicResults
      ? "Needed for uploads only."
      : "Needed for uploads and results.";
}

// ---- talking to the API ----

async function api(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN_NAME);
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, { ...options, headers });
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  const error = new Error(body.error?.message ?? `The service answered ${answer.status}.`);
  error.status = answer.status;
  throw error;
}

const result = (key) => api(`result?key=${encodeURIComponent(key)}`);

async function send(file) {
  const form = await api("uploads", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ key: file.name, sizeBytes: file.size, contentType: file.type }),
  });
  const data = new FormData();
  for (const [name, value] of Object.entries(form.fields)) data.append(name, value);
  data.append("file", file); // S3 ignores every field after the file
  const answer = await fetch(form.url, { method: "POST", body: data });
  if (!answer.ok) throw new Error(`The bucket refused the picture (${answer.status}).`);
  return form.key;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function verdict(key) {
  const until = Date.now() + GIVE_UP_MS;
  for (let wait = FIRST_WAIT_MS; Date.now() < until; wait = Math.min(wait * 1.5, LONGEST_WAIT_MS)) {
    try {
      const item = await result(key);
      if (item.status === "done" || !item.error?.retryable) return item;
    } catch (error) {
      // No result yet, too many requests, or a passing fault: ask again later. Anything else will not change.
      if (error.status && ![404, 429, 500, 502, 503, 504].includes(error.status)) throw error;
    }
    await pause(wait);
  }
  throw new Error("No result after three minutes. Look it up by its key later.");
}

// ---- showing ----

function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function article(title) {
  const made = element("article");
  made.append(element("h2", title), element("p"));
  byId("results").prepend(made);
  return made;
}

function say(place, text) {
  articles.delete(place);
  place.replaceChildren(place.firstChild, element("p", text));
}

function entries(item) {
  const rows = [];
  for (const { Name, Confidence } of item.labels ?? []) rows.push([Name, Confidence]);
  for (const { Name, Confidence } of item.moderation ?? []) rows.push([`Moderation: ${Name}`, Confidence]);
  (item.faces ?? []).forEach(({ Confidence }, index) => rows.push([`Face ${index + 1}`, Confidence]));
  for (const { Type, DetectedText, Confidence } of item.text ?? []) {
    if (Type === "LINE") rows.push([`Text: ${DetectedText}`, Confidence]);
  }
  return rows;
}

function show(place, item) {
  articles.set(place, item);
  const parts = [place.firstChild];
  if (item.status === "failed") parts.push(element("p", `${item.error.message} ${item.error.hint}`));
  for (const [feature, { message }] of Object.entries(item.unavailable ?? {})) {
    parts.push(element("p", `${feature}: not available here. ${message}`));
  }
  const shown = entries(item).filter(([, confidence]) => confidence >= Number(byId("threshold").value));
  if (item.status === "done" && !shown.length) parts.push(element("p", "Nothing found at this confidence."));
  parts.push(bars(shown));
  place.replaceChildren(...parts);
}

function bars(rows) {
  const list = element("dl");
  for (const [name, confidence] of rows) {
    const bar = element("meter");
    bar.max = 100;
    bar.value = confidence;
    const middle = element("dd");
    middle.append(bar);
    list.append(element("dt", name), middle, element("dd", `${confidence.toFixed(1)} %`));
  }
  return list;
}

// ---- what the person does ----

async function uploadOne(file) {
  const place = article(file.name);
  try {
    say(place, "Sending");
    const key = await send(file);
    place.firstChild.textContent = key;
    say(place, "Sent; waiting for the result");
    show(place, await verdict(key));
  } catch (error) {
    say(place, error.message);
  }
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN_NAME, byId("token").value.trim());
  byId("token").value = "";
  showTokenState();
});

byId("upload-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const files = [...byId("files").files];
  event.target.reset();
  for (const file of files) await uploadOne(file);
});

byId("lookup-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const key = byId("key").value;
  const place = article(key);
  try {
    show(place, await result(key));
  } catch (error) {
    say(place, error.message);
  }
});

byId("threshold").addEventListener("input", () => {
  byId("threshold-value").textContent = byId("threshold").value;
  for (const [place, item] of articles) show(place, item);
});

takeTokenFromAddress();
showTokenState();
byId("threshold").value = document.body.dataset.minConfidence;
byId("threshold-value").textContent = byId("threshold").value;
