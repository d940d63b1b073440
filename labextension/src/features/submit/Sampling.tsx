import React from 'react';

import type { NewSubmission } from '../../api/generated/openapi';
import { useTrans } from '../../components/translation';

/** Early feedback on a notebook that takes hours. */
const SECONDS = 60;
const ROWS = 1000;

/** What a draft's clean run is short of; nothing where it runs whole. */
export type Sample = Pick<NewSubmission, 'sample_s' | 'sample_rows'>;

export interface ISamplingProps {
  value: Sample;
  onChange: (value: Sample) => void;
}

/** Whether a draft is checked by a sample: by time, by rows, or both. A submission runs whole in any case. */
export function Sampling({ value, onChange }: ISamplingProps): React.JSX.Element {
  const trans = useTrans();
  const { sample_s, sample_rows } = value;
  const set = (key: keyof Sample, most: number) => (event: React.ChangeEvent<HTMLInputElement>) => {
    onChange({ ...value, [key]: event.currentTarget.checked ? most : undefined });
  };
  return (
    <fieldset className="jp-Guardrails-ticks">
      <legend>{trans.__('Check a draft by a sample')}</legend>
      <label>
        <input type="checkbox" checked={sample_s !== undefined} onChange={set('sample_s', SECONDS)} />
        {trans.__('its first %1 seconds', SECONDS)}
      </label>
      <label>
        <input type="checkbox" checked={sample_rows !== undefined} onChange={set('sample_rows', ROWS)} />
        {trans.__('the first %1 rows of each dataset', ROWS)}
      </label>
    </fieldset>
  );
}
