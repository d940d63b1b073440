import React from 'react';

import type { JobDetails, JobOutput } from '../../api/generated/openapi';
import { useTrans } from '../../components/translation';
import { Said } from '../../state/submissionModel';
import { Field, ListField, ProseField, ScheduleField, TextField } from './jobFields';
import { ParametersPart } from './ParametersPart';
import { ThenField, useBeside } from './ThenField';

export interface IAboutJobProps {
  said: Said;
  /** The notebook's cell of parameters. */
  cell: string;
  /** What was refused, by its place (`details.schedule`, `parameters.month`). */
  problems: Readonly<Record<string, string>>;
  /** What the check said of parameters, by name; no refusal, since it may come when somebody does something else. */
  found: Readonly<Record<string, string>>;
  /** Another value with each refusal, after which the focus moves to the first field that is wrong; 0 for none. */
  refusals: number;
  /** How often this was opened. */
  openings: number;
  /** The notebooks beside this one, which are read each time. */
  others: () => Promise<string[]>;
  onChange: (said: Said) => void;
}

/** When the job runs, whom to ask, what it makes, its parameters. All of it is optional. */
export function AboutJob(props: IAboutJobProps): React.JSX.Element {
  const { said, cell, problems, found, refusals, openings, others, onChange } = props;
  const trans = useTrans();
  const details = said.details ?? {};
  const set = (change: JobDetails): void => onChange({ ...said, details: { ...details, ...change } });
  const problemOf = useProblems(problems, details);
  const beside = useBeside(others, openings);
  const form = React.useRef<HTMLDivElement>(null);
  React.useEffect(() => {
    if (refusals > 0) {
      form.current?.querySelector<HTMLElement>('[aria-invalid]')?.focus();
    }
  }, [refusals]);
  return (
    <div ref={form} className="jp-Guardrails-form">
      <ParametersPart
        cell={cell}
        typed={said.typed ?? {}}
        problems={problems}
        found={found}
        onChange={typed => onChange({ ...said, typed })}
      />
      <ThenField
        chosen={details.then ?? []}
        others={beside.paths}
        problem={problemOf('then') ?? beside.problem}
        onChange={then => set({ then })}
      />
      <ProseField
        label={trans.__('What it is for')}
        hint={trans.__('for those who review and run it')}
        value={details.description ?? ''}
        problem={problemOf('description')}
        onChange={description => set({ description })}
      />
      <ScheduleField
        value={details.schedule ?? ''}
        problem={problemOf('schedule')}
        onChange={schedule => set({ schedule })}
      />
      <TextField
        label={trans.__('Whom to ask about it')}
        hint={trans.__('a name or an address')}
        value={details.contact ?? ''}
        problem={problemOf('contact')}
        onChange={contact => set({ contact })}
      />
      <ListField
        label={trans.__('Files that it makes, one a line')}
        hint={trans.__('like result.csv, or as dataset:\nresult.csv = nyc/result')}
        lines={(details.outputs ?? []).map(lineOf)}
        problem={problemOf('outputs')}
        onChange={lines => set({ outputs: lines.map(outputOf) })}
      />
      <ListField
        label={trans.__('Labels, one a line')}
        hint={trans.__('like team = flights')}
        lines={Object.entries(details.labels ?? {}).map(([name, value]) => `${name} = ${value}`)}
        problem={problemOf('labels')}
        onChange={lines => set({ labels: Object.fromEntries(lines.map(labelOf)) })}
      />
      <Needs details={details} problemOf={problemOf} set={set} />
    </div>
  );
}

interface INeedsProps {
  details: JobDetails;
  problemOf: ProblemOf;
  set: (change: JobDetails) => void;
}

/** What its engine gives to it. */
function Needs({ details, problemOf, set }: INeedsProps): React.JSX.Element {
  const trans = useTrans();
  return (
    <>
      <ListField
        label={trans.__('Secrets that it needs, by name, one a line')}
        hint={trans.__('like DB_PASSWORD; never the value')}
        lines={details.secrets ?? []}
        problem={problemOf('secrets')}
        onChange={secrets => set({ secrets })}
      />
      <ListField
        label={trans.__('Hosts that it needs, one a line')}
        hint={trans.__('like db.example.com:5432')}
        lines={details.network ?? []}
        problem={problemOf('network')}
        onChange={network => set({ network })}
      />
      <ListField
        label={trans.__('Datasets that must stay the same file, one a line')}
        hint={trans.__('like nyc/planes; others are refused')}
        lines={details.pinned ?? []}
        problem={problemOf('pinned')}
        onChange={pinned => set({ pinned })}
      />
      <TextField
        label={trans.__('Account that it runs as')}
        hint={trans.__('left out: the operator decides')}
        value={details.run_as ?? ''}
        problem={problemOf('run_as')}
        onChange={run_as => set({ run_as })}
      />
      <Field label={trans.__('Tries after a failure')} problem={problemOf('retries')}>
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

/** What was refused of a detail, wherever in it; no more once that is another one. */
type ProblemOf = (key: keyof JobDetails) => string | undefined;

function useProblems(problems: IAboutJobProps['problems'], details: JobDetails): ProblemOf {
  const refused = React.useRef({ problems, details });
  if (refused.current.problems !== problems) {
    refused.current = { problems, details };
  }
  return key => {
    const found = Object.entries(problems).filter(([place]) => `${place}.`.startsWith(`details.${key}.`));
    const same = details[key] === refused.current.details[key];
    return same && found.length > 0 ? found.map(([, words]) => words).join(' ') : undefined;
  };
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
