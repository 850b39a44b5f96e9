// The sign of a verdict: a shape and a word, never a colour alone.

import { html, svg } from './dom.js';
import { VERDICTS } from './words.js';

const SHAPES = {
  cross: ['M5 1h6l4 4v6l-4 4H5l-4-4V5z', 'M5.5 5.5l5 5m0-5l-5 5'],
  stop: ['M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1z', 'M4.5 8h7'],
  triangle: ['M8 1.5L15.5 14.5H.5z', 'M8 6v4m0 1.8v.2'],
  diamond: ['M8 .8L15.2 8 8 15.2.8 8z', 'M6.4 5.6v4.8m3.2-4.8v4.8'],
  check: ['M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1z', 'M4.8 8.3l2.2 2.2 4.2-4.6'],
  dots: ['M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1z', 'M4.9 8v.1M8 8v.1M11.1 8v.1'],
  dash: ['M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1z', 'M5.5 8h5'],
  question: ['M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1z', 'M6 6.2a2 2 0 1 1 2 2.2v.8m0 2.2v.1'],
};

/** Returns the sign of a verdict; the word must stand beside it. */
export function sign(verdict) {
  const [body, mark] = SHAPES[VERDICTS[verdict]] ?? SHAPES.dots;
  return svg('svg', { class: 'sign', viewBox: '0 0 16 16', 'aria-hidden': 'true' },
    svg('path', { class: 'sign-body', d: body }),
    svg('path', { class: 'sign-mark', d: mark }));
}

/** Returns the dot in the colour that TensorBoard gives a run, if it has one. */
export function runDot(tone) {
  return tone ? html('span', { class: `run-dot tone-${tone}`, 'aria-hidden': 'true' }) : null;
}

/** Returns sign and word. */
export function badge(verdict) {
  return html('span', { class: 'badge', 'data-verdict': verdict }, sign(verdict), verdict);
}
