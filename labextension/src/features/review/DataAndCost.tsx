import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { Review, ReviewContent, ReviewInput, ReviewOutput, RunCost } from '../../api/generated/openapi';
import { DataTable } from '../../components/DataTable';
import { Said } from '../../components/text';
import { useTrans } from '../../components/translation';
import { bytes, digits, duration } from '../../format';
import { ReviewModel } from '../../state/reviewModel';
import { ReadContent } from './ReadContent';

const DIGITS = 12;

/** The data that a job reads or was made of, what it makes, and what its clean run used beside that of the version before. */
export function DataAndCost({ model, review }: { model: ReviewModel; review: Review }): React.JSX.Element {
  return (
    <>
      <Data review={review} inputs={model.content?.inputs} />
      <ReadContent model={model}>{content => <Outputs content={content} />}</ReadContent>
      <Cost review={review} content={model.content} />
    </>
  );
}

function Data({ review, inputs }: { review: Review; inputs?: readonly ReviewInput[] }): React.JSX.Element {
  const trans = useTrans();
  const { data, submission } = review;
  if (data.length === 0) {
    return <p>{trans.__('It reads no dataset.')}</p>;
  }
  const how = (name: string): string =>
    inputs
      ? boundTo(
          inputs.find(one => one.name === name),
          trans
        )
      : '';
  return (
    <DataTable
      title={trans.__('Data')}
      caption={trans.__('Data of %1', submission.name)}
      wrap
      columns={[trans.__('Dataset'), trans.__('Label'), trans.__('Whose word is wanted'), trans.__('How it was read')]}
      rows={data.map(one => [
        <code key="name">{one.name}</code>,
        one.classification || trans.__('no label'),
        one.owner || trans.__('nobody’s'),
        <Said key="how" text={how(one.name)} />
      ])}
    />
  );
}

/** Version, masks, rows and file of a dataset, as the clean run was given it. */
function boundTo(input: ReviewInput | undefined, trans: TranslationBundle): string {
  if (!input) {
    return trans.__('not read: its workspace was given it before');
  }
  const masks = Object.entries(input.masks).map(([column, kind]) => trans.__('%1 masked (%2)', column, kind));
  const parts = [
    trans.__('version %1', input.version || trans.__('unknown')),
    ...masks,
    input.some_rows ? trans.__('only some rows') : '',
    input.sha256 ? trans.__('a file, sha256 %1', input.sha256.slice(0, DIGITS)) : '',
    input.pinned ? trans.__('it runs with no other file') : ''
  ];
  return parts.filter(Boolean).join(' · ');
}

function Outputs({ content }: { content: ReviewContent }): React.JSX.Element {
  const trans = useTrans();
  return content.outputs.length === 0 ? (
    <p>{trans.__('It names no file that it makes.')}</p>
  ) : (
    <DataTable
      title={trans.__('What it makes')}
      caption={trans.__('What it makes')}
      wrap
      columns={[trans.__('File'), trans.__('In its clean run'), trans.__('Columns')]}
      rows={content.outputs.map(one => [
        <Said key="path" text={one.dataset ? trans.__('%1, dataset %2', one.path, one.dataset) : one.path} />,
        sizeOf(one, trans),
        <Said key="columns" text={one.problem || one.columns.map(({ name, type }) => `${name} ${type}`).join(', ')} />
      ])}
    />
  );
}

function sizeOf({ format, rows, size_bytes: size }: ReviewOutput, trans: TranslationBundle): string {
  const counted = typeof rows === 'number' ? trans._n('%1 row', '%1 rows', rows) : '';
  return [format, counted, typeof size === 'number' ? bytes(size) : ''].filter(Boolean).join(' · ');
}

function Cost({ review, content }: { review: Review; content: ReviewContent | null }): React.JSX.Element {
  const trans = useTrans();
  const { cost, cost_before: earlier, before } = review;
  if (!cost) {
    return <p className="jp-Guardrails-muted">{trans.__('No clean run is on the records any more.')}</p>;
  }
  const most = content?.resources;
  const columns = [trans.__('What'), trans.__('Now')];
  const rows = figures(trans).map(([name, figure, limit]) => [
    name,
    figure(cost),
    ...(earlier ? [figure(earlier)] : []),
    ...(most ? [limit(most)] : [])
  ]);
  return (
    <DataTable
      title={trans.__('Its clean run used')}
      caption={trans.__('What the clean run of %1 used', review.submission.name)}
      columns={[
        ...columns,
        ...(earlier ? [trans.__('Version %1', before?.version ?? '')] : []),
        ...(most ? [trans.__('Each run may use')] : [])
      ]}
      rows={rows.filter(([, now]) => now !== '')}
    />
  );
}

type Figure = (cost: RunCost) => string;
type Most = (resources: ReviewContent['resources']) => string;

/** Each figure with what a run may use of it; one that nobody measured is empty. */
function figures(trans: TranslationBundle): Array<[string, Figure, Most]> {
  const seconds = (value: number | null): string => (typeof value === 'number' ? duration(value, trans) : '');
  const memory = (value: number | null): string => (typeof value === 'number' ? bytes(value) : '');
  const processors = (count: number): string => trans._n('%1 processor', '%1 processors', count);
  return [
    [trans.__('Time in all'), cost => seconds(cost.wall_s), most => seconds(most.wall_s)],
    [trans.__('Processor time'), cost => seconds(cost.cpu_s), most => processors(most.cpus)],
    [trans.__('Memory at most'), cost => memory(cost.memory_peak_bytes), most => memory(most.memory_bytes)],
    [trans.__('GPU-seconds'), cost => (cost.gpu_s ? digits(cost.gpu_s) : ''), () => '']
  ];
}
