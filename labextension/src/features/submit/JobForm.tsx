import React from 'react';

import type { JobDetails, JobOutput } from '../../api/generated/openapi';
import { useTrans } from '../../components/translation';
import { IParameter } from '../../state/parameters';
import { Said } from '../../state/submissionModel';
import { Field, ListField, ProseField, ScheduleField, TextField } from './jobFields';
import { ParametersPart } from './ParametersPart';
import { ThenField, useBeside } from './ThenField';

export interface IJobFormProps {
  said: Said;
  /** What the notebook's tagged cell assigns. */
  parameters: readonly IParameter[];
  /** What the server refused, by its place (`details.schedule`). */
  problems: Readonly<Record<string, string>>;
  /** The notebooks beside this one, which are read when the form is opened. */
  others: () => Promise<string[]>;
  onChange: (said: Said) => void;
}

/** What a submitter says about the job: when it runs, whom to ask, what it makes. All of it is optional. */
export function JobForm({ said, parameters, problems, others, onChange }: IJobFormProps): React.JSX.Element {
  const trans = useTrans();
  const details = said.details ?? {};
  const set = (change: JobDetails): void => onChange({ ...said, details: { ...details, ...change } });
  const beside = useBeside(others);
  const wrong = React.useRef<HTMLDetailsElement>(null);
  React.useEffect(() => {
    if (wrong.current && Object.keys(problems).some(place => place.startsWith('details'))) {
      wrong.current.open = true;
    }
  }, [problems]);
  return (
    <details ref={wrong} className="jp-Guardrails-job" onToggle={() => void beside.look()}>
      <summary>{trans.__('About the job')}</summary>
      <div className="jp-Guardrails-form">
        <ParametersPart
          parameters={parameters}
          values={said.parameters ?? {}}
          onChange={values => onChange({ ...said, parameters: values })}
        />
        <ThenField
          chosen={details.then ?? []}
          others={beside.paths}
          problem={problemOf(problems, 'then') ?? beside.problem}
          onChange={then => set({ then })}
        />
        <ProseField
          label={trans.__('What it is for')}
          hint={trans.__('for those who review and run it')}
          value={details.description ?? ''}
          problem={problemOf(problems, 'description')}
          onChange={description => set({ description })}
        />
        <ScheduleField
          value={details.schedule ?? ''}
          problem={problemOf(problems, 'schedule')}
          onChange={schedule => set({ schedule })}
        />
        <TextField
          label={trans.__('Whom to ask about it')}
          hint={trans.__('a name or an address')}
          value={details.contact ?? ''}
          problem={problemOf(problems, 'contact')}
          onChange={contact => set({ contact })}
        />
        <ListField
          label={trans.__('Files that it makes, one a line')}
          hint={trans.__('like result.csv, or as dataset:\nresult.csv = nyc/result')}
          lines={(details.outputs ?? []).map(lineOf)}
          problem={problemOf(problems, 'outputs')}
          onChange={lines => set({ outputs: lines.map(outputOf) })}
        />
        <ListField
          label={trans.__('Labels, one a line')}
          hint={trans.__('like team = flights')}
          lines={Object.entries(details.labels ?? {}).map(([name, value]) => `${name} = ${value}`)}
          problem={problemOf(problems, 'labels')}
          onChange={lines => set({ labels: Object.fromEntries(lines.map(labelOf)) })}
        />
        <Needs details={details} problems={problems} set={set} />
      </div>
    </details>
  );
}

interface INeedsProps {
  details: JobDetails;
  problems: IJobFormProps['problems'];
  set: (change: JobDetails) => void;
}

/** What its engine gives to it. */
function Needs({ details, problems, set }: INeedsProps): React.JSX.Element {
  const trans = useTrans();
  return (
    <>
      <ListField
        label={trans.__('Secrets that it needs, by name, one a line')}
        hint={trans.__('like DB_PASSWORD; never the value')}
        lines={details.secrets ?? []}
        problem={problemOf(problems, 'secrets')}
        onChange={secrets => set({ secrets })}
      />
      <ListField
        label={trans.__('Hosts that it needs, one a line')}
        hint={trans.__('like db.example.com:5432')}
        lines={details.network ?? []}
        problem={problemOf(problems, 'network')}
        onChange={network => set({ network })}
      />
      <ListField
        label={trans.__('Datasets that must stay the same file, one a line')}
        hint={trans.__('like nyc/planes; others are refused')}
        lines={details.pinned ?? []}
        problem={problemOf(problems, 'pinned')}
        onChange={pinned => set({ pinned })}
      />
      <TextField
        label={trans.__('Account that it runs as')}
        hint={trans.__('left out: the operator decides')}
        value={details.run_as ?? ''}
        problem={problemOf(problems, 'run_as')}
        onChange={run_as => set({ run_as })}
      />
      <Field label={trans.__('Tries after a failure')} problem={problemOf(problems, 'retries')}>
        {aria => (
          <input
            type="number"
            className="jp-mod-styled"
            min={0}
            max={10}
            value={details.retries ?? 0}
            onChange={event => set({ retries: event.currentTarget.valueAsNumber || 0 })}
            {...aria}
          />
        )}
      </Field>
    </>
  );
}

/** What is wrong with a detail, wherever in it. */
function problemOf(problems: Readonly<Record<string, string>>, key: string): string | undefined {
  const found = Object.entries(problems).filter(([place]) => `${place}.`.startsWith(`details.${key}.`));
  return found.length > 0 ? found.map(([, words]) => words).join(' ') : undefined;
}

const MEANT_AS = /\s+=\s+/;

function outputOf(line: string): JobOutput {
  const [path = line, dataset] = line.split(MEANT_AS);
  return { name: path, path, ...(dataset ? { dataset } : {}) };
}

function lineOf({ path, dataset }: JobOutput): string {
  return dataset ? `${path} = ${dataset}` : path;
}

/** A name and what stands behind the first =; a label may be a name alone. */
function labelOf(line: string): [string, string] {
  const [name = '', ...rest] = line.split('=');
  return [name.trim(), rest.join('=').trim()];
}
