'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const SVG = 'http://www.w3.org/2000/svg';
const LATE_SECONDS = 30;
const LEFT = 62, RIGHT = 14, GAP = 34, AXIS = 40;
const OUTCOMES = [
  ['late_percent', 'late %', 2], ['violated_percent', 'viol %', 2], ['replica_hours', 'replica-h', 1],
  ['actions_per_day', 'actions/day', 1], ['flaps_per_day', 'flaps/day', 1], ['moves_per_day', 'moves/day', 0],
];
const TOTALS = [
  ['mean_late_percent', 'mean late %', 2], ['worst_late_percent', 'worst cell: late %', 2], ['replica_hours', 'replica-h', 1],
  ['worst_actions_per_day', 'worst actions/day', 1], ['worst_flaps_per_day', 'worst flaps/day', 1],
];
const CHARTS = [
  { name: 'arrivals (messages/s)', height: 96 },
  { name: 'replicas', height: 150, of: 'replicas' },
  { name: 'age of the oldest message (s)', height: 140, of: 'age_seconds', steep: true },
  { name: 'backlog (messages)', height: 140, of: 'backlog', steep: true },
];

function put(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  for (const child of children || []) node.append(child);
  return node;
}
const el = (tag, attributes, ...children) => put(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => put(document.createElementNS(SVG, tag), attributes, children);
const colour = (policy) => `c${data.policies.indexOf(policy) % 10}`;
const isOwn = (policy) => policy.split(':')[0] === 'streamgauge';
/* What is drawn later lies on top. */
const rank = (policy) => isOwn(policy) + (policy === 'streamgauge');
const key = (policy) => el('span', { class: `key ${colour(policy)}` });

function figures(entries, columns, value) {
  const head = el('tr', {}, el('th', { scope: 'col' }, 'policy'), ...columns.map((c) => el('th', { scope: 'col' }, c[1])));
  const rivals = entries.filter((entry) => entry.policy !== 'clairvoyant');
  const rows = entries.map((entry) => {
    const cells = columns.map(([field, , digits]) => {
      const text = (e) => value(e)[field].toFixed(digits);
      const least = Math.min(...rivals.map((e) => Number(text(e))));
      const best = rivals.length > 1 && entry.policy !== 'clairvoyant' && Number(text(entry)) === least;
      const cell = el('td', best ? { class: 'best' } : {}, text(entry));
      if (data.report.seeds > 1 && entry.worst) cell.title = `worst of ${data.report.seeds} seeds: ${entry.worst[field].toFixed(digits)}`;
      return cell;
    });
    return el('tr', {}, el('td', {}, key(entry.policy), entry.policy), ...cells);
  });
  return el('div', { class: 'scroll' }, el('table', {}, el('thead', {}, head), el('tbody', {}, ...rows)));
}

/* Numbers */
const short = (n) => (n >= 1e6 ? `${+(n / 1e6).toPrecision(3)}M` : n >= 1e4 ? `${+(n / 1e3).toPrecision(3)}k` : `${+n.toPrecision(4)}`);
function clock(tick, drawing) {
  const seconds = Math.round(tick * drawing.tick_seconds);
  const two = (n) => String(n).padStart(2, '0');
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}
function steps(top, count) {
  const rough = top / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const all = [];
  for (let n = 0; n <= top * 1.0001; n += step) all.push(+n.toPrecision(6));
  return all;
}
/* The value from the newest point at or before the tick. */
function valueAt(series, tick) {
  let low = 0, high = series.at.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (series.at[middle] <= tick) low = middle + 1; else high = middle;
  }
  return low ? series.value[low - 1] : 0;
}
function stepLine(series, end, x, y) {
  let path = '';
  series.at.forEach((tick, n) => {
    const to = y(series.value[n]).toFixed(1);
    path += n ? `H${x(tick).toFixed(1)}V${to}` : `M${x(0).toFixed(1)} ${to}`;
  });
  return `${path}H${x(end).toFixed(1)}`;
}

/* One cell: charts one below the other on one time axis. */
function plots(drawing, entries) {
  const names = entries.map((entry) => entry.policy);
  const courses = new Map(names.map((name) => [name, drawing.courses[data.policies.indexOf(name)]]));
  /* Many lines cover each other: of more than six policies the most telling are shown first. */
  const chosen = (data.report.summary.keda_lag_in_hindsight || {}).chosen;
  const telling = (name) => isOwn(name) || [chosen, 'flink', 'clairvoyant'].includes(name);
  const hidden = new Set(names.length > 6 ? names.filter((name) => !telling(name)) : []);
  let steep = true, width = 0, at = null, cross = null, x = null;
  const box = el('div', { class: 'plots', tabindex: '0', role: 'application',
    'aria-label': `${title(drawing.cell)}: arrivals, replicas, age and backlog over time; arrow keys move the time, Escape ends` });
  const readout = el('div', { class: 'readout', hidden: '', 'aria-live': 'polite' });

  function ceiling(chart) {
    const lines = chart.of ? names.filter((name) => !hidden.has(name)).map((name) => courses.get(name)[chart.of]) : [drawing.arrivals_per_second];
    const top = lines.reduce((most, series) => series.value.reduce((a, b) => Math.max(a, b), most), 1);
    return chart.of === 'age_seconds' ? Math.max(top, LATE_SECONDS * 1.5) : top;
  }
  function scale(chart, bottom) {
    const top = ceiling(chart);
    if (!(chart.steep && steep)) {
      const marks = steps(top, 4), most = Math.max(top, marks[marks.length - 1]);
      return { marks, y: (v) => bottom - (v / most) * chart.height };
    }
    const y = (v) => bottom - (Math.log1p(v) / Math.log1p(top)) * chart.height;
    const marks = [0, 1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7].filter((n) => n <= top && (n === 0 || bottom - y(n) > 13));
    return { marks, y };
  }
  /* Names of what happens, in as many rows as it takes for none to cover another. */
  function spanNames(root) {
    const ends = [];
    const placed = drawing.spans.map((span) => {
      const long = span.name.length * 6 + 10;
      const start = Math.max(LEFT, Math.min(x(span.from), width - RIGHT - long));
      let row = ends.findIndex((end) => end <= start);
      if (row < 0) row = ends.length;
      ends[row] = start + long;
      return [span, start, row];
    });
    const height = ends.length * 14;
    for (const [span, start, row] of placed) {
      const y = height - row * 14 - 2;
      root.append(svg('line', { class: 'tick', x1: x(span.from), x2: x(span.from), y1: y - 9, y2: height + GAP - 8 }),
        svg('text', { class: 'span-name', x: start + 3, y }, span.name));
    }
    return height;
  }
  function draw() {
    width = box.clientWidth;
    x = (tick) => LEFT + (tick / drawing.ticks) * (width - LEFT - RIGHT);
    const root = svg('svg', { role: 'img', 'aria-hidden': 'true' });
    let y0 = spanNames(root);
    const first = y0 + GAP;
    const height = CHARTS.reduce((sum, chart) => sum + chart.height + GAP, y0) + AXIS;
    put(root, { viewBox: `0 0 ${width} ${height}`, height });
    for (const span of drawing.spans) {
      root.append(svg('rect', { class: 'span', x: x(span.from), y: first - 8, width: Math.max(2, x(span.to) - x(span.from)), height: height - AXIS - first + 8 }));
    }
    for (const chart of CHARTS) {
      const bottom = y0 + GAP + chart.height, { marks, y } = scale(chart, bottom);
      root.append(svg('text', { class: 'title', x: LEFT, y: y0 + GAP - 12 }, chart.name));
      for (const mark of marks) {
        root.append(svg('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: y(mark), y2: y(mark) }),
          svg('text', { x: LEFT - 8, y: y(mark) + 4, 'text-anchor': 'end' }, short(mark)));
      }
      if (chart.of === 'age_seconds') {
        root.append(svg('line', { class: 'late', x1: LEFT, x2: width - RIGHT, y1: y(LATE_SECONDS), y2: y(LATE_SECONDS) }),
          svg('text', { x: LEFT - 8, y: y(LATE_SECONDS) + 4, 'text-anchor': 'end' }, `late ${LATE_SECONDS}`));
      }
      if (!chart.of) {
        const line = stepLine(drawing.arrivals_per_second, drawing.ticks, x, y);
        root.append(svg('path', { class: 'load', d: `${line}V${bottom}H${LEFT}Z` }));
      }
      /* streamgauge last, on top. */
      for (const name of chart.of ? [...names].sort((a, b) => rank(a) - rank(b)) : []) {
        if (hidden.has(name)) continue;
        const kind = isOwn(name) ? 'own' : name === 'clairvoyant' ? 'bound' : '';
        root.append(svg('path', { class: `series ${kind} ${colour(name)}`, d: stepLine(courses.get(name)[chart.of], drawing.ticks, x, y) }));
      }
      y0 = bottom;
    }
    const hours = (drawing.ticks * drawing.tick_seconds) / 3600;
    for (const hour of steps(hours, width > 700 ? 12 : 6)) {
      const px = x((hour * 3600) / drawing.tick_seconds);
      root.append(svg('line', { class: 'grid', x1: px, x2: px, y1: y0, y2: y0 + 5 }),
        svg('text', { x: px, y: y0 + 18, 'text-anchor': 'middle' }, String(hour)));
    }
    root.append(svg('text', { x: (LEFT + width - RIGHT) / 2, y: y0 + 34, 'text-anchor': 'middle' }, 'time since the start (h)'));
    cross = svg('line', { class: 'cross', y1: first - 8, y2: y0 });
    root.append(cross);
    box.replaceChildren(root, readout);
    if (at !== null) show(at);
  }
  function show(tick) {
    at = Math.max(0, Math.min(drawing.ticks - 1, Math.round(tick)));
    put(cross, { x1: x(at), x2: x(at) }).style.visibility = 'visible';
    const rows = names.filter((name) => !hidden.has(name)).map((name) => {
      const course = courses.get(name), cell = (series) => el('td', {}, short(valueAt(series, at)));
      return el('tr', {}, el('td', {}, key(name), name), cell(course.replicas), cell(course.age_seconds), cell(course.backlog));
    });
    const head = el('tr', {}, ...['', 'replicas', 'age s', 'backlog'].map((text) => el('th', {}, text)));
    const parts = [el('b', {}, clock(at, drawing)), ` · ${short(valueAt(drawing.arrivals_per_second, at))} messages/s`];
    for (const span of drawing.spans) {
      if (span.from <= at && at < Math.max(span.to, span.from + 12)) parts.push(el('p', { class: 'during' }, span.name));
    }
    parts.push(el('table', {}, head, ...rows));
    for (const name of names.filter((n) => isOwn(n) && !hidden.has(n))) {
      const last = courses.get(name).changes.filter((change) => change.tick <= at).pop();
      if (last) parts.push(el('p', {}, key(name), `${clock(last.tick, drawing)} ${last.from} → ${last.to}: ${last.text}`));
    }
    readout.replaceChildren(...parts);
    readout.hidden = false;
    const left = x(at) + 14, over = left + readout.offsetWidth > width;
    readout.style.left = `${over ? Math.max(0, x(at) - 14 - readout.offsetWidth) : left}px`;
  }
  function hide() {
    at = null;
    readout.hidden = true;
    cross.style.visibility = 'hidden';
  }
  box.addEventListener('pointermove', (event) => {
    const px = event.clientX - box.getBoundingClientRect().left;
    if (px >= LEFT - 4) show(((px - LEFT) / (width - LEFT - RIGHT)) * drawing.ticks);
  });
  box.addEventListener('pointerleave', hide);
  box.addEventListener('blur', () => cross && hide());
  box.addEventListener('keydown', (event) => {
    const pixel = drawing.ticks / (width - LEFT - RIGHT), far = event.shiftKey ? 25 : 2;
    const now = at === null ? 0 : at;
    const to = { ArrowLeft: now - far * pixel, ArrowRight: now + far * pixel, Home: 0, End: drawing.ticks - 1 }[event.key];
    if (event.key === 'Escape') hide();
    if (to === undefined) return;
    event.preventDefault();
    show(to);
  });
  const legend = el('div', { class: 'legend', role: 'group', 'aria-label': 'lines shown' });
  for (const name of names) {
    const button = el('button', { type: 'button', 'aria-pressed': String(!hidden.has(name)) }, key(name), name);
    button.addEventListener('click', () => {
      if (!hidden.delete(name)) hidden.add(name);
      button.setAttribute('aria-pressed', String(!hidden.has(name)));
      draw();
    });
    legend.append(button);
  }
  const toggle = el('button', { type: 'button', class: 'scale', 'aria-pressed': 'true' }, 'age and backlog: logarithmic');
  toggle.addEventListener('click', () => {
    steep = !steep;
    toggle.setAttribute('aria-pressed', String(steep));
    toggle.textContent = `age and backlog: ${steep ? 'logarithmic' : 'linear'}`;
    draw();
  });
  legend.append(toggle);
  const lists = names.filter((name) => courses.get(name).changes.length).map((name) => decisions(name, courses.get(name).changes, drawing, (tick) => {
    box.focus({ preventScroll: true });
    box.scrollIntoView({ block: 'nearest' });
    show(tick);
  }));
  /* Drawn when it comes near the window, and anew when its width changes. */
  box.style.minHeight = '560px';
  let seen = false;
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    seen = true;
    box.style.minHeight = '';
    draw();
  }, { rootMargin: '600px' }).observe(box);
  new ResizeObserver(() => { if (seen && box.clientWidth !== width) draw(); }).observe(box);
  return [legend, box, el('p', { class: 'hint' }, 'Point at a time, or focus the drawing and use ← → (Shift: faster), Home, End, Escape.'), ...lists];
}

function decisions(name, changes, drawing, go) {
  const rows = changes.map((change) => {
    const row = el('tr', { 'data-tick': change.tick }, el('td', {}, el('button', { type: 'button' }, clock(change.tick, drawing))),
      el('td', {}, `${change.from} → ${change.to}`), el('td', {}, change.text));
    row.addEventListener('click', () => go(change.tick));
    return row;
  });
  const head = el('tr', {}, ...['time', 'replicas', 'why'].map((text, n) => el('th', n === 2 ? { class: 'why' } : {}, text)));
  return el('details', {}, el('summary', {}, `${changes.length} changes by ${name}, with reasons`),
    el('div', { class: 'scroll decisions' }, el('table', {}, el('thead', {}, head), el('tbody', {}, ...rows))));
}

const cells = data.report.cells;
const conditions = (cell) => `commits ${cell.commits}, ${cell.capacity_per_second}/s per replica, start-up ${cell.start_up_seconds} s, ${cell.assignment}`;
const once = (cell) => cells.filter((other) => other.workload === cell.workload).length === 1;
const title = (n) => (once(cells[n]) ? cells[n].workload : `${cells[n].workload}: ${conditions(cells[n])}`);

function cellSection(cell, n) {
  const drawing = data.drawings.find((d) => d.cell === n);
  const about = [cell.about, `${cell.partitions} partitions, ${cell.hours} h; ${conditions(cell)}`].filter(Boolean).join('. ');
  return el('section', { id: `cell-${n}` }, el('h2', {}, cell.workload), el('p', { class: 'about' }, `${about}.`),
    figures(cell.policies, OUTCOMES, (entry) => entry.mean), ...(drawing ? plots(drawing, cell.policies) : []));
}

const main = document.getElementById('main');
const seeds = data.report.seeds;
document.getElementById('what').textContent =
  `${cells.length} cell${cells.length > 1 ? 's' : ''}, ${seeds} seed${seeds > 1 ? 's' : ''}, ${cells[0].policies.length} policies.` +
  (data.drawings.length < cells.length ? ` Drawn: ${data.drawings.length} of the cells; ask for fewer to have others drawn.` : '');
main.replaceChildren();
if (cells.length > 1) {
  main.append(el('section', {}, el('h2', {}, 'All cells'), figures(data.report.summary.totals, TOTALS, (total) => total)));
}
if (data.sentences.length) main.append(el('ul', { class: 'sentences' }, ...data.sentences.map((text) => el('li', {}, text))));
if (cells.length > 1) {
  /* A link to the first cell of each workload. */
  const first = cells.map((cell, n) => [cell.workload, n]).filter(([name, n]) => cells.findIndex((c) => c.workload === name) === n);
  main.append(el('nav', { 'aria-label': 'workloads' }, ...first.map(([name, n]) => el('a', { href: `#cell-${n}` }, name))));
}
main.append(...cells.map(cellSection));
