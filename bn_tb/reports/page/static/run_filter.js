// The filter of runs: a regular expression, as in TensorBoard's own list of runs.

const PATIENCE = 80; // milliseconds for all names

/**
 * Returns the items of which some text matches, `{ shown, problem }`; all of them, and one line that
 * says why, if the expression is faulty or takes too long.
 */
export function matching(pattern, items, textsOf) {
  let expression;
  try {
    expression = new RegExp(pattern, 'i');
  } catch (error) {
    return { shown: items, problem: `Not a regular expression: ${error.message.split(': ').at(-1).toLowerCase()}. All runs are shown.` };
  }
  const end = performance.now() + PATIENCE;
  const shown = [];
  for (const item of items) {
    if (textsOf(item).some((text) => (mayRunAway(pattern) ? inTime(expression, text, end) : expression.test(text)))) shown.push(item);
    if (performance.now() > end && mayRunAway(pattern)) return { shown: items, problem: 'This expression takes too long on these names. All runs are shown.' };
  }
  return { shown, problem: '' };
}

/** Time grows faster than with the square of a name's length only where two parts repeat. */
function mayRunAway(pattern) {
  return /[*+{].*[*+{]/s.test(pattern);
}

/**
 * Whether an expression matches a text. No script can stop a match that has begun, and some take
 * twice as long with each letter; so these are tried on ever longer beginnings, until time is up.
 */
function inTime(expression, text, end) {
  for (let length = 1; length < text.length && performance.now() < end; length++) expression.test(text.slice(0, length));
  return performance.now() < end && expression.test(text);
}
