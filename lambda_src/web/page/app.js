/** The page: who is signed in, where the address leads, and what the person does. */

import { keepToken, page, token } from "./api.js";
import { closeDetail, openDetail } from "./detail.js";
import { announce, byId } from "./dom.js";
import { addFiles, clear, detailLink, listLink, loadMore, reload, suggest } from "./gallery.js";
import { change, onChange, state } from "./state.js";

const open = page.publicResults === "true";

// ---- access ----

function showAccess(problem = "") {
  const signedIn = Boolean(token());
  byId("account").hidden = !signedIn;
  byId("sign-in").hidden = signedIn;
  byId("upload").hidden = !signedIn || page.bucket === "false";
  for (const part of document.querySelectorAll("[data-signed-in]")) part.hidden = !signedIn;
  byId("sign-in-why").textContent = open
    ? "The token is needed to upload and to browse. A result can be looked up by its key without it, but no faces or text."
    : "This pipeline is private: the token is needed for everything.";
  byId("token-problem").textContent = problem;
  byId("lookup-form").hidden = !signedIn && !open;
  byId("results-title").textContent = signedIn ? "Results" : "Look up a result";
  byId("results").hidden = !signedIn && !open;
}

async function signIn(value) {
  keepToken(value);
  clear();
  showAccess();
  if (value) await reload();
}

addEventListener("refused-token", () => {
  if (!token()) return;
  keepToken(null);
  clear();
  closeDetail();
  showAccess("This token was not accepted. It may have been replaced: imgpipe token prints the current one.");
  byId("token").focus();
});

byId("token-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const value = byId("token").value.trim();
  byId("token").value = "";
  await signIn(value);
  if (token()) {
    announce("Signed in");
    byId("choose").focus();
  }
});

byId("sign-out").addEventListener("click", () => {
  signIn(null);
  byId("token").focus();
});

// ---- the address: #token= signs in, #label= or #status=failed lists, #result= opens

async function followAddress() {
  const place = new URLSearchParams(location.hash.slice(1));
  const label = (place.get("label") ?? "").trim();
  const onlyFailed = !label && place.get("status") === "failed";
  const isOther = label !== state.label || onlyFailed !== state.onlyFailed;
  change({ label, onlyFailed });
  byId("label").value = label;
  byId("only-failed").checked = onlyFailed;
  const given = place.get("token");
  if (given !== null) {
    // The list of visited addresses may keep it.
    history.replaceState(null, "", listLink());
    await signIn(given);
  } else if (isOther && token()) reload();
  const key = place.get("result");
  if (key === null) return closeDetail();
  byId("lookup-problem").textContent = "";
  try {
    await openDetail(key);
  } catch (error) {
    closeDetail();
    if (error.status === 401) return;
    const missing = `There is no result for “${key}” (yet). Keys are exact, with folders and capitals.`;
    byId("lookup-problem").textContent = error.status === 404 ? missing : error.message;
  }
}

function goTo(link) {
  history.pushState(null, "", link);
  followAddress();
}

addEventListener("hashchange", followAddress);

byId("lookup-form").addEventListener("submit", (event) => {
  event.preventDefault();
  goTo(detailLink(byId("key").value));
});

// ---- uploads ----

const hasFiles = (transfer) => Boolean(transfer?.types.includes("Files"));
const mayUpload = () => !byId("upload").hidden;

for (const [button, input] of [
  ["choose", "files"],
  ["camera", "photo"],
]) {
  byId(button).addEventListener("click", () => byId(input).click());
  byId(input).addEventListener("change", (event) => {
    addFiles(event.target.files);
    event.target.value = ""; // so that the same file can be chosen again
  });
}

let inside = 0;

function dragging(by) {
  inside = by ? inside + by : 0;
  byId("drop").classList.toggle("over", inside > 0 && mayUpload());
}

// The whole window takes drops: none may replace the page.
addEventListener("dragenter", (event) => hasFiles(event.dataTransfer) && dragging(1));
addEventListener("dragleave", (event) => hasFiles(event.dataTransfer) && dragging(-1));
addEventListener("dragover", (event) => hasFiles(event.dataTransfer) && event.preventDefault());
addEventListener("drop", (event) => {
  dragging(0);
  if (!hasFiles(event.dataTransfer)) return;
  event.preventDefault();
  if (mayUpload()) addFiles(event.dataTransfer.files);
});

addEventListener("paste", (event) => {
  if (mayUpload() && event.clipboardData?.files.length) addFiles(event.clipboardData.files);
});

// ---- the list ----

byId("more").addEventListener("click", loadMore);
byId("refresh").addEventListener("click", reload);
byId("threshold").addEventListener("input", (event) => change({ threshold: Number(event.target.value) }));
byId("threshold").addEventListener("change", () => state.label && reload());

for (const what of ["input", "focus"])
  byId("label").addEventListener(what, (event) => suggest(event.target.value));
byId("label").addEventListener("change", (event) => goTo(listLink({ label: event.target.value.trim() })));
byId("only-failed").addEventListener("change", (event) =>
  goTo(listLink({ onlyFailed: event.target.checked })),
);

function showThreshold() {
  byId("threshold").value = state.threshold;
  document.querySelector("output[for=threshold]").textContent = state.threshold;
}

onChange(showThreshold);

// ---- start ----

if (page.api) {
  const note = byId("saved-note");
  note.hidden = false;
  note.textContent =
    page.bucket === "false"
      ? `This is a saved copy. It can show results; pictures and uploads need the page itself: ${page.api}`
      : `This is a saved copy; the pipeline's own page is at ${page.api}`;
}
byId("main").hidden = false;
showThreshold();
showAccess();
followAddress();
