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
  const memory = points(sample => sample.memory_bytes);
  return (
    <>
      <Line
        label={trans.__('Processor')}
        points={points(sample => sample.cpu_percent / 100)}
        max={kernel.cpus}
        format={value => trans.__('%1 cores', digits(Math.round(10 * value) / 10))}
        span={span}
      />
      <Line label={trans.__('Memory')} points={memory} max={kernel.memory_limit_bytes} format={bytes} span={span} />
    </>
  );
}

interface ILineProps {
  label: string;
  points: IPoint[];
  /** What is allowed; 0 where nothing limits it. */
  max: number;
  format: (value: number) => string;
  span: string;
}

/** The figures stand in words beside the line, and say all of it to who can't see it. */
function Line({ label, points, max, format, span }: ILineProps): React.JSX.Element {
  const trans = useTrans();
  const values = points.map(({ value }) => value);
  const most = Math.max(...values);
  const least = Math.min(...values);
  const words = trans.__('%1 to %2', format(least), format(most));
  return (
    <figure>
      <figcaption>
        <span>{label}</span>
        <span>{words}</span>
      </figcaption>
      <Sparkline text={trans.__('%1 in the last %2: %3', label, span, words)} points={points} max={max || most} />
    </figure>
  );
}
