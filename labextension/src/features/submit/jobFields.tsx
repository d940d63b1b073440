import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { useTrans } from '../../components/translation';
import { nextRun } from '../../schedule';

interface IFieldProps {
  label: string;
  /** What the server refused about it. */
  problem?: string;
  children: (aria: { 'aria-invalid'?: true; 'aria-describedby'?: string }) => React.ReactNode;
}

/** A label, its control, and below it what is wrong with what was typed. */
export function Field({ label, problem, children }: IFieldProps): React.JSX.Element {
  const id = React.useId();
  return (
    <div>
      <label>
        <span className="jp-Guardrails-label">{label}</span>
        {children(problem ? { 'aria-invalid': true, 'aria-describedby': id } : {})}
      </label>
      {problem && (
        <p id={id} className="jp-Guardrails-problem">
          {problem}
        </p>
      )}
    </div>
  );
}

interface ITextFieldProps extends Omit<IFieldProps, 'children'> {
  hint: string;
  value: string;
  onChange: (value: string) => void;
  onBlur?: () => void;
}

export function TextField({ hint, value, onChange, onBlur, ...field }: ITextFieldProps): React.JSX.Element {
  return (
    <Field {...field}>
      {aria => (
        <input
          type="text"
          className="jp-mod-styled"
          maxLength={200}
          spellCheck={false}
          placeholder={hint}
          value={value}
          onChange={event => onChange(event.currentTarget.value)}
          onBlur={onBlur}
          {...aria}
        />
      )}
    </Field>
  );
}

interface IAreaProps extends ITextFieldProps {
  maxLength?: number;
  spellCheck?: boolean;
}

function Area({ hint, value, onChange, maxLength, spellCheck, ...field }: IAreaProps): React.JSX.Element {
  return (
    <Field {...field}>
      {aria => (
        <textarea
          className="jp-mod-styled"
          rows={2}
          maxLength={maxLength}
          spellCheck={spellCheck}
          placeholder={hint}
          value={value}
          onChange={event => onChange(event.currentTarget.value)}
          {...aria}
        />
      )}
    </Field>
  );
}

/** Sentences. */
export function ProseField(props: ITextFieldProps): React.JSX.Element {
  return <Area maxLength={2000} {...props} />;
}

interface IListFieldProps extends Omit<IFieldProps, 'children'> {
  hint: string;
  lines: readonly string[];
  onChange: (lines: string[]) => void;
}

/** Empty lines are those that are still to be typed: they stay here, and are not said. */
export function ListField({ hint, lines, onChange, ...field }: IListFieldProps): React.JSX.Element {
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
  return <Area hint={hint} value={text} onChange={type} spellCheck={false} {...field} />;
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

interface IScheduleFieldProps {
  value: string;
  problem?: string;
  onChange: (value: string) => void;
}

export function ScheduleField({ value, problem, onChange }: IScheduleFieldProps): React.JSX.Element {
  const trans = useTrans();
  const known = schedules(trans);
  const [other, setOther] = React.useState(!known.some(([schedule]) => schedule === value));
  const choose = (chosen: string): void => {
    setOther(chosen === OTHER);
    if (chosen !== OTHER) {
      onChange(chosen);
    }
  };
  const [left, setLeft] = React.useState(false);
  const next = nextRun(value, new Date());
  const never = left && value.trim() !== '' && !next;
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
          problem={
            problem ??
            (never ? trans.__('There is no such time: this takes five fields in numbers, * for any.') : undefined)
          }
          onChange={onChange}
          onBlur={() => setLeft(true)}
        />
      )}
      <p className="jp-Guardrails-muted" role="status">
        {next &&
          trans.__(
            'Next: %1, by the clock of the machine that runs it',
            next.toLocaleString(undefined, { dateStyle: 'full', timeStyle: 'short' })
          )}
      </p>
    </>
  );
}
