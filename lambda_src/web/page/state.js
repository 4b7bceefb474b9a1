/** What the parts of the page share: the results known so far, and which of them are to be shown. */

const listeners = [];

export const state = {
  threshold: Math.min(Math.max(Math.round(Number(document.body.dataset.minConfidence)) || 70, 50), 100),
  label: null,
  onlyFailed: false,
};

/** Result items by object key. */
export const known = new Map();

/** Addresses of pictures sent from this tab, by object key: no need to load them back. */
export const sentHere = new Map();

/** Call it whenever `state` has changed, at most once a frame. */
export function onChange(listener) {
  listeners.push(listener);
}

let planned = false;

export function change(values) {
  Object.assign(state, values);
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    for (const listener of listeners) listener();
  });
}
