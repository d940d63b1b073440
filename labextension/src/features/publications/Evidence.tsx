import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { Publication } from '../../api/generated/openapi';
import { CopyButton } from '../../components/CopyButton';
import { DataTable } from '../../components/DataTable';
import { useTrans } from '../../components/translation';
import { ago, bytes } from '../../format';

const DIGITS = 12;

/** What a publication is, what it inherited, what was found in it, and who said what: all that a reviewer looks at. */
export function Evidence({ publication }: { publication: Publication }): React.JSX.Element {
  const trans = useTrans();
  const { name, columns, digest } = publication;
  return (
    <div className="jp-Guardrails-details">
      <dl className="jp-Guardrails-evidence">
        {facts(publication, trans).map(([term, text]) => (
          <React.Fragment key={term}>
            <dt>{term}</dt>
            <dd>{text}</dd>
          </React.Fragment>
        ))}
        <dt>{trans.__('Personal data')}</dt>
        <dd>
          <Findings scan={publication.scan} />
        </dd>
        <dt>{trans.__('Digest')}</dt>
        <dd className="jp-Guardrails-evidenceDigest">
          <code title={digest}>{digest.slice(0, DIGITS)}</code>
          <CopyButton text={digest} label={trans.__('Copy the whole digest: %1', name)} />
        </dd>
      </dl>
      <DataTable
        title={trans.__('Columns')}
        caption={trans.__('Columns of %1', name)}
        wrap
        columns={[trans.__('Column'), trans.__('Type'), trans.__('Class')]}
        rows={columns.map(column => [<code key="name">{column.name}</code>, column.type, column.classification])}
      />
      <Decisions publication={publication} />
    </div>
  );
}

function facts(publication: Publication, trans: TranslationBundle): Array<[string, string]> {
  const { author, classification, inherited, inputs, purposes, rows, size_bytes: size, expires_at: end } = publication;
  const label =
    classification === inherited ? classification : trans.__('%1 (inherited: %2)', classification, inherited);
  const made = inputs.map(input => [input.name, input.version, input.classification].filter(Boolean).join(' · '));
  const counted = rows === null ? trans.__('not counted') : trans._n('%1 row', '%1 rows', rows);
  return [
    [trans.__('By'), author],
    [trans.__('Label'), label],
    ...producers(publication, trans),
    [trans.__('Made of'), made.join('\n') || trans.__('no dataset')],
    [trans.__('May be used for'), purposes.join(', ') || trans.__('anything')],
    [trans.__('Until'), end ? end.slice(0, 10) : trans.__('no end')],
    [trans.__('Content'), `${counted} · ${bytes(size)} · ${publication.format}`]
  ];
}

function producers({ produced_by: job }: Publication, trans: TranslationBundle): Array<[string, string]> {
  return job ? [[trans.__('Made by'), job.text]] : [];
}

function Findings({ scan }: { scan: Publication['scan'] }): React.JSX.Element {
  const trans = useTrans();
  if (!scan.by) {
    return <>{trans.__('nobody looked: the scanner is not installed')}</>;
  }
  if (scan.findings.length === 0) {
    return <>{trans._n('none found in the first row', 'none found in the first %1 rows', scan.rows)}</>;
  }
  return (
    <ul className="jp-Guardrails-list">
      {scan.findings.map(({ column, kind, count }) => (
        <li key={`${column} ${kind}`}>
          {trans._n('%2 in %1 cell of %3', '%2 in %1 cells of %3', count, kind, column)}
        </li>
      ))}
    </ul>
  );
}

function Decisions({ publication }: { publication: Publication }): React.JSX.Element | null {
  const trans = useTrans();
  if (publication.decisions.length === 0) {
    return null;
  }
  const words = { approve: trans.__('approved'), send_back: trans.__('sent it back') };
  return (
    <>
      <h4>{trans.__('Who said what')}</h4>
      <ul className="jp-Guardrails-list" aria-label={trans.__('Who said what')}>
        {publication.decisions.map(one => (
          <li key={`${one.at} ${one.reviewer}`}>
            {[
              `${one.reviewer} ${words[one.decision]}`,
              one.classification && trans.__('as %1', one.classification),
              ago(one.at, Date.now(), trans)
            ]
              .filter(Boolean)
              .join(', ')}
            {one.reason && `: ${one.reason}`}
          </li>
        ))}
      </ul>
    </>
  );
}
