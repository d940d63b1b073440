import React from 'react';

import type { Kernel } from '../../api/generated/openapi';
import { IPoint, Sparkline } from '../../components/Sparkline';
import { useTrans } from '../../components/translation';
import { bytes, digits, duration } from '../../format';
import { HISTORY_MS, QuotaModel, Samples } from '../../state/quotaModel';

/** A line longer than this shows little of what happens now, seconds. */
const LONGEST_S = 3600;

/** Processor and memory of one kernel over time: read and drawn only while it is open. */
export function KernelHistory({ kernel, model }: { kernel: Kernel; model: QuotaModel }): React.JSX.Element {
  const trans = useTrans();
  const [open, setOpen] = React.useState(false);
  React.useEffect(() => {
    if (!open) {
      return;
    }
    const read = (): void => void model.readHistory(kernel.id);
    read();
    const timer = setInterval(read, HISTORY_MS);
    return () => clearInterval(timer);
  }, [open, kernel.id, model]);
  return (
    <details className="jp-Guardrails-history" onToggle={event => setOpen(event.currentTarget.open)}>
      <summary>{trans.__('Over time')}</summary>
      {open && <Lines kernel={kernel} samples={model.history(kernel.id)} failed={model.historyFailed(kernel.id)} />}
    </details>
  );
}

interface ILinesProps {
  kernel: Kernel;
  samples: Samples | null;
  failed: boolean;
}

function Lines({ kernel, samples, failed }: ILinesProps): React.JSX.Element {
  const trans = useTrans();
  if (samples === null) {
    const word = failed ? trans.__('This could not be read; it is tried again.') : trans.__('Reading…');
    return <p className="jp-Guardrails-muted">{word}</p>;
  }
  const newest = samples[samples.length - 1];
  const shown = samples.filter(({ at }) => newest && at > newest.at - LONGEST_S);
  const [first] = shown;
  if (!newest || !first || shown.length < 2) {
    return <p className="jp-Guardrails-muted">{trans.__('There is nothing to draw yet: look again in a minute.')}</p>;
  }
  const span = duration(newest.at - first.at + newest.every_s, trans);
  const points = (value: (sample: Samples[number]) => number): IPoint[] =>
    shown.map(sample => ({ at: sample.at, span: sample.every_s, value: value(sample) }));
  return (
    <>
      <Line
        label={trans.__('Processor')}
        points={points(sample => sample.cpu_percent / 100)}
        max={kernel.cpus}
        words={(least, most) => trans.__('%1 to %2 cores', tenths(least), tenths(most))}
        span={span}
      />
      <Line
        label={trans.__('Memory')}
        points={points(sample => sample.memory_bytes)}
        max={kernel.memory_limit_bytes}
        words={(least, most) => trans.__('%1 to %2', bytes(least), bytes(most))}
        span={span}
      />
    </>
  );
}

interface ILineProps {
  label: string;
  points: IPoint[];
  /** What is allowed; 0 where nothing limits it. */
  max: number;
  words: (least: number, most: number) => string;
  span: string;
}

/** The figures stand in words beside the line, and say all of it to who can't see it. */
function Line({ label, points, max, words, span }: ILineProps): React.JSX.Element {
  const trans = useTrans();
  const values = points.map(({ value }) => value);
  const most = Math.max(...values);
  const said = words(Math.min(...values), most);
  return (
    <figure>
      <figcaption>
        <span>{label}</span>
        <span>{said}</span>
      </figcaption>
      <Sparkline text={trans.__('%1 in the last %2: %3', label, span, said)} points={points} max={max || most} />
    </figure>
  );
}

function tenths(value: number): string {
  return digits(Math.round(10 * value) / 10);
}
