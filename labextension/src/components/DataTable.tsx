import React from 'react';

import { useTrans } from './translation';

export interface IDataTableProps {
  /** A short heading above it. */
  title: string;
  /** Its name for screen readers. */
  caption: string;
  /** Let the last column take several lines. */
  wrap?: boolean;
  columns: readonly string[];
  rows: ReadonlyArray<ReadonlyArray<React.ReactNode>>;
}

/** More rows, or columns, are shown when they are asked for. */
const ROWS = 50;
const COLUMNS = 30;

/** A native table that scrolls sideways inside the panel; reachable by keyboard for that. */
export function DataTable({ title, caption, wrap = false, columns, rows }: IDataTableProps): React.JSX.Element {
  const trans = useTrans();
  const [all, setAll] = React.useState(false);
  const beyond = rows.length > ROWS ? rows.length : columns.length > COLUMNS ? columns.length : 0;
  const across = all ? columns.length : COLUMNS;
  return (
    <>
      <h4>{title}</h4>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrolling region must be reachable by keyboard (WCAG 2.1.1) */}
      <div className="jp-Guardrails-tableFrame" role="region" aria-label={caption} tabIndex={0}>
        <table className="jp-Guardrails-table" data-wrap={wrap}>
          <thead>
            <tr>
              {columns.slice(0, across).map((column, index) => (
                <th key={index} scope="col">
                  <bdi>{column}</bdi>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {(all ? rows : rows.slice(0, ROWS)).map((row, index) => (
              <tr key={index}>
                {row.slice(0, across).map((cell, column) => (
                  <td key={column} dir="auto">
                    {cell}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {beyond > 0 && !all && (
        <button type="button" className="jp-Guardrails-link" onClick={() => setAll(true)}>
          {trans.__('Show all %1', beyond)}
        </button>
      )}
    </>
  );
}
