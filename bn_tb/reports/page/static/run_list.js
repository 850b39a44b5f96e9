// The list of runs: worst first, filtered by text and verdict, moved through with arrow keys.

import { sign } from './badge.js';
import { html } from './dom.js';
import { byName, byVerdict, count, VERDICTS } from './words.js';

const MOST = 1000; // rows; beyond that a filter finds a run sooner than scrolling

/** Returns the list; `show(runs, selected)` brings it up to date. */
export function runList({ runLink, filter, onFilter }) {
  const search = html('input', {
    type: 'search', class: 'filter', placeholder: 'Filter runs', 'aria-label': 'Filter runs by name',
    value: filter.text, input: () => change({ text: search.value }),
  });
  const order = html('select', {
    class: 'filter', 'aria-label': 'Sort runs', hidden: true,
    change: () => change({ sort: order.value }),
  });
  const chips = html('div', { class: 'chips', role: 'group', 'aria-label': 'Filter runs by verdict' });
  const list = html('ul', { class: 'runs', 'aria-label': 'Runs, worst first' });
  const status = html('p', { class: 'muted list-status', role: 'status' });
  const rows = new Map();
  let runs = [];
  let selected = null;

  const draw = () => {
    const shown = runs.filter((run) => matches(run, filter));
    const items = shown.slice(0, MOST).map((run) => {
      if (!rows.has(run.run)) rows.set(run.run, runRow(run, runLink));
      return rows.get(run.run)(run, run.run === selected);
    });
    reorder(list, items);
    setContent(chips, verdictChips(runs, filter, change));
    setText(status, statusLine(runs, shown));
  };
  const sort = () => {
    const names = [...new Set(runs.flatMap((run) => Object.keys(run.hyperparameters ?? {})))].sort();
    order.hidden = !names.length;
    setContent(order, ['', ...names].map((name) => html('option', { value: name },
      name ? `Sort by ${name}` : 'Sort by verdict')));
    order.value = names.includes(filter.sort) ? filter.sort : '';
    runs.sort((a, b) => bySetting(a, b, order.value) || byVerdict(a, b) || byName(a.run, b.run));
  };
  const change = (part) => { Object.assign(filter, part); onFilter(filter); sort(); draw(); };
  list.addEventListener('keydown', (event) => moveFocus(event, list));
  return {
    element: html('nav', { class: 'sidebar', 'aria-label': 'Runs' }, search, order, chips, list, status),
    show(next, chosen) {
      runs = [...next];
      sort();
      selected = chosen;
      draw();
    },
  };
}

function matches(run, filter) {
  const text = `${run.run} ${settings(run)}`.toLowerCase();
  return filter.text.toLowerCase().split(/\s+/).every((word) => text.includes(word))
    && (!filter.verdict || run.verdict === filter.verdict);
}

/** The hyperparameters of a run in one line, `lr=0.1 momentum=0.9`. */
function settings(run) {
  return Object.entries(run.hyperparameters ?? {}).map(([name, value]) => `${name}=${value}`).join(' ');
}

/** Orders by a hyperparameter, if one is named: numbers by size; runs that have none come last. */
function bySetting(a, b, name) {
  const [one, other] = [a, b].map((run) => run.hyperparameters?.[name]);
  if (!name || one === other) return 0;
  if (one === undefined || other === undefined) return one === undefined ? 1 : -1;
  return one - other || String(one).localeCompare(String(other));
}

/** Puts items into a list in order, without losing focus or scroll position. */
function reorder(list, items) {
  if (items.length === list.childElementCount && items.every((item, i) => list.children[i] === item)) return;
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  list.replaceChildren(...items);
  focused?.focus({ preventScroll: true });
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setContent(element, children) {
  const same = children.length === element.childElementCount
    && children.every((child, i) => child.isEqualNode(element.children[i]));
  if (!same) element.replaceChildren(...children);
}

/** Returns a function that brings the run's list item up to date and returns it. */
function runRow(run, runLink) {
  const link = runLink(run.run);
  const item = html('li', {}, link);
  let verdict;
  return (now, isSelected) => {
    if (now.verdict !== verdict) {
      verdict = now.verdict;
      const name = html('span', { class: 'run-name', title: run.run },
        runNameParts(run.run).map((part) => html('span', {}, part)));
      if (settings(now)) link.title = settings(now);
      const state = html('span', { class: 'run-verdict' }, verdict ?? 'not read yet');
      if (verdict) link.setAttribute('data-verdict', verdict);
      link.replaceChildren(sign(verdict), name, state);
    }
    if (isSelected) link.setAttribute('aria-current', 'true');
    else link.removeAttribute('aria-current');
    return item;
  };
}

/** Folder and last component; where there is no room for both, the folder is cut. */
function runNameParts(name) {
  const cut = name.lastIndexOf('/');
  return cut > 0 ? [name.slice(0, cut), name.slice(cut)] : [name];
}

function verdictChips(runs, filter, change) {
  return Object.keys(VERDICTS).map((verdict) => {
    const number = runs.filter((run) => run.verdict === verdict).length;
    const pressed = filter.verdict === verdict;
    if (!number && !pressed) return null;
    return html('button', {
      class: 'chip', type: 'button', 'data-verdict': verdict, 'aria-pressed': String(pressed),
      click: () => change({ verdict: pressed ? '' : verdict }),
    }, sign(verdict), `${number} ${verdict}`);
  }).filter(Boolean);
}

function statusLine(runs, shown) {
  const waiting = runs.filter((run) => !run.verdict).length;
  const parts = [shown.length === runs.length ? count(runs.length, 'run') : `${shown.length} of ${count(runs.length, 'run')}`];
  if (shown.length > MOST) parts.push(`the first ${MOST} shown, filter to see others`);
  if (waiting) parts.push(`${waiting} still to read`);
  return parts.join(', ');
}

function moveFocus(event, list) {
  const links = [...list.querySelectorAll('a')];
  const at = links.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
  if (to === undefined || !links[to]) return;
  event.preventDefault();
  links[to].focus();
}
