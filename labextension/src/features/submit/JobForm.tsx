import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { JobDetails } from '../../api/generated/openapi';
import { useTrans } from '../../components/translation';
import { IParameter } from '../../state/parameters';
import { Said } from '../../state/submissionModel';
import { ParametersPart } from './ParametersPart';

export interface IJobFormProps {
  said: Said;
  /** What the notebook's tagged cell assigns. */
  parameters: readonly IParameter[];
  onChange: (said: Said) => void;
}

/** What a submitter says about the job: when it runs, whom to ask, what it makes. All of it is optional. */
export function JobForm({ said, parameters, onChange }: IJobFormProps): React.JSX.Element {
  const trans = useTrans();
  const details = said.details ?? {};
  const set = (change: JobDetails): void => onChange({ ...said, details: { ...details, ...change } });
  return (
    <details className="jp-Guardrails-job">
      <summary>{trans.__('About the job')}</summary>
      <div className="jp-Guardrails-form">
        <ParametersPart
          parameters={parameters}
          values={said.parameters ?? {}}
          onChange={values => onChange({ ...said, parameters: values })}
        />
        <ScheduleField value={details.schedule ?? ''} onChange={schedule => set({ schedule })} />
        <TextField
          label={trans.__('Whom to ask about it')}
          hint={trans.__('a name or an address')}
          value={details.contact ?? ''}
          onChange={contact => set({ contact })}
        />
        <ListField
          label={trans.__('Files that it makes, one a line')}
          hint={trans.__('like result.parquet')}
          lines={(details.outputs ?? []).map(({ path }) => path)}
          onChange={paths => set({ outputs: paths.map(path => ({ name: path, path })) })}
        />
        <ListField
          label={trans.__('Secrets that it needs, by name, one a line')}
          hint={trans.__('like DB_PASSWORD; never the value')}
          lines={details.secrets ?? []}
          onChange={secrets => set({ secrets })}
        />
        <ListField
          label={trans.__('Hosts that it needs, one a line')}
          hint={trans.__('like db.example.com:5432')}
          lines={details.network ?? []}
          onChange={network => set({ network })}
        />
        <TextField
          label={trans.__('Account that it runs as')}
          hint={trans.__('left out: the operator decides')}
          value={details.run_as ?? ''}
          onChange={run_as => set({ run_as })}
        />
        <label>
          <span className="jp-Guardrails-label">{trans.__('Tries after a failure')}</span>
          <input
            type="number"
            className="jp-mod-styled"
            min={0}
            max={10}
            value={details.retries ?? 0}
            onChange={event => set({ retries: event.currentTarget.valueAsNumber || 0 })}
          />
        </label>
      </div>
    </details>
  );
}

/** Schedules that most jobs have; any other is typed as crontab has it. */
function schedules(trans: TranslationBundle): [string, string][] {
  return [
    ['', trans.__('Only when it is started')],
    ['0 * * * *', trans.__('Every hour')],
    ['0 6 * * *', trans.__('Every day at 6:00')],
    ['0 6 * * 1-5', trans.__('Monday to Friday at 6:00')],
    ['0 6 * * 1', trans.__('Every Monday at 6:00')],
    ['0 6 1 * *', trans.__('On the first of a month at 6:00')]
  ];
}

const OTHER = 'other';

function ScheduleField({ value, onChange }: { value: string; onChange: (value: string) => void }): React.JSX.Element {
  const trans = useTrans();
  const known = schedules(trans);
  const [other, setOther] = React.useState(!known.some(([schedule]) => schedule === value));
  const choose = (chosen: string): void => {
    setOther(chosen === OTHER);
    if (chosen !== OTHER) {
      onChange(chosen);
    }
  };
  return (
    <>
      <label>
        <span className="jp-Guardrails-label">{trans.__('When it runs')}</span>
        <select
          className="jp-mod-styled jp-Guardrails-select"
          value={other ? OTHER : value}
          onChange={event => choose(event.currentTarget.value)}
        >
          {known.map(([schedule, words]) => (
            <option key={schedule} value={schedule}>
              {words}
            </option>
          ))}
          <option value={OTHER}>{trans.__('At other times…')}</option>
        </select>
      </label>
      {other && (
        <TextField
          label={trans.__('Minute, hour, day, month, weekday')}
          hint={trans.__('as in a crontab: 30 5 * * 1')}
          value={value}
          onChange={onChange}
        />
      )}
    </>
  );
}

interface ITextFieldProps {
  label: string;
  hint: string;
  value: string;
  onChange: (value: string) => void;
}

function TextField({ label, hint, value, onChange }: ITextFieldProps): React.JSX.Element {
  return (
    <label>
      <span className="jp-Guardrails-label">{label}</span>
      <input
        type="text"
        className="jp-mod-styled"
        maxLength={200}
        spellCheck={false}
        placeholder={hint}
        value={value}
        onChange={event => onChange(event.currentTarget.value)}
      />
    </label>
  );
}

interface IListFieldProps {
  label: string;
  hint: string;
  lines: readonly string[];
  onChange: (lines: string[]) => void;
}

/** Empty lines are those that are still to be typed: they stay here, and are not said. */
function ListField({ label, hint, lines, onChange }: IListFieldProps): React.JSX.Element {
  const [text, setText] = React.useState(lines.join('\n'));
  const type = (typed: string): void => {
    setText(typed);
    onChange(
      typed
        .split('\n')
        .map(line => line.trim())
        .filter(Boolean)
    );
  };
  return (
    <label>
      <span className="jp-Guardrails-label">{label}</span>
      <textarea
        className="jp-mod-styled"
        rows={2}
        spellCheck={false}
        placeholder={hint}
        value={text}
        onChange={event => type(event.currentTarget.value)}
      />
    </label>
  );
}
