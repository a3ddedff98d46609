/** The panels that @grafana/ui can draw. It does what core's plugins do around its components. */
import { dateTime, getDisplayValueAlignmentFactors, getFieldDisplayValues } from '@grafana/data';
import { BarGauge, BigValue, TimeSeries, VizRepeater } from '@grafana/ui';

// A table as legend gets 35% of the panel and then scrolls, which a picture cannot: a list shows every name instead.
const LEGEND_SHARE = 0.35;
const LEGEND_ROW_PX = 22;

export function timeRange(since, until) {
  const [from, to] = [dateTime(since * 1000), dateTime(until * 1000)];
  return { from, to, raw: { from, to } };
}

export function Lines({ panel, frames, range, width, height }) {
  const rows = Math.floor((height * LEGEND_SHARE) / LEGEND_ROW_PX) - 1;
  const { legend } = panel.options;
  const fitting = frames.length > rows ? { ...legend, displayMode: 'list', calcs: [] } : legend;
  return (
    <TimeSeries
      frames={frames}
      timeRange={range}
      timeZone="utc"
      legend={fitting}
      width={width}
      height={height}
    >
      {() => null}
    </TimeSeries>
  );
}

export function Stat({ panel, frames, theme, range, width, height }) {
  const { colorMode, graphMode, justifyMode, textMode, wideLayout, orientation, reduceOptions } = panel.options;
  const value = (slot) => (
    <BigValue
      {...{ colorMode, graphMode, justifyMode, textMode, wideLayout, theme }}
      value={slot.value.display}
      sparkline={slot.value.sparkline && { ...slot.value.sparkline, timeRange: range }}
      count={slot.count}
      alignmentFactors={slot.alignmentFactors}
      width={slot.width}
      height={slot.height}
    />
  );
  return (
    <VizRepeater
      getValues={() => reduced(frames, reduceOptions, theme, graphMode !== 'none')}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={value}
      source={frames}
      itemSpacing={3}
      autoGrid
      {...{ orientation, width, height }}
    />
  );
}

export function Bars({ panel, frames, theme, width, height }) {
  const { displayMode, valueMode, showUnfilled, orientation, reduceOptions, ...sizes } = panel.options;
  const bar = (slot) => (
    <BarGauge
      {...{ displayMode, showUnfilled, theme }}
      value={slot.value.display}
      field={slot.value.field}
      display={slot.value.view.getFieldDisplayProcessor(slot.value.colIndex)}
      valueDisplayMode={valueMode}
      namePlacement={sizes.namePlacement}
      alignmentFactors={slot.alignmentFactors}
      orientation={slot.orientation}
      width={slot.width}
      height={slot.height}
      itemSpacing={10}
    />
  );
  return (
    <VizRepeater
      getValues={() => reduced(frames, reduceOptions, theme, false)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={bar}
      source={frames}
      itemSpacing={10}
      minVizWidth={sizes.minVizWidth}
      minVizHeight={sizes.minVizHeight}
      maxVizHeight={sizes.maxVizHeight}
      {...{ orientation, width, height }}
    />
  );
}

function reduced(frames, reduceOptions, theme, sparkline) {
  return getFieldDisplayValues({
    data: frames,
    fieldConfig: { defaults: {}, overrides: [] }, // already in the frames
    replaceVariables: (text) => text,
    timeZone: 'utc',
    reduceOptions,
    sparkline,
    theme,
  });
}
