// Names of runs, shortened by what all of them share.

const SHORT = 28; // letters; names that are all so short stay as they are
// A separator and the word after it. `_` and `-` separate only before a letter: lr=1e-4_seed=3.
const WORD = /(?:[/,;\s]+|[_-](?=[A-Za-z]))?(?:(?![/,;\s]|[_-][A-Za-z]).)*/gsu;

/** Returns a short name for each name: `…lr=0.1…seed=3…`. Those that would be alike stay whole. */
export function shortNames(names) {
  const short = new Map(names.map((name) => [name, name]));
  if (names.every((name) => name.length <= SHORT)) return short;
  const ofLength = new Map();
  for (const name of names) {
    const all = words(name);
    ofLength.set(all.length, [...ofLength.get(all.length) ?? [], [name, all]]);
  }
  for (const alike of ofLength.values()) {
    const [, first] = alike[0];
    const differs = first.map((word, i) => alike.some(([, all]) => all[i] !== word));
    if (differs.includes(true)) for (const [name, all] of alike) short.set(name, joined(all, differs));
  }
  const times = new Map();
  for (const text of short.values()) times.set(text, (times.get(text) ?? 0) + 1);
  return new Map(names.map((name) => [name, times.get(short.get(name)) > 1 ? name : short.get(name)]));
}

function words(name) {
  return name.match(WORD).filter(Boolean);
}

/** The words that differ; `…` for those that do not, with no separator beside it. */
function joined(all, differs) {
  const parts = all.map((word, i) => !differs[i] ? '…' : i && !differs[i - 1] ? word.replace(/^[/,;\s_-]/, '') : word);
  return parts.filter((part, i) => part !== '…' || parts[i - 1] !== '…').join('');
}
