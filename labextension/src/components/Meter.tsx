import React from 'react';

import { StatusIcon } from './StatusIcon';
import { useTrans } from './translation';

export type Level = 'fine' | 'high' | 'full';

/** Amber from 80 %, red from 95 %. */
export function level(value: number, max: number): Level {
  const part = max > 0 ? value / max : 0;
  return part >= 0.95 ? 'full' : part >= 0.8 ? 'high' : 'fine';
}

export interface IMeterProps {
  label: string;
  value: number;
  /** Null: nothing limits it, so there is a number and no gauge. */
  max: number | null;
  format: (value: number) => string;
  /** Highest value so far: a mark on the gauge. */
  peak?: number;
}

/** A gauge with its numbers in words. */
export function Meter({ label, value, max, format, peak }: IMeterProps): React.JSX.Element {
  const trans = useTrans();
  const state = max === null ? 'fine' : level(value, max);
  const isUp = max !== null && value >= max;
  const text = max === null ? trans.__('%1 used', format(value)) : trans.__('%1 of %2', format(value), format(max));
  return (
    <div className="jp-Guardrails-meter" data-level={state}>
      <div className="jp-Guardrails-meterHead">
        <span>{label}</span>
        <span className="jp-Guardrails-meterText">
          {state !== 'fine' && <StatusIcon kind="warned" />}
          {text}
          {state === 'high' && <em>{trans.__('· high')}</em>}
          {state === 'full' && <em>{isUp ? trans.__('· used up') : trans.__('· nearly full')}</em>}
        </span>
      </div>
      {max !== null && <Gauge label={label} value={value} max={max} peak={peak} text={text} />}
    </div>
  );
}

interface IGaugeProps {
  label: string;
  value: number;
  max: number;
  peak?: number;
  text: string;
}

function Gauge({ label, value, max, peak, text }: IGaugeProps): React.JSX.Element {
  const percent = (amount: number): string => `${Math.max(0, Math.min(100, (100 * amount) / (max || 1)))}%`;
  return (
    <div
      className="jp-Guardrails-gauge"
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={max}
      aria-valuenow={Math.min(value, max)}
      aria-valuetext={text}
    >
      <div className="jp-Guardrails-gaugeFill" style={{ width: percent(value) }} />
      {peak !== undefined && peak > value && (
        <div className="jp-Guardrails-gaugePeak" style={{ insetInlineStart: percent(peak) }} />
      )}
    </div>
  );
}
