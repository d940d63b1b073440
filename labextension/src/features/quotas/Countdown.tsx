import React from 'react';

import { useTrans } from '../../components/translation';
import { clock, duration } from '../../format';

const TICK_MS = 1000;
/** A screen reader hears these, and not each second. */
const SPOKEN_S = [1800, 600, 300, 60, 10];

export interface ICountdownProps {
  /** Such as "Interrupted in". */
  label: string;
  /** Seconds left as of now. */
  left: () => number;
}

/** Time that runs down: figures that change each second for the eye, a few steps in words for the ear. */
export function Countdown({ label, left }: ICountdownProps): React.JSX.Element {
  const trans = useTrans();
  const [, tick] = React.useReducer((count: number) => count + 1, 0);
  React.useEffect(() => {
    const timer = setInterval(tick, TICK_MS);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.ceil(left());
  const step = [...SPOKEN_S].reverse().find(spoken => seconds <= spoken);
  return (
    <p className="jp-Guardrails-countdown">
      <span>{label}</span>{' '}
      <b role="timer" aria-live="off">
        {clock(seconds)}
      </b>
      <span className="jp-Guardrails-srOnly" aria-live="polite">
        {step === undefined ? '' : trans.__('%1 less than %2', label, duration(step, trans))}
      </span>
    </p>
  );
}
