// Verdicts and numbers in words.

/** Verdicts, worst first, each with the shape of its sign. */
export const VERDICTS = {
  broken: 'cross',
  stale: 'stop',
  lagging: 'triangle',
  suspect: 'triangle',
  frozen: 'diamond',
  healthy: 'check',
  insufficient: 'dots',
  'not-logged': 'dots',
  unknown: 'dots',
  'no-batch-norm': 'dash',
  unreadable: 'question',
};

const order = Object.keys(VERDICTS);

/** Sorts by verdict, worst first; what is not judged yet comes last. */
export function byVerdict(a, b) {
  return rank(a.verdict) - rank(b.verdict);
}

function rank(verdict) {
  const index = order.indexOf(verdict);
  return index < 0 ? order.length : index;
}

/** Compares names so that `conv2` comes before `conv10`. */
export const byName = new Intl.Collator('en', { numeric: true }).compare;

/** Returns `1 layer`, `2 layers`. */
export function count(number, noun) {
  return `${step(number)} ${noun}${number === 1 ? '' : 's'}`;
}

/** Returns a step with thousands separated: `12,500`. */
export function step(number) {
  return number === null || number === undefined ? '–' : number.toLocaleString('en');
}

/** Returns a value in four significant digits, with a true minus sign. */
export function value(number) {
  if (number === null || number === undefined) return 'not finite';
  const size = Math.abs(number);
  const text = size !== 0 && (size >= 1e5 || size < 1e-3)
    ? number.toExponential(2).replace(/\.?0*e\+?/, 'e')
    : String(Number(number.toPrecision(4)));
  return text.replaceAll('-', '−');
}

/** Returns a share as a percentage: `4.3 %`, `< 0.1 %`. */
export function share(number) {
  if (number === null || number === undefined) return 'unknown';
  if (number > 0 && number < 0.001) return '< 0.1 %';
  const percent = 100 * number;
  return `${Number(percent.toFixed(percent < 10 ? 1 : 0))} %`;
}

/** Returns a text with its first letter in upper case. */
export function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}
