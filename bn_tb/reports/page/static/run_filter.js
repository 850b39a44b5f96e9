// The filter of runs: a regular expression, as in TensorBoard's own list of runs.

const PATIENCE = 80; // milliseconds for all names
// Letters of a name that are looked at, by the number of repeats in an expression: the time of one
// match grows at most with length ** (repeats + 1), and no script can stop a match that has begun.
const LETTERS = [1000, 1000, 500, 150];

/**
 * Returns the items of which some text matches, `{ shown, problem }`; all of them, and one line that
 * says why, if the expression is faulty or could hold up the page.
 */
export function matching(pattern, items, textsOf) {
  const all = (reason) => ({ shown: items, problem: `${reason} All runs are shown.` });
  let expression;
  try {
    expression = new RegExp(pattern, 'i');
  } catch (error) {
    return all(`Not a regular expression: ${error.message.split(': ').at(-1).toLowerCase()}.`);
  }
  const { repeats, nested } = repeatsOf(pattern);
  if (nested) return all('A repeat of what repeats or has alternatives, such as (a+)+, may take for ever.');
  if (!(repeats in LETTERS)) return all(`More than ${LETTERS.length - 1} repeats may take for ever.`);
  const end = performance.now() + PATIENCE;
  const shown = [];
  for (const item of items) {
    if (textsOf(item).some((text) => expression.test(text.slice(0, LETTERS[repeats])))) shown.push(item);
    if (performance.now() > end && repeats > 1) return all('This expression takes too long on these names.');
  }
  return { shown, problem: '' };
}

// An escape, a class of letters, the end of a group that repeats, or what else has a meaning.
const TOKEN = /\\.|\[(?:\\.|[^\]\\])*\]|\)[*+{]|[()|*+{]/gs;

/**
 * How many parts of an expression repeat, and whether one does that has repeats or alternatives
 * inside. Only with such ones can the time of a match double with each letter.
 */
function repeatsOf(pattern) {
  const open = [false]; // for each group around: whether repeats or alternatives are in it
  let repeats = 0;
  let nested = false;
  for (const [token] of pattern.matchAll(TOKEN)) {
    if (/^[\\[]/.test(token)) continue;
    if (token === '(') { open.push(false); continue; }
    const inside = token.startsWith(')') && open.pop();
    const repeat = /[*+{]$/.test(token);
    repeats += repeat;
    nested ||= repeat && inside;
    open.push(open.pop() || inside || repeat || token === '|');
  }
  return { repeats, nested };
}
