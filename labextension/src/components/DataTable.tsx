import React from 'react';

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

/** A native table that scrolls sideways inside the panel; reachable by keyboard for that. */
export function DataTable({ title, caption, wrap = false, columns, rows }: IDataTableProps): React.JSX.Element {
  return (
    <>
      <h4>{title}</h4>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrolling region must be reachable by keyboard (WCAG 2.1.1) */}
      <div className="jp-Guardrails-tableFrame" role="region" aria-label={caption} tabIndex={0}>
        <table className="jp-Guardrails-table" data-wrap={wrap}>
          <thead>
            <tr>
              {columns.map(column => (
                <th key={column} scope="col">
                  {column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, index) => (
              <tr key={index}>
                {row.map((cell, column) => (
                  <td key={column}>{cell}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
