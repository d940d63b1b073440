import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { EmptyState, Loading } from '../../components/EmptyState';
import { useTrans } from '../../components/translation';
import { digits } from '../../format';
import { AdminModel, AmountColumn, AMOUNTS, Column, UsageRow } from '../../state/adminModel';

/** More rows than anybody reads; the command line has them all. */
const MOST_ROWS = 500;

/** Who used how much: a native table, each head a button that sorts, and a bar for the eye beside the processor time. */
export function UsageTable({ model }: { model: AdminModel }): React.JSX.Element | null {
  const trans = useTrans();
  const { rows } = model;
  if (rows === null) {
    return model.error ? null : <Loading label={trans.__('Reading what was used')} lines={4} />;
  }
  if (rows.length === 0) {
    return (
      <EmptyState title={trans.__('Nothing was used in this time')}>
        {trans.__('Kernels, terminals and clean runs count from their start on.')}
      </EmptyState>
    );
  }
  const columns = columnsOf(model);
  const most = Math.max(...rows.map(row => row.cpu_hours));
  return (
    <>
      {rows.length > MOST_ROWS && (
        <p className="jp-Guardrails-muted">
          {trans.__('The first %1 of %2 rows; `jupyter guardrails usage --csv` has all.', MOST_ROWS, rows.length)}
        </p>
      )}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrolling region must be reachable by keyboard (WCAG 2.1.1) */}
      <div className="jp-Guardrails-tableFrame" role="region" aria-label={trans.__('What was used')} tabIndex={0}>
        <table className="jp-Guardrails-table jp-Guardrails-usage" aria-busy={model.stale}>
          <thead>
            <tr>
              {columns.map(column => (
                <Head key={column} column={column} model={model} />
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, MOST_ROWS).map(row => (
              <tr key={`${row.person} ${row.key}`}>
                {columns.map(column => (
                  <Cell key={column} column={column} row={row} most={most} />
                ))}
              </tr>
            ))}
          </tbody>
          <tfoot>
            <tr>
              <th scope="row" colSpan={columns.length - amountsOf(model).length}>
                {trans.__('Together')}
              </th>
              {amountsOf(model).map(column => (
                <td key={column}>{amount(model.total(column))}</td>
              ))}
            </tr>
          </tfoot>
        </table>
      </div>
    </>
  );
}

/** A little is not nothing. */
function amount(value: number): string {
  return value > 0 && value < 0.01 ? `< ${digits(0.01)}` : digits(Math.round(value * 100) / 100);
}

/** Processors for graphics are shown where somebody used one. */
function amountsOf(model: AdminModel): readonly AmountColumn[] {
  return AMOUNTS.filter(column => column !== 'gpu_hours' || model.total(column) > 0);
}

function columnsOf(model: AdminModel): readonly Column[] {
  return model.by === 'person' ? ['person', ...amountsOf(model)] : ['person', 'key', ...amountsOf(model)];
}

function titleOf(column: Column, model: AdminModel, trans: TranslationBundle): string {
  const keys = {
    person: trans.__('Person'),
    day: trans.__('Day (UTC)'),
    profile: trans.__('Profile'),
    notebook: trans.__('Notebook'),
    kernelspec: trans.__('Kernel')
  };
  const titles: Record<Column, string> = {
    person: trans.__('Person'),
    key: keys[model.by],
    kernels: trans.__('Starts'),
    cpu_hours: trans.__('Processor (h)'),
    memory_gib_hours: trans.__('Memory (GiB·h)'),
    gpu_hours: trans.__('GPU (h)')
  };
  return titles[column];
}

function Head({ column, model }: { column: Column; model: AdminModel }): React.JSX.Element {
  const trans = useTrans();
  const sorted = model.column === column;
  const order = model.ascending ? 'ascending' : 'descending';
  return (
    <th scope="col" aria-sort={sorted ? order : 'none'}>
      <button type="button" className="jp-Guardrails-sort" onClick={() => model.sort(column)}>
        {titleOf(column, model, trans)}
        <span aria-hidden="true">{sorted ? (model.ascending ? '▲' : '▼') : ''}</span>
      </button>
    </th>
  );
}

function Cell({ column, row, most }: { column: Column; row: UsageRow; most: number }): React.JSX.Element {
  const trans = useTrans();
  const value = row[column];
  if (typeof value === 'string') {
    return column === 'person' ? <th scope="row">{value}</th> : <td>{value || trans.__('(none)')}</td>;
  }
  return (
    <td>
      {column === 'cpu_hours' && (
        <span
          className="jp-Guardrails-share"
          aria-hidden="true"
          style={{ inlineSize: `${most > 0 ? (60 * value) / most : 0}px` }}
        />
      )}
      {amount(value)}
    </td>
  );
}
