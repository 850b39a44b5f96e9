// All runs in one look: a table, worst first, that is filtered, sorted and put into groups.

import { sign } from './badge.js';
import { dataTable } from './data_table.js';
import { html } from './dom.js';
import { shortNames } from './names.js';
import { runColumns, settingsText, usualMetric, varying } from './run_columns.js';
import { matching } from './run_filter.js';
import { grouped } from './run_groups.js';
import { byName, byVerdict, count, VERDICTS } from './words.js';

const USELESS = ['broken', 'stale', 'lagging'];
const UNKNOWN = ['unknown', 'no-batch-norm', 'unreadable', 'insufficient', 'not-logged'];

/** Returns the page, `{ element, show(overview), neighbours(run) }`. */
export function home({ runLink, filter, onFilter, host }) {
  let listed = null; // what does not depend on the filter
  let order = [];
  let drawn = '';
  const change = (part) => { Object.assign(filter, part); onFilter(); draw(); };
  const table = dataTable('Runs', (sort) => change({ sort }));
  const parts = {
    title: html('h1', { tabindex: -1 }),
    exports: html('span', { class: 'exports' }, host.exports(null)),
    headline: html('p', { class: 'headline' }),
    search: html('input', { type: 'search', class: 'filter', placeholder: 'Filter runs (regex)', 'aria-label': 'Filter runs by a regular expression', 'aria-describedby': 'filter-problem', input: () => change({ text: parts.search.value }) }),
    groups: html('select', { class: 'filter', 'aria-label': 'Group runs', change: () => change({ group: parts.groups.value }) }),
    chips: html('div', { class: 'chips', role: 'group', 'aria-label': 'Verdicts to show' }),
    status: html('span', { class: 'muted list-status', role: 'status' }),
    problem: html('p', { class: 'problem', id: 'filter-problem', role: 'status' }),
    snippets: html('div'),
  };
  const draw = () => {
    const { entries, beside, names, columns } = listed;
    const { shown: matched, problem } = matching(filter.text, entries, (run) => [run.run, settingsText(run), ...beside.get(run.run).map((other) => other.run)]);
    const shown = matched.filter((run) => !filter.verdict || run.verdict === filter.verdict);
    const groups = ['', 'finding', ...names];
    const group = groups.includes(filter.group) ? filter.group : '';
    setText(parts.problem, problem);
    setText(parts.status, statusLine(entries, shown));
    setContent(parts.chips, verdictChips(entries, filter, change));
    setContent(parts.groups, groups.map((name) => html('option', { value: name }, name ? `Group by ${name}` : 'No groups')));
    parts.groups.value = group;
    if (parts.search !== document.activeElement) parts.search.value = filter.text;
    table.show(columns, grouped(shown, group, entries), filter.sort);
    order = shown.map((run) => run.run);
  };
  return {
    element: html('div', { class: 'home' },
      html('header', { class: 'page-header' }, html('div', { class: 'title-line' }, parts.title, parts.exports), parts.headline),
      html('div', { class: 'tools', role: 'search', 'aria-label': 'Runs' }, parts.search, parts.groups, parts.chips, parts.status),
      parts.problem, table.element, parts.snippets),
    show(next) {
      const text = JSON.stringify([next, filter]);
      if (text === drawn) return;
      drawn = text;
      const judged = next.runs.filter((run) => run.verdict);
      setText(parts.title, next.logdir || 'All runs');
      setText(parts.headline, summary(judged, next.runs.length));
      if (!judged.length || judged.some(hasStatistics)) parts.snippets.replaceChildren();
      else if (!parts.snippets.childElementCount) parts.snippets.append(...[host.snippets(next)].filter(Boolean));
      listed = list(next.runs, runLink);
      draw();
    },
    neighbours(run) {
      const at = order.indexOf(run);
      return at < 0 ? [] : [order[at - 1], order[at + 1]];
    },
  };
}

/** The rows of the table, worst first, what stands beside them, and its columns. */
function list(runs, runLink) {
  const { entries, beside } = folded([...runs].sort((a, b) => byVerdict(a, b) || byName(a.run, b.run)));
  const names = varying(entries);
  const short = shortNames(entries.map((run) => run.run));
  return { entries, beside, names, columns: runColumns({ runLink, beside, names, short, metric: usualMetric(entries) }) };
}

/** Runs with a row of their own, and by name those that stand beside them. */
function folded(runs) {
  const names = new Set(runs.filter((run) => !run.beside).map((run) => run.run));
  const entries = runs.filter((run) => !names.has(run.beside));
  const beside = new Map(entries.map((run) => [run.run, []]));
  for (const run of runs) beside.get(run.beside)?.push(run);
  return { entries, beside };
}

function summary(judged, total) {
  if (!judged.length) return 'Reading the runs…';
  const bad = judged.filter((run) => USELESS.includes(run.verdict)).length;
  const seen = judged.filter(hasStatistics).length;
  const of = judged.length < total ? ` so far, ${total - judged.length} still to read` : '';
  if (!seen) return `No run could be judged${of}.`;
  if (!bad) return `None of the ${count(seen, 'judged run')} evaluates with statistics that training left behind${of}.`;
  return `In ${bad} of ${count(seen, 'judged run')} evaluation uses statistics that do not fit the training${of}.`;
}

function hasStatistics(run) {
  return Boolean(run.verdict) && !UNKNOWN.includes(run.verdict);
}

function verdictChips(runs, filter, change) {
  return Object.keys(VERDICTS).map((verdict) => {
    const number = runs.filter((run) => run.verdict === verdict).length;
    const pressed = filter.verdict === verdict;
    if (!number && !pressed) return null;
    return html('button', {
      class: 'chip', type: 'button', 'data-verdict': verdict, 'aria-pressed': String(pressed),
      click: () => change({ verdict: filter.verdict === verdict ? '' : verdict }),
    }, sign(verdict), `${number} ${verdict}`);
  }).filter(Boolean);
}

function statusLine(runs, shown) {
  const waiting = runs.filter((run) => !run.verdict).length;
  const parts = [shown.length === runs.length ? count(runs.length, 'run') : `${shown.length} of ${count(runs.length, 'run')}`];
  if (waiting) parts.push(`${waiting} still to read`);
  return parts.join(', ');
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setContent(element, children) {
  const same = children.length === element.childElementCount
    && children.every((child, i) => child.isEqualNode(element.children[i]));
  if (same) return;
  const focused = [...element.children].indexOf(document.activeElement);
  element.replaceChildren(...children);
  element.children[focused]?.focus();
}
