/** Draws a load test's report: tables, and charts over time as SVG. Runs in the page that holds the numbers. */
(() => {
  const report = JSON.parse(document.getElementById('report').textContent);
  const { series } = report;
  const LANES = { order: 'orders', partner: 'partners', zone: 'zones', slow: 'slow readers' };
  const SIZE = { width: 560, height: 250, left: 56, right: 12, top: 12, bottom: 40 };
  const MIB = 2 ** 20;
  const seconds = series.second;

  /** An element with attributes and children; SVG inside of svg. */
  function make(name, attributes = {}, ...children) {
    const svg = ['svg', 'g', 'line', 'rect', 'polyline', 'circle', 'text'].includes(name);
    const element = svg
      ? document.createElementNS('http://www.w3.org/2000/svg', name)
      : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
    element.append(...children);
    return element;
  }

  const round = (value, digits = 3) =>
    value === null || value === undefined
      ? '–'
      : Number(value.toPrecision(digits)).toLocaleString('en', { maximumFractionDigits: 3 });
  /** As short as a label of an axis must be: 500, 1.5K, 2M. */
  const short = (value) => value.toLocaleString('en', { notation: 'compact', maximumSignificantDigits: 3 });
  const whole = (value) => (value ?? 0).toLocaleString('en');

  // ---- charts -----------------------------------------------------------------------------------------------

  /** Steps of 1, 2 or 5 that give about five ticks up to at least `max`. */
  function ticks(max) {
    const rough = Math.max(max, 1e-9) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
    return Array.from({ length: Math.ceil(max / step - 1e-9) + 1 }, (_, i) => i * step);
  }

  /** The series there are; a rare one only if it ever was above 0. */
  function curvesOf(chart) {
    return chart.curves
      .filter(({ key, rare }) => series[key]?.some((value) => value !== null && (value > 0 || !rare)))
      .map((curve) => ({
        ...curve,
        values: series[curve.key].map((v) => (v === null ? null : v / (chart.per ?? 1))),
      }));
  }

  function draw(chart) {
    const curves = curvesOf(chart);
    if (curves.length === 0) return;
    const { width, height, left, right, top, bottom } = SIZE;
    const max = Math.max(chart.least ?? 0, ...curves.flatMap(({ values }) => values.map((v) => v ?? 0)));
    const up = ticks(max);
    const high = up[up.length - 1] || 1;
    const from = Math.min(...seconds, 0);
    const to = Math.max(...seconds, 1);
    const x = (second) => left + ((second - from) / (to - from)) * (width - left - right);
    const y = (value) => height - bottom - (value / high) * (height - top - bottom);
    const svg = make('svg', {
      viewBox: `0 0 ${width} ${height}`,
      role: 'img',
      'aria-label': `${chart.title}, ${chart.unit}`,
    });
    const rampEnd = x(Math.min(to, report.rampSeconds));
    if (report.rampSeconds > 0)
      svg.append(
        make('rect', {
          class: 'ramp',
          x: left,
          y: top,
          width: rampEnd - left,
          height: height - top - bottom,
        }),
      );
    for (const value of up) {
      svg.append(make('line', { class: 'grid', x1: left, x2: width - right, y1: y(value), y2: y(value) }));
      svg.append(
        make('text', { class: 'y', x: left - 6, y: y(value) + 4, 'text-anchor': 'end' }, short(value)),
      );
    }
    for (const value of ticks(to).filter((second) => second >= from && second <= to))
      svg.append(
        make(
          'text',
          { class: 'x', x: x(value), y: height - bottom + 16, 'text-anchor': 'middle' },
          round(value),
        ),
      );
    const axis = (text, more) => make('text', { class: 'axis', 'text-anchor': 'middle', ...more }, text);
    svg.append(axis('seconds', { x: (left + width - right) / 2, y: height - 6 }));
    svg.append(axis(chart.unit, { transform: `translate(12 ${(top + height - bottom) / 2}) rotate(-90)` }));
    for (const curve of curves) svg.append(...lines(curve, x, y));
    const legend = make('ul', { class: 'legend' });
    const article = make('article', {}, make('h2', {}, chart.title), svg, legend);
    if (chart.note) article.append(make('p', { class: 'note' }, chart.note));
    const show = (index) => legend.replaceChildren(...curves.map((curve) => entry(curve, index)));
    show(undefined);
    follow(svg, x, show);
    document.getElementById('charts').append(article);
  }

  const stroke = ({ color, dashed }) => ({
    stroke: `var(--c${color})`,
    ...(dashed ? { 'stroke-dasharray': '5 4' } : {}),
  });

  /** A curve breaks where there was nothing to measure; a value alone is a dot. */
  function lines(curve, x, y) {
    const runs = [[]];
    for (const [i, value] of curve.values.entries()) {
      if (value === null) runs.push([]);
      else runs[runs.length - 1].push([x(seconds[i]), y(value)]);
    }
    return runs
      .filter((run) => run.length > 0)
      .map((run) =>
        run.length === 1
          ? make('circle', {
              class: 'dot',
              cx: run[0][0],
              cy: run[0][1],
              r: 2,
              fill: `var(--c${curve.color})`,
            })
          : make('polyline', {
              class: 'curve',
              points: run.map((at) => at.map((n) => n.toFixed(1)).join()).join(' '),
              ...stroke(curve),
            }),
      );
  }

  function entry(curve, index) {
    const sign = make(
      'svg',
      { viewBox: '0 0 22 8', 'aria-hidden': 'true' },
      make('line', { x1: 0, x2: 22, y1: 4, y2: 4, 'stroke-width': 3, ...stroke(curve) }),
    );
    const item = make('li', {}, sign);
    if (index !== undefined) item.append(make('b', {}, round(curve.values[index])));
    item.append(curve.label);
    return item;
  }

  /** A line under the pointer, and the values there in the legend. */
  function follow(svg, x, show) {
    const line = make('line', {
      class: 'cursor',
      y1: SIZE.top,
      y2: SIZE.height - SIZE.bottom,
      visibility: 'hidden',
    });
    svg.append(line);
    svg.addEventListener('pointermove', (event) => {
      const box = svg.getBoundingClientRect();
      const px = ((event.clientX - box.left) / box.width) * SIZE.width;
      let nearest = 0;
      for (const [i, second] of seconds.entries())
        if (Math.abs(x(second) - px) < Math.abs(x(seconds[nearest]) - px)) nearest = i;
      for (const end of ['x1', 'x2']) line.setAttribute(end, String(x(seconds[nearest])));
      line.setAttribute('visibility', 'visible');
      show(nearest);
    });
    svg.addEventListener('pointerleave', () => {
      line.setAttribute('visibility', 'hidden');
      show(undefined);
    });
  }

  const lanes = Object.keys(LANES).filter((lane) => report.lanes[lane]);
  const perLane = (what, label, more = {}) =>
    lanes.map((lane) => ({
      key: `${lane}.${what}`,
      label: `${LANES[lane]}${label}`,
      color: Object.keys(LANES).indexOf(lane),
      ...more,
    }));
  const named = (prefix) =>
    Object.keys(series)
      .filter((key) => key.startsWith(`${prefix}.`))
      .map((key, i) => ({ key, label: key.slice(prefix.length + 1), color: i % 6, dashed: i > 5 }));

  // biome-ignore format: a table
  const charts = [
    { title: 'Age of the positions shown', unit: 'ms', curves: [...perLane('ageP50', ' p50'), ...perLane('ageP99', ' p99', { dashed: true })], note: 'Since the ping on the map was due, looked at once a second for every watcher and rider.' },
    { title: 'Ping to watcher', unit: 'ms', curves: [...perLane('latencyP50', ' p50'), ...perLane('latencyP99', ' p99', { dashed: true })], note: 'From when the ping was due, sent or not, to when the frame with it came.' },
    { title: 'Positions shown', unit: 'per second', curves: perLane('shown', '') },
    { title: 'Pings', unit: 'per second', curves: [{ key: 'sent', label: 'sent', color: 0 }, { key: 'acknowledged', label: 'acknowledged', color: 2, dashed: true }, { key: 'resent', label: 'sent again', color: 1 }], note: 'A gateway acknowledges once a second.' },
    { title: 'Lost, gone back, shown twice', unit: 'per second', least: 5, curves: [...perLane('lost', ' lost'), ...perLane('regressions', ' gone back', { dashed: true, rare: true }), ...perLane('duplicates', ' twice', { dashed: true, rare: true })] },
    { title: 'Payload to watchers', unit: 'kB per second', per: 1000, curves: perLane('bytes', '') },
    { title: 'Sockets', unit: 'open', curves: [{ key: 'open', label: 'open', color: 0 }] },
    { title: 'Connects and closes', unit: 'per second', least: 5, curves: [{ key: 'connects', label: 'connects', color: 0 }, { key: 'reconnects', label: 'of them again', color: 2 }, { key: 'closes', label: 'closed by others', color: 1 }, { key: 'failed', label: 'failed dials', color: 3 }] },
    { title: 'CPU of gateways and Redis', unit: 'cores', least: 0.1, curves: [...named('cpu'), { key: 'machine', label: 'whole machine, share', color: 5, dashed: true }] },
    { title: 'Memory of gateways and Redis', unit: 'MiB', per: MIB, curves: named('rss') },
    { title: 'CPU of the generator', unit: 'cores', least: 1, curves: named('generatorCpu'), note: 'Above 0.9 a process is the limit itself.' },
    { title: 'Event loop of the generator, late by at most', unit: 'ms', least: 20, curves: named('generatorLag'), note: 'The generator is the limit in a second in which it was late by more than 20 ms for a hundredth of the time.' },
  ];

  // ---- tables -----------------------------------------------------------------------------------------------

  function table(title, head, rows) {
    const cells = (row, tag) =>
      row.map((cell) => (cell instanceof Node ? cell : make(tag, {}, String(cell))));
    const body = rows.map((row) => make('tr', {}, ...cells(row, 'td')));
    document
      .getElementById('tables')
      .append(
        make(
          'article',
          {},
          make('h2', {}, title),
          make(
            'table',
            {},
            make('thead', {}, make('tr', {}, ...cells(head, 'th'))),
            make('tbody', {}, ...body),
          ),
        ),
      );
  }

  const must0 = (value) => make('td', value > 0 ? { class: 'bad' } : {}, whole(value));
  const times = (found) => ['p50', 'p90', 'p99', 'max'].map((name) => round(found?.[name]));

  function tables() {
    // biome-ignore format: a table
    table(
      'What watchers were shown', ['', 'positions', 'lost', 'gone back', 'twice', 'never seen', 'overtaken', 'frames', 'bytes a position'],
      lanes.map((lane) => {
        const { shown, lost, regressions, duplicates, blind, overtaken, frames, bytesPerPosition } = report.lanes[lane];
        return [LANES[lane], whole(shown), must0(lost), must0(regressions), must0(duplicates), must0(blind), whole(overtaken), whole(frames), round(bytesPerPosition)];
      }),
    );
    // biome-ignore format: a table
    table(
      'How late, ms', ['', 'p50', 'p90', 'p99', 'max'],
      lanes.flatMap((lane) => [
        [`${LANES[lane]}: ping to watcher`, ...times(report.lanes[lane].latencyMs)],
        [`${LANES[lane]}: age of what is shown`, ...times(report.lanes[lane].ageMs)],
      ]),
    );
    const { pings, sockets } = report;
    // biome-ignore format: a table
    table(
      'Pings and sockets', ['', 'count', 'p50', 'p90', 'p99', 'max ms'],
      [
        ['pings sent, and how late', whole(pings.sent), ...times(pings.lateMs)],
        ['acknowledged', whole(pings.acknowledged), '', '', '', ''],
        ...Object.entries(pings.refused).map(([reason, count]) => [`refused: ${reason}`, must0(count), '', '', '', '']),
        ['connects, and how long', whole(sockets.connects), ...times(sockets.connectMs)],
        ['of them again', whole(sockets.reconnects), '', '', '', ''],
        ...Object.entries(sockets.closes).map(([code, count]) => [`closed with ${code}`, whole(count), '', '', '', '']),
      ],
    );
    const used = Object.entries(report.processes);
    const rows = used.map(([name, { cpuSeconds, rssMaxBytes }]) => [
      name,
      round(cpuSeconds),
      rssMaxBytes === null ? '–' : round(rssMaxBytes / MIB),
    ]);
    const crews = report.generator.crews.map(({ name, cpu, seconds }) => [
      `generator: ${name}`,
      round(cpu * seconds),
      '',
    ]);
    table('Processes', ['', 'CPU-seconds', 'memory, MiB'], [...rows, ...crews]);
  }

  function about() {
    const wanted = Object.entries(report.sockets.wanted).map(([role, count]) => `${whole(count)} ${role}`);
    const { cores, node, platform } = report.machine;
    document.getElementById('about').textContent =
      `${new Date(report.at).toLocaleString()} · ${wanted.join(', ')} · ${report.measuredSeconds} s after a ramp of ${report.rampSeconds} s (shaded) · ${cores} cores, Node ${node}, ${platform}`;
    document.getElementById('options').textContent = JSON.stringify(report.options, null, 2);
    const { saturated, machineFull } = report.generator;
    const warnings = report.shortfalls.length > 0 ? [`Not well: ${report.shortfalls.join(', ')}.`] : [];
    if (saturated)
      warnings.push('The generator was the limit: the gateway may be better than these numbers.');
    if (machineFull)
      warnings.push('All cores of the machine were busy: generator and gateway took them from each other.');
    const warning = document.getElementById('warning');
    warning.textContent = warnings.join(' ');
    warning.hidden = warnings.length === 0;
  }

  about();
  tables();
  for (const chart of charts) draw(chart);
})();
