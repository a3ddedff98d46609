/**
 * A heatmap, for which @grafana/ui has axes but no cells: from cumulative buckets to colors,
 * after Grafana's plugin: rows of equal height, every row named by its upper bound.
 */
import { formattedValueToString, getValueFormat } from '@grafana/data';
import { AxisPlacement, ScaleDirection, ScaleOrientation } from '@grafana/schema';
import { UPlotChart, UPlotConfigBuilder } from '@grafana/ui';
import { interpolateTurbo } from 'd3-scale-chromatic';

import { interval, ms } from './frames.js';

const SCALE_PX = 26;
const TIMES_PX = 25;
const NAME_PX = 14;

export function Heatmap({ panel, answers, theme, range, width, height }) {
  const { color, cellGap, filterValues, yAxis } = panel.options;
  if (color.scheme !== 'Turbo' || color.reverse) {
    throw new Error(`${panel.title}: heatmap.jsx knows the scheme Turbo only`);
  }
  const rows = buckets(answers[0]);
  const times = answers[0][0].values.map(([time]) => ms(time));
  const palette = Array.from({ length: color.steps }, (_, i) => interpolateTurbo(i / (color.steps - 1)));
  const seen = rows.flatMap(({ counts }) => [...counts.values()]).filter((count) => count > filterValues.le);
  const [low, high] = seen.length ? [Math.min(...seen), Math.max(...seen)] : [0, 0];
  const shade = shading(palette, low, high);
  const paint = painter({ rows, shade, hidden: filterValues.le, gap: cellGap, step: interval(answers) });
  return (
    <>
      <UPlotChart
        config={axes(rows, yAxis.unit, theme, range, height - SCALE_PX, paint)}
        data={[times, times.map(() => null)]}
        width={width}
        height={height - SCALE_PX}
      />
      <Scale {...{ palette, low, high, theme }} />
    </>
  );
}

/** Return rows from the lowest up, each with its own counts by time in ms; Prometheus' buckets include all below. */
function buckets(series) {
  const sorted = [...series].sort((a, b) => bound(a) - bound(b));
  const cumulative = sorted.map(({ values }) => new Map(values.map(([time, text]) => [ms(time), Number(text)])));
  return sorted.map((one, row) => ({
    le: one.metric.le,
    counts: new Map([...cumulative[row]].map(([time, count]) => [time, count - (cumulative[row - 1]?.get(time) ?? 0)])),
  }));
}

const bound = ({ metric }) => (metric.le === '+Inf' ? Infinity : Number(metric.le));

function shading(palette, low, high) {
  const width = high - low || 1;
  return (count) => palette[Math.min(palette.length - 1, Math.floor((palette.length * (count - low)) / width))];
}

function axes(rows, unit, theme, range, height, paint) {
  const builder = new UPlotConfigBuilder('utc');
  const [up, right] = [ScaleOrientation.Vertical, ScaleOrientation.Horizontal];
  const times = () => [range.from.valueOf(), range.to.valueOf()];
  const names = ['0', ...rows.map(({ le }) => le)];
  const shown = sparse([...names.keys()], height);
  builder.addScale({ scaleKey: 'x', isTime: true, orientation: right, direction: ScaleDirection.Right, range: times });
  builder.addScale({ scaleKey: 'y', orientation: up, direction: ScaleDirection.Up, range: () => [0, rows.length] });
  builder.addAxis({ scaleKey: 'x', isTime: true, placement: AxisPlacement.Bottom, timeZone: 'utc', theme });
  builder.addAxis({
    scaleKey: 'y',
    placement: AxisPlacement.Left,
    theme,
    splits: () => shown,
    values: () => shown.map((row) => readable(names[row], unit)),
  });
  builder.addSeries({ scaleKey: 'y', theme, pathBuilder: () => null, pointsBuilder: () => undefined });
  builder.addHook('draw', paint);
  return builder;
}

// As in Grafana: every second name is dropped until the rest has room. Grafana squeezes them at 10 px, which is hard to read.
function sparse(rows, height) {
  const isTight = rows.length > 3 && (height - TIMES_PX) / rows.length < NAME_PX;
  return isTight ? sparse(rows.filter((_, i) => i % 2 === 0), height) : rows;
}

function readable(le, unit) {
  return le === '+Inf' ? le : formattedValueToString(getValueFormat(unit)(Number(le)));
}

// A sample counts the step before it, so its cell ends at its time.
function painter({ rows, shade, hidden, gap, step }) {
  return (plot) => {
    const top = (row) => plot.valToPos(row + 1, 'y', true);
    const cell = (time, row, count) => {
      const left = Math.max(plot.valToPos(time - step, 'x', true), plot.bbox.left);
      plot.ctx.fillStyle = shade(count);
      plot.ctx.fillRect(left, top(row), plot.valToPos(time, 'x', true) - left - gap, top(row - 1) - top(row) - gap);
    };
    rows.forEach(({ counts }, row) =>
      counts.forEach((count, time) => {
        if (count > hidden) cell(time, row, count);
      }),
    );
  };
}

function Scale({ palette, low, high, theme }) {
  const short = (value) => formattedValueToString(getValueFormat('short')(value));
  const text = { ...theme.typography.bodySmall, color: theme.colors.text.primary };
  const bar = { width: 300, height: 8, background: `linear-gradient(90deg, ${palette.join(', ')})` };
  return (
    <div style={{ ...text, height: SCALE_PX, display: 'flex', gap: 8, alignItems: 'center' }}>
      {short(low)}
      <div style={bar} />
      {short(high)}
    </div>
  );
}
