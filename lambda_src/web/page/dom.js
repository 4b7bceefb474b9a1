/** Finding and making elements. Text from outside becomes text nodes, never markup. */

export const byId = (id) => document.getElementById(id);

/**
 * An element: attributes by name, listeners as functions under `onclick` and the like.
 * A child that is null or false is left out, so that `condition && element(...)` works.
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key.slice(2), value);
    else if (value != null && value !== false)
      made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child != null && child !== false));
  return made;
}

export const button = (words, onclick, attributes = {}) =>
  element("button", { onclick, ...attributes }, words);

export const quiet = (...words) => element("p", { class: "quiet" }, ...words);

export const span = (kind, ...children) => element("span", { class: kind }, ...children);

export const div = (kind, ...children) => element("div", { class: kind }, ...children);

/** An element of a drawing. */
export function shape(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** Text that came with a picture; its reading direction turns nothing around it. */
export const foreign = (text) => element("bdi", {}, String(text));

export const timeText = (time) => new Date(time).toLocaleString();

/** Tell users of a screen reader what has happened. */
export function announce(text) {
  byId("news").textContent = text;
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
