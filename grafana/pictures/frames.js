/**
 * From Prometheus' answers to Grafana's frames: what a Grafana server and its panel plugins would add to a panel before
 * it is drawn: names, gaps, defaults, overrides.
 */
import { applyFieldOverrides, FieldType, identityOverrideProcessor, Registry, toDataFrame } from '@grafana/data';

// The defaults live in Grafana's panel plugins (panel/timeseries/config.ts, core's standard options), not in npm.
const LINES = {
  drawStyle: 'line',
  lineInterpolation: 'linear',
  lineWidth: 1,
  lineStyle: { fill: 'solid' },
  fillOpacity: 0,
  gradientMode: 'none',
  showPoints: 'auto',
  pointSize: 5,
  spanNulls: false,
  stacking: { mode: 'none', group: 'A' },
  axisPlacement: 'auto',
  axisSoftMax: undefined,
  axisGridShow: true,
  thresholdsStyle: { mode: 'off' },
};
const THRESHOLDS = { mode: 'absolute', steps: [{ value: null, color: 'green' }, { value: 80, color: 'red' }] };
const STANDARD = ['unit', 'min', 'max', 'decimals', 'color', 'thresholds', 'displayName', 'noValue', 'mappings'];

const setting = (path, isCustom) => ({
  id: isCustom ? `custom.${path}` : path,
  path,
  isCustom,
  name: path,
  process: identityOverrideProcessor,
  shouldApply: (field) => field.type !== FieldType.time,
});

const settings = new Registry(() => [
  ...STANDARD.map((path) => setting(path, false)),
  ...Object.keys(LINES).map((path) => setting(path, true)),
]);

/** Return a panel's frames, one a series: `answers` has Prometheus' series by the position of the target. */
export function frames(panel, answers, theme) {
  const moments = steps(answers);
  const raw = panel.targets.flatMap((target, position) =>
    answers[position].map((series) => frame(target, series, moments)),
  );
  return applyFieldOverrides({
    data: raw,
    fieldConfig: { defaults: defaults(panel), overrides: panel.fieldConfig.overrides },
    fieldConfigRegistry: settings,
    replaceVariables: (text) => text,
    theme,
    timeZone: 'utc',
  });
}

/** Return the time between two samples in ms, 0 if there is only one sample. */
export function interval(answers) {
  const gaps = answers.flat().flatMap(({ values }) => values.slice(1).map(([time], i) => ms(time) - ms(values[i][0])));
  return gaps.length ? Math.min(...gaps) : 0;
}

export const ms = (seconds) => Math.round(seconds * 1000);

// Prometheus omits missing samples. Grafana's plugin puts an empty sample there, which breaks the line.
function steps(answers) {
  const times = answers.flat().flatMap(({ values }) => values.map(([time]) => ms(time)));
  const [first, last, step] = [Math.min(...times), Math.max(...times), interval(answers)];
  return Array.from({ length: step ? Math.round((last - first) / step) + 1 : 1 }, (_, i) => first + i * step);
}

function frame(target, { metric, values }, moments) {
  const samples = new Map(values.map(([time, text]) => [ms(time), finite(text)]));
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: moments },
      {
        name: 'Value',
        type: FieldType.number,
        labels: metric,
        config: { displayNameFromDS: name(target, metric) },
        values: moments.map((moment) => samples.get(moment) ?? null),
      },
    ],
  });
}

// NaN and +Inf are gaps on every panel.
function finite(text) {
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}

// Without a name Grafana makes one of the labels, or of the expression if there are none.
function name({ legendFormat, expr }, metric) {
  if (legendFormat === '__auto') {
    return Object.keys(metric).length ? undefined : expr;
  }
  return legendFormat.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => metric[label] ?? '');
}

function defaults({ type, title, fieldConfig }) {
  const given = fieldConfig.defaults;
  const strange = Object.keys(given.custom ?? {}).filter((key) => !(key in LINES));
  if (strange.length) {
    throw new Error(`${title}: frames.js does not know custom.${strange}`);
  }
  return {
    ...given,
    color: given.color ?? { mode: type === 'timeseries' ? 'palette-classic' : 'thresholds' },
    thresholds: based(given.thresholds ?? THRESHOLDS),
    custom: { ...LINES, ...given.custom, stacking: { ...LINES.stacking, ...given.custom?.stacking } },
  };
}

// JSON has no -Infinity, so the lowest threshold is null.
function based({ mode, steps }) {
  return { mode, steps: steps.map((step) => ({ ...step, value: step.value ?? -Infinity })) };
}
