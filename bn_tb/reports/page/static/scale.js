// From data to pixels.

/** Returns a linear scale, or a logarithmic one, from `domain` to `range`, with tick values. */
export function scale(domain, range, logarithmic = false) {
  const [from, to] = logarithmic ? domain.map(Math.log10) : domain;
  const [start, end] = range;
  const slope = to > from ? (end - start) / (to - from) : 0;
  const at = (value) => start + ((logarithmic ? Math.log10(value) : value) - from) * slope;
  return {
    at,
    domain,
    invert: (pixel) => (slope ? from + (pixel - start) / slope : from),
    ticks: (most, whole = false) =>
      logarithmic ? decades(from, to, most) : evenTicks(from, to, most, whole),
  };
}

function evenTicks(from, to, most, whole) {
  if (!(to > from)) return [from];
  const raw = (to - from) / Math.max(most, 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  let gap = power * [1, 2, 5, 10].find((factor) => factor * power >= raw * 0.999);
  if (whole) gap = Math.max(1, Math.round(gap));
  const ticks = [];
  for (let i = Math.ceil(from / gap - 1e-9); i * gap <= to + gap * 1e-9; i++) {
    ticks.push(Number((i * gap).toPrecision(12)));
  }
  return ticks;
}

function decades(from, to, most) {
  const gap = Math.max(1, Math.ceil((to - from) / Math.max(most, 1)));
  const ticks = [];
  for (let i = Math.ceil(from - 1e-9); i <= to + 1e-9; i += gap) ticks.push(10 ** i);
  return ticks;
}

/** Returns the smallest domain that holds all finite values, with some air, never empty. */
export function extent(values, air = 0.06) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value === null || value === undefined || !Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return [0, 1];
  const gap = high > low ? (high - low) * air : Math.max(Math.abs(high) * 0.5, 0.5);
  return [low - gap, high + gap];
}

/** Returns the index of the step nearest to `target` in a list that mostly ascends. */
export function nearest(steps, target) {
  let best = 0;
  for (let i = 1; i < steps.length; i++) {
    if (Math.abs(steps[i] - target) <= Math.abs(steps[best] - target)) best = i;
  }
  return best;
}
