// Tables: sorted by their heads, drawn in slices, and cards where the screen is narrow.

import { html, inSlices } from './dom.js';
import { step } from './words.js';

const FIRST = 100; // rows; a thousand take long to lay out, so the others come when asked for
const BUDGET = 40; // milliseconds of a slice: the first rows at once, lest the page jumps to its top

/**
 * Returns a table, `{ element, show(columns, groups, sorted) }`; the same columns again promise that
 * the rows of items that were drawn are still true.
 *
 * A column is `{ key, title, number, compare, cell(item) }`, the first one with what the row is
 * called; a group `{ title, items }`, where the title may be null. `sorted` is the key of a column,
 * after `-` for descending, or empty for the order of the items; a head calls `onSort(sorted)`.
 */
export function dataTable(label, onSort) {
  const table = html('table', { class: 'data', role: 'table', 'aria-label': label });
  const more = html('p', { class: 'more' });
  const rows = new Map();
  let stop = () => {};
  let drawn = null;
  let most = FIRST;
  const show = (columns, groups, sorted) => {
    if (columns !== drawn) rows.clear();
    drawn = columns;
    const focused = table.contains(document.activeElement) ? document.activeElement : null;
    stop();
    table.replaceChildren(html('thead', { role: 'rowgroup' }, html('tr', { role: 'row' }, columns.map((column) => head(column, sorted, onSort)))));
    const all = groups.flatMap((group) => {
      const body = groupBody(group.title, columns.length);
      table.append(body);
      return inOrder(group.items, columns, sorted).map((item) => [body, item]);
    });
    stop = inSlices(all.slice(0, most), ([body, item]) => body.append(tableRow(columns, item, rows)), BUDGET);
    if (focused) again(table, focused)?.focus({ preventScroll: true });
    more.replaceChildren(...all.length <= most ? [] : [`${step(most)} of ${step(all.length)} rows. `,
      html('button', { class: 'button', type: 'button', click: () => { most += FIRST; show(columns, groups, sorted); } }, `Show ${step(Math.min(FIRST, all.length - most))} more`)]);
  };
  return { element: html('div', {}, html('div', { class: 'scroll-x' }, table), more), show };
}

/** What had the focus, or what stands in its place. */
function again(table, focused) {
  const nameOf = (element) => element.dataset.key ?? element.getAttribute('href');
  return focused.isConnected ? focused : [...table.querySelectorAll('a, button')].find((one) => nameOf(one) === nameOf(focused));
}

function head({ key, title, number, compare }, sorted, onSort) {
  const direction = sorted === key ? 'ascending' : sorted === `-${key}` ? 'descending' : 'none';
  return html('th', { role: 'columnheader', scope: 'col', class: number ? 'number' : null, 'aria-sort': compare ? direction : null, 'data-label': title },
    compare ? html('button', { type: 'button', 'data-key': key, click: () => onSort(sorted === key ? `-${key}` : key) }, title) : html('span', {}, title));
}

function inOrder(items, columns, sorted) {
  const column = columns.find(({ key }) => key === sorted.replace(/^-/, ''));
  if (!column?.compare) return items;
  const direction = sorted.startsWith('-') ? -1 : 1;
  return [...items].sort((a, b) => direction * column.compare(a, b));
}

function groupBody(title, width) {
  return html('tbody', { role: 'rowgroup' }, title === null ? null
    : html('tr', { role: 'row', class: 'group' }, html('th', { role: 'rowheader', scope: 'rowgroup', colspan: width }, title)));
}

/** A row; the one that was drawn before is used again, unless another group has it. */
function tableRow(columns, item, rows) {
  const known = rows.get(item);
  if (known && !known.isConnected) return known;
  const row = html('tr', { role: 'row', class: 'item', 'data-verdict': item.verdict, click: open },
    columns.map(({ title, number, kind, cell }, i) => html(i ? 'td' : 'th', {
      role: i ? 'cell' : 'rowheader', scope: i ? null : 'row', class: [number && 'number', kind].filter(Boolean).join(' ') || null, 'data-label': title,
    }, cell(item))));
  rows.set(item, row);
  return row;
}

/** A click anywhere in a row follows its first link. */
function open(event) {
  if (!event.target.closest('a, button')) event.currentTarget.querySelector('a')?.click();
}

/** Compares by numbers, the largest first; those that are not known come last. */
export function largestFirst(of) {
  return (a, b) => (of(b) ?? -Infinity) - (of(a) ?? -Infinity) || 0;
}
