// Curves without axes, for tables.

import { html, svg } from './dom.js';
import { drawSeries } from './plot.js';
import { extent, scale } from './scale.js';
import { share, value } from './words.js';

const [WIDTH, HEIGHT] = [96, 22];
const BOX = `0 0 ${WIDTH} ${HEIGHT}`;

/** Returns a series as a small curve without axes. */
export function sparkline(spark) {
  if (!spark) return html('span', { class: 'nothing' }, 'not logged');
  const x = scale([Math.min(...spark.steps), Math.max(...spark.steps)], [2, WIDTH - 2]);
  const y = scale(extent(spark.values, 0), [HEIGHT - 3, 3]);
  const series = { steps: spark.steps, values: spark.values, tone: 'ink' };
  const known = spark.values.filter((number) => number !== null);
  const from = known.length ? value(known[0]) : 'nothing finite';
  return svg('svg', {
    class: 'spark', viewBox: BOX, role: 'img',
    'aria-label': known.length && known.every((number) => number === known[0])
      ? `constant at ${from}` : `from ${from} to ${value(spark.values.at(-1))}`,
  }, drawSeries(series, x, y));
}

/** Returns how much of the initial value was left over the steps, and at the end. */
export function leftPicture({ left, stuck }) {
  const steps = left.map((_, i) => i);
  const x = scale([0, steps.length - 1], [2, WIDTH - 2]);
  const y = scale([0, 1], [HEIGHT - 3, 3]);
  const end = stuck ? 1 : left.at(-1);
  return html('span', { class: 'left' },
    svg('svg', { class: 'spark', viewBox: BOX, role: 'img', 'aria-label': stuck ? 'never left; dashed: as a healthy average would' : 'share that is left, from the first to the last step' },
      svg('path', { class: 'grid', d: `M2 ${HEIGHT - 3}H${WIDTH - 2}` }),
      drawSeries({ steps, values: left, tone: stuck ? 'healthy' : end > 0.05 ? 'accent' : 'ink', dashed: stuck }, x, y),
      stuck ? drawSeries({ steps: [0, steps.length - 1], values: [1, 1], tone: 'bad' }, x, y) : null),
    share(end));
}
