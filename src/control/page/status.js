// The status page: asks the relay every two seconds in one batch, and draws what it says. Nothing of it is written as HTML.

const PERIOD_MS = 2000;
/** Five minutes; the first of them is as wide as the chart. */
const KEPT = 150;
const LEAST = 30;
const ROWS = 50;

const by = (id) => document.getElementById(id);
const history = [];
let token = sessionStorage.getItem('token') ?? '';
let paused = false;
let before;
let first;
let timer;

by('login').addEventListener('submit', (event) => {
  event.preventDefault();
  token = by('token').value.trim();
  sessionStorage.setItem('token', token);
  void refresh();
});
by('pause').addEventListener('click', () => {
  paused = !paused;
  by('pause').setAttribute('aria-pressed', String(paused));
  by('pause').textContent = paused ? 'Go on' : 'Pause';
  if (!paused) void refresh();
});
by('trace').addEventListener('click', async () => {
  const on = by('trace').getAttribute('aria-pressed') !== 'true';
  const [answer] = await call([['msrp_trace', [on ? 'on' : 'off']]]);
  if (answer.error) say('ready', `tracing: ${answer.error.data ?? answer.error.message}`);
  else void refresh();
});
void refresh();

async function refresh() {
  clearTimeout(timer);
  if (paused) return;
  try {
    const answers = await call([
      ['engine'],
      ['version'],
      ['get_statistics'],
      ['list_sessions', { limit: ROWS }],
      ['list_connections', { limit: ROWS }],
      ['tls_list'],
      ['msrp_trace'],
    ]);
    const [engine, version, stats, sessions, connections, tls, trace] = answers.map(({ result }) => result);
    draw({ engine, version, stats, sessions, connections, tls, trace });
    by('main').hidden = false;
    by('login').hidden = true;
    const ready = await fetch('/readyz');
    say(ready.ok ? 'ready' : 'draining', ready.ok ? 'ready' : 'draining');
  } catch (error) {
    if (error instanceof TokenError) askForToken();
    else say('away', 'the relay does not answer');
  }
  timer = setTimeout(refresh, PERIOD_MS);
}

class TokenError extends Error {}

async function call(calls) {
  const batch = calls.map(([method, params], id) => ({ jsonrpc: '2.0', method, params, id }));
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
  const response = await fetch('/rpc', { method: 'POST', headers, body: JSON.stringify(batch) });
  if (response.status === 401) throw new TokenError();
  if (!response.ok) throw new Error(String(response.status));
  return response.json();
}

function askForToken() {
  const isFirst = by('login').hidden;
  by('main').hidden = true;
  by('login').hidden = false;
  by('login-problem').textContent = token ? 'This token is not the right one.' : '';
  if (isFirst) by('token').focus();
  say('waiting', 'locked');
}

function say(state, text) {
  const pill = by('state');
  if (pill.textContent === text && pill.dataset.state === state) return;
  pill.dataset.state = state;
  pill.textContent = text;
}

function draw({ engine, version, stats, sessions, connections, tls, trace }) {
  const now = performance.now();
  first ??= stats;
  by('version').textContent = version.version;
  by('engine').textContent = `engine ${engine.kind}, framer ${engine.framer}`;
  by('engine').title = engine.reason;
  const on = trace['MSRP tracing'] === 'on';
  by('trace').disabled = false;
  by('trace').setAttribute('aria-pressed', String(on));
  by('trace').textContent = on ? 'Tracing on' : 'Tracing off';

  const seconds = before ? (now - before.at) / 1000 : 0;
  const rate = (value) => (before ? Math.max(0, (value(stats) - value(before.stats)) / seconds) : 0);
  const sent = (of) => of.frames_in.SEND;
  const messages = rate(sent);
  if (before) {
    history.push({ in: rate((of) => of.bytes_in), out: rate((of) => of.bytes_out) });
    if (history.length > KEPT) history.shift();
  }
  tile('connections', count(stats.connections), `${count(stats.accepted)} accepted, ${count(stats.dialled)} made`);
  tile('sessions', count(stats.sessions), `${count(stats.transactions)} open transactions`);
  tile('frames', `${count(messages)}/s`, `${count(sent(stats))} since the start`);
  tile('queued', bytes(stats.queued_bytes), `${count(stats.pauses)} pauses`);
  drawLatency(stats);
  const failed = total(stats.reports) + stats.timeouts + total(stats.rejects);
  tile('failures', count(failed), `${count(stats.timeouts)} timeouts`);
  before = { at: now, stats };
  drawThroughput();
  rows('session-rows', sessions, 6, (session) => [
    session.id,
    `${session.user}@${session.realm}`,
    session.client,
    [`${count(session.frames.in)} / ${count(session.frames.out)}`],
    [`${bytes(session.bytes.in)} / ${bytes(session.bytes.out)}`],
    [duration(session.expires_in)],
  ]);
  rows('connection-rows', connections, 7, (connection) => [
    connection.remote,
    connection.listener ?? 'next hop',
    connection.tls ? `${connection.transport}, ${connection.tls.protocol}` : connection.transport,
    connection.paused ? `${connection.state}, paused` : connection.state,
    [count(connection.sessions)],
    [bytes(connection.queued_bytes)],
    [duration(connection.age)],
  ]);
  rows('tls-rows', tls, 4, (domain) => {
    const end = Date.parse(domain.not_after);
    const days = Math.floor((end - Date.now()) / 86_400_000);
    return [
      domain.name,
      domain.subject,
      Number.isNaN(end) ? '–' : new Date(end).toLocaleDateString(),
      [days, days < 14],
    ];
  });
}

function tile(name, value, note) {
  by(name).textContent = value;
  by(`${name}-note`).textContent = note;
}

function drawLatency(stats) {
  const bounds = stats.latency_bounds_ms;
  const counts = stats.latency.counts.map((value, i) => value - first.latency.counts[i]);
  // Nothing yet since the page was opened: what there was before says more than an empty frame.
  const shown = total(counts) > 0 ? counts : stats.latency.counts;
  const all = total(shown);
  const quantile = (part) => {
    let sum = 0;
    const at = shown.findIndex((value) => (sum += value) >= all * part);
    return all === 0 ? '–' : at < bounds.length ? `≤ ${time(bounds[at])}` : `> ${time(bounds.at(-1))}`;
  };
  tile('latency', quantile(0.5), `99 %: ${quantile(0.99)}`);
  const most = Math.max(1, ...shown);
  by('histogram').replaceChildren(
    ...shown.map((value, i) => {
      const column = document.createElement('div');
      const bar = document.createElement('i');
      bar.style.height = `${(value / most) * 85}%`;
      const label = document.createElement('span');
      label.textContent = i < bounds.length ? time(bounds[i]).replace(' ms', '').replace(' ', '') : '∞';
      column.title = `${i < bounds.length ? 'at most' : 'more than'} ${time(bounds[i] ?? bounds.at(-1))}: ${count(value)}`;
      column.append(bar, label);
      return column;
    }),
  );
  const text = `${count(all)} answered; half in ${quantile(0.5)}, 99 % in ${quantile(0.99)}`;
  by('histogram-note').textContent = text;
  by('histogram').setAttribute('aria-label', `Latency: ${text}`);
}

function drawThroughput() {
  const svg = by('throughput');
  const most = Math.max(1024, ...history.map((point) => Math.max(point.in, point.out)));
  const line = (name) =>
    history
      .map(
        (point, i) =>
          `${i === 0 ? 'M' : 'L'}${600 - (history.length - 1 - i) * (600 / (Math.max(LEAST, history.length) - 1))} ${156 - (point[name] / most) * 150}`,
      )
      .join('');
  const grid = [6, 56, 106, 156].map((y) => element('line', { x1: 0, x2: 600, y1: y, y2: y, class: 'grid' }));
  svg.replaceChildren(
    ...grid,
    element('path', { d: line('in'), class: 'in' }),
    element('path', { d: line('out'), class: 'out' }),
  );
  const last = history.at(-1) ?? { in: 0, out: 0 };
  const text = `now ${bytes(last.in)}/s in, ${bytes(last.out)}/s out; the top is ${bytes(most)}/s`;
  by('throughput-note').textContent = text;
  svg.setAttribute('aria-label', `Throughput: ${text}`);
}

function element(name, attributes) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  return node;
}

/** Cells: texts, or a number's text in a list, with whether it calls for attention. */
function rows(id, entries, columns, cellsOf) {
  const lines = entries.map((entry) => {
    const line = document.createElement('tr');
    for (const cell of cellsOf(entry)) {
      const field = document.createElement('td');
      field.textContent = String(Array.isArray(cell) ? cell[0] : (cell ?? '–'));
      if (Array.isArray(cell)) field.classList.add('number');
      if (cell?.[1] === true) field.classList.add('soon');
      line.append(field);
    }
    return line;
  });
  if (lines.length === 0) {
    const line = document.createElement('tr');
    const field = document.createElement('td');
    field.colSpan = columns;
    field.className = 'none';
    field.textContent = 'none';
    line.append(field);
    lines.push(line);
  }
  by(id).replaceChildren(...lines);
}

function total(counts) {
  return Object.values(counts).reduce((sum, value) => sum + value, 0);
}

function count(value) {
  return value >= 1e5
    ? Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 }).format(value)
    : Math.round(value).toLocaleString('en');
}

function bytes(value) {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let size = value;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

function time(ms) {
  return ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`;
}

function duration(seconds) {
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
