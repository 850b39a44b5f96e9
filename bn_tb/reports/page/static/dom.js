// Elements from values. Text is always set as text, so nothing from a log can become markup.

const SVG = 'http://www.w3.org/2000/svg';

/** Returns an HTML element; `properties` are attributes, or listeners where they are functions. */
export function html(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** Returns an SVG element; like `html`. */
export function svg(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  const shown = children.flat(Infinity).filter((child) => child !== null && child !== undefined);
  element.append(...shown);
  return element;
}

const unfinished = new Set();

/** Appends all that is left of long lists, as before the page is printed. */
export function finishSlices() {
  for (const run of unfinished) run(Infinity);
}

/**
 * Calls `append(item)` for each item, at most `budget` milliseconds at a time, so that long lists
 * never block the page. Returns a function that leaves out what is left.
 */
export function inSlices(items, append, budget = 12) {
  let next = 0;
  const run = (until) => {
    while (next < items.length && performance.now() < until) append(items[next++]);
    if (next >= items.length) unfinished.delete(run);
    else setTimeout(() => unfinished.has(run) && run(performance.now() + budget));
  };
  unfinished.add(run);
  run(performance.now() + budget);
  return () => unfinished.delete(run);
}
