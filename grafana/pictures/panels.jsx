/**
 * A dashboard as Grafana's dark theme shows it: title bar, grid, rows, and the mark that everything is drawn.
 * `/shot.json` has the input: {dashboard, answers by panel id, since, until}, times in seconds.
 */
import { createTheme, ThemeContext } from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import { GlobalStyles, Icon, PanelChrome } from '@grafana/ui';
import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';

import { Bars, Lines, Stat, timeRange } from './charts.jsx';
import { frames } from './frames.js';
import { Heatmap } from './heatmap.jsx';
import { devDependencies } from './package.json';

// Grafana's own: 24 columns, cells of 30 px, 8 px between them.
const [CELL, GAP, COLUMNS, EDGE, BAR] = [30, 8, 24, 16, 56];
const CHARTS = { timeseries: Lines, stat: Stat, bargauge: Bars, heatmap: Heatmap };
// Their plot is drawn once the legend has been measured; the others are drawn at once.
const LATE = new Set(['timeseries', 'heatmap']);
const theme = createTheme({ colors: { mode: 'dark' } });
const grid = (cells, cell) => cells * cell + (cells - 1) * GAP;

function place({ x, y, w, h }) {
  const column = (document.body.clientWidth - 2 * EDGE - (COLUMNS - 1) * GAP) / COLUMNS;
  const [left, top] = [EDGE + x * (column + GAP), BAR + y * (CELL + GAP)];
  return { left, top, width: grid(w, column), height: grid(h, CELL) };
}

function Row({ title, box }) {
  const style = { ...theme.typography.h6, position: 'absolute', ...box, display: 'flex', alignItems: 'center', gap: 8 };
  return (
    <div style={style}>
      <Icon name="angle-down" />
      {title}
    </div>
  );
}

function Panel({ panel, answers, range, box }) {
  const { width, height } = box;
  return (
    <section style={{ position: 'absolute', ...box }}>
      <PanelChrome title={panel.title} description={panel.description} width={width} height={height}>
        {(innerWidth, innerHeight) => (
          <Content {...{ panel, answers, range }} width={innerWidth} height={innerHeight} />
        )}
      </PanelChrome>
    </section>
  );
}

function Content({ panel, answers, range, width, height }) {
  const Chart = CHARTS[panel.type];
  if (!Chart) {
    throw new Error(`${panel.title}: no way to draw a ${panel.type}`);
  }
  if (!answers.flat().length) {
    const middle = { ...theme.typography.h5, color: theme.colors.text.secondary, placeContent: 'center' };
    return <div style={{ display: 'grid', height, ...middle }}>No data</div>;
  }
  const shown = panel.type === 'heatmap' ? undefined : frames(panel, answers, theme);
  return (
    <div data-plot={LATE.has(panel.type) || undefined}>
      <Chart {...{ panel, answers, theme, range, width, height }} frames={shown} />
    </div>
  );
}

function TitleBar({ title, range }) {
  const flex = { display: 'flex', alignItems: 'center', gap: 24 };
  const style = { position: 'absolute', left: EDGE, right: EDGE, height: BAR, ...flex };
  const quiet = { color: theme.colors.text.secondary };
  const time = (moment) => moment.utc().format('YYYY-MM-DD HH:mm:ss');
  return (
    <header style={style}>
      <span style={theme.typography.h4}>{title}</span>
      <span style={{ ...quiet, flexGrow: 1 }}>
        {time(range.from)} to {time(range.to)} UTC
      </span>
      <span style={quiet}>drawn with @grafana/ui {devDependencies['@grafana/ui']}, not by a Grafana server</span>
    </header>
  );
}

function Dashboard({ dashboard, answers, since, until }) {
  const range = timeRange(since, until);
  const boxes = dashboard.panels.map(({ gridPos }) => place(gridPos));
  const bottom = Math.max(...boxes.map(({ top, height }) => top + height)) + EDGE;
  return (
    <main style={{ position: 'relative', height: bottom, background: theme.colors.background.canvas }}>
      <TitleBar title={dashboard.title} range={range} />
      {dashboard.panels.map((panel, i) =>
        panel.type === 'row' ? (
          <Row key={panel.id} title={panel.title} box={boxes[i]} />
        ) : (
          <Panel key={panel.id} panel={panel} answers={answers[panel.id]} range={range} box={boxes[i]} />
        ),
      )}
    </main>
  );
}

function Page({ children }) {
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      {children}
    </ThemeContext.Provider>
  );
}

const frame = () => new Promise(requestAnimationFrame);

// Text on a canvas keeps the font of the moment when it was drawn, so the fonts are loaded first.
async function fonts() {
  for (const weight of [400, 500]) {
    const faces = await document.fonts.load(`${weight} 12px Inter`);
    if (!faces.length) throw new Error(`Inter ${weight} is not on the page`);
  }
}

// A plot is drawn one frame after it was added.
async function settled() {
  const waiting = () => [...document.querySelectorAll('[data-plot]')].filter((plot) => !plot.querySelector('.u-wrap'));
  do await frame();
  while (waiting().length);
  await frame();
  await frame();
}

async function draw() {
  const shot = await (await fetch('/shot.json')).json();
  await initPluginTranslations('pictures');
  const root = createRoot(document.getElementById('root'));
  flushSync(() => root.render(<Page />));
  await fonts();
  flushSync(() =>
    root.render(
      <Page>
        <Dashboard {...shot} />
      </Page>,
    ),
  );
  await settled();
}

// Also after an error: draw.py has seen it on the console and need not wait.
draw().finally(() => (document.body.dataset.drawn = 'yes'));
