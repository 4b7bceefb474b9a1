/** The cards: pictures on their way, and results, newest first. */

import { labelsLike, listResults, page, pictureLink, repeated, token } from "./api.js";
import { announce, button, byId, div, element, foreign, pause, span, timeText } from "./dom.js";
import {
  failed, flagged, highlights, lacking, nameOf, percent, reasonOf, remedy, retrying,
} from "./findings.js";
import { checkPicture } from "./picture.js";
import { known, onChange, sentHere, state } from "./state.js";
import { send } from "./upload.js";
import { awaited } from "./waiting.js";

const AT_A_TIME = 40;

const cards = new Map();
let after = null;
let loaded = null;
let loading = null;

const isApart = (card) => "apart" in card.dataset;

const choice = ({ label, onlyFailed }) => (label ? { label } : onlyFailed ? { status: "failed" } : {});

export const detailLink = (key) => `#${new URLSearchParams({ ...choice(state), result: key })}`;

/** To a list: of a label, of failures, or of all. */
export function listLink(chosen = state) {
  const query = new URLSearchParams(choice(chosen)).toString();
  return query ? `#${query}` : location.pathname + location.search;
}

/** The keys of the results as they stand, for going from one to the next. */
export const keysInOrder = () =>
  [...byId("cards").children].map((card) => card.dataset.key).filter(Boolean);

// ---- results ----

/** Forget the list and load its first page. */
export async function reload() {
  while (loading) await loading;
  after = null;
  await loadPage(true);
}

export const loadMore = () => loadPage(false);

function loadPage(first) {
  loading ??= load(first).finally(() => {
    loading = null;
  });
  return loading;
}

async function load(first) {
  byId("list-problem").replaceChildren();
  byId("more").disabled = true;
  const asked = token();
  const chosen = { ...state };
  try {
    const list = (from) => repeated(() => listResults(AT_A_TIME, from, chosen));
    let answer = await list(after);
    // A page may be empty although more follows: `next` tells.
    while (!answer.items.length && answer.next) answer = await list(answer.next);
    if (token() !== asked) return;
    if (first) for (const [key, card] of cards) if (!isApart(card)) remove(key);
    const last = byId("more") === document.activeElement && !answer.next;
    const added = answer.items.map((item) => place(item, false));
    after = answer.next;
    loaded = { ...chosen, ...answer };
    if (last) added[0]?.querySelector("a")?.focus();
  } catch (error) {
    const again = button("Try again", () => loadPage(first));
    if (error.status !== 401) byId("list-problem").replaceChildren(error.message, " ", again);
  }
  byId("more").disabled = false;
  byId("more").hidden = !after;
  show();
}

/** Show a result: in its card, else at the start or the end. */
function place(item, atStart) {
  const key = item.objectKey;
  const old = cards.get(key);
  known.set(key, item);
  const made = resultCard(item);
  cards.set(key, made);
  if (old) old.replaceWith(made);
  else if (atStart) byId("cards").prepend(made);
  else byId("cards").append(made);
  return made;
}

function remove(key) {
  cards.get(key)?.remove();
  cards.delete(key);
}

function resultCard(item) {
  const key = item.objectKey;
  const name = nameOf(key);
  const made = element(
    "li",
    { class: "card", "data-key": key },
    element("a", { href: detailLink(key), title: key }, thumbnail(item), span("card-name", foreign(name))),
    div("chips"),
    element("time", { class: "quiet", datetime: item.analyzedAt }, timeText(item.analyzedAt)),
  );
  findings(made, item);
  return made;
}

/** A frame of fixed shape, so that nothing moves when the picture comes. */
function thumbnail(item) {
  const frame = span("thumb");
  const source = sentHere.get(item.objectKey) ?? item.imageUrl;
  if (!source || page.bucket === "false" || (item.status === "failed" && !item.contentType)) return frame;
  const attributes = { loading: "lazy", decoding: "async" };
  frame.append(picture(item.objectKey, source, attributes, () => frame.replaceChildren()));
  return frame;
}

/** An image; its expired link is made again once. onLost: when it cannot be shown. */
export function picture(key, source, attributes, onLost) {
  let again = true;
  const onerror = async () => {
    if (!again) return onLost();
    again = false;
    try {
      made.src = await pictureLink(key);
    } catch {
      onLost();
    }
  };
  const made = element("img", { alt: "", ...attributes, onerror });
  made.src = source;
  return made;
}

/** What depends on the chosen confidence. */
function findings(card, item) {
  card.classList.toggle("flagged", flagged(item));
  card.querySelector(".chips")?.replaceChildren(...chips(item));
}

function chips(item) {
  const why = (...words) => element("p", { class: "why" }, ...words);
  const { message, hint } = reasonOf(item);
  if (failed(item)) return [span("chip bad", "Failed"), why(message, " ", hint)];
  if (retrying(item)) return [span("chip warn", "Retrying"), why(message)];
  const found = highlights(item).map(([name, confidence, isLabel]) => {
    const words = [foreign(name), " ", element("b", {}, percent(confidence))];
    return isLabel ? element("a", { class: "chip", href: listLink({ label: name }) }, words) : span("chip", words);
  });
  if (flagged(item)) found.unshift(span("chip warn", "Flagged"));
  return found.length ? found : [span("quiet", `Nothing from ${state.threshold} %`)];
}

/** Bring all cards in line with what is chosen. */
function show() {
  let total = 0;
  let count = 0;
  const missing = new Set();
  const features = known.get(keysInOrder()[0])?.features;
  for (const [key, card] of cards) {
    const item = known.get(key);
    if (!item) continue;
    findings(card, item);
    total += !isApart(card);
    const lacks = lacking(item, features);
    if (lacks.length) count += 1;
    for (const name of lacks) missing.add(name);
  }
  const notice = byId("lacking");
  notice.hidden = !count;
  const names = [...missing].sort().join(", ");
  notice.textContent = `Pictures that lack ${names}: ${count}. Run ${remedy(names)}.`;
  if (!loaded) return;
  const { label, onlyFailed, index } = loaded;
  const kind = onlyFailed ? " that failed" : label && ` with “${label}”`;
  const more = after ? "; more are not loaded yet" : "";
  const part = index?.complete === false ? "; imgpipe up adds older ones" : "";
  byId("count").textContent =
    total || kind
      ? `${total} picture${total === 1 ? "" : "s"}${kind}${more}${part}`
      : "No pictures yet. Drop one above.";
}

let asked = 0;

/** Offer the labels that begin so. */
export async function suggest(beginning) {
  const mine = ++asked;
  await pause(200);
  if (mine !== asked || !token()) return;
  const labels = await labelsLike(beginning, state.threshold).catch(() => []);
  const option = ({ name, count, more }) =>
    element("option", { value: name, label: `${name} (${count}${more ? "+" : ""})` });
  if (mine === asked) byId("label-names").replaceChildren(...labels.map(option));
}

onChange(show);

/** Nothing of one person's results stays for the next. */
export function clear() {
  cards.clear();
  byId("cards").replaceChildren();
  for (const address of sentHere.values()) URL.revokeObjectURL(address);
  sentHere.clear();
  known.clear();
  after = loaded = null;
  byId("count").textContent = "";
  byId("more").hidden = true;
  byId("list-problem").replaceChildren();
}

// ---- pictures on their way ----

/** Send files, and show what becomes of each. */
export function addFiles(files) {
  const started = [...files].map((file) => [file, sendingCard(file)]);
  byId("cards").prepend(...started.map(([, card]) => card.root));
  for (const [file, card] of started) addFile(file, card);
}

async function addFile(file, card) {
  const checked = await checkPicture(file);
  if (checked.refused) return card.end("Not sent", checked.refused);
  card.preview(URL.createObjectURL(checked.file));
  await deliver(checked.file, checked.type, card);
}

async function deliver(file, type, card) {
  let key = null;
  try {
    card.say("Waiting to be sent");
    key = await send(file, type, (part) => card.progress(part));
    card.key(key);
    await follow(key, card);
  } catch (error) {
    if (key) return stillNothing(key, card, error);
    card.end("Not sent", error.message, () => deliver(file, type, card));
  }
}

async function follow(key, card) {
  const say = (trouble) => {
    if (!trouble) card.say("Sent. Queued for analysis");
    else card.say(trouble.late ? "Sent. The result is late; still asking." : `${trouble.message} Trying again.`);
  };
  say();
  const item = await awaited(key, say);
  if (card.address) sentHere.set(key, card.address);
  const hadFocus = card.root.contains(document.activeElement);
  const made = place(item, true);
  if (state.label || state.onlyFailed) made.dataset.apart = true; // from a list of others
  if (hadFocus) made.querySelector("a").focus();
  show();
  const words = failed(item)
    ? `failed. ${item.error.message}`
    : highlights(item)
        .map(([name]) => name)
        .join(", ") || "nothing found";
  announce(`${nameOf(key)}: ${words}`);
}

function stillNothing(key, card, error) {
  const words =
    error.code === "no_result"
      ? `${error.message} The picture is in the bucket; imgpipe explain tells more with the key ${key}.`
      : `Sent, but: ${error.message}`;
  const again = () => follow(key, card).catch((next) => stillNothing(key, card, next));
  card.end("No result", words, again, "Look again");
}

/** The card of a picture that has no result yet. */
function sendingCard(file) {
  const name = file.name || "Pasted picture";
  const frame = span("thumb");
  const words = element("p", { class: "why" }, "Checking");
  const bar = element("progress", { max: 1, "aria-label": `Sending ${name}`, hidden: true });
  const actions = element("p", { class: "row" });
  const title = span("card-name", foreign(name));
  const attributes = { class: "card sending", "data-apart": true, "aria-busy": "true" };
  const root = element("li", attributes, frame, title, bar, words, actions);
  const card = {
    root,
    address: null,
    say(text) {
      root.setAttribute("aria-busy", "true");
      root.classList.remove("stopped");
      words.textContent = text;
      actions.replaceChildren();
    },
    key(key) {
      bar.hidden = true;
      root.title = key;
      cards.set(key, root);
    },
    progress(part) {
      bar.hidden = false;
      bar.value = part;
      words.textContent = `Sending, ${Math.round(part * 100)} %`;
    },
    preview(address) {
      card.address = address;
      const image = element("img", { alt: "" });
      image.src = address;
      frame.replaceChildren(image);
    },
    /** It stops here: why, and perhaps how to go on. */
    end(what, why, again, againWords = "Try again") {
      bar.hidden = true;
      root.removeAttribute("aria-busy");
      root.classList.add("stopped");
      words.replaceChildren(element("b", {}, `${what}.`), " ", why);
      const dismiss = () => {
        root.remove();
        if (card.address) URL.revokeObjectURL(card.address);
      };
      actions.replaceChildren(
        ...(again ? [button(againWords, again)] : []),
        button("Dismiss", dismiss, { "aria-label": `Dismiss ${name}` }),
      );
      announce(`${name}: ${what}. ${why}`);
    },
  };
  return card;
}
