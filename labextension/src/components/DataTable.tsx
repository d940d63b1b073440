import React from 'react';

export interface IDataTableProps {
  caption: string;
  columns: readonly string[];
  rows: ReadonlyArray<ReadonlyArray<React.ReactNode>>;
}

/** A native table that scrolls sideways inside the panel; reachable by keyboard for that. */
export function DataTable({ caption, columns, rows }: IDataTableProps): React.JSX.Element {
  return (
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrolling region must be reachable by keyboard (WCAG 2.1.1)
    <div className="jp-Guardrails-tableFrame" role="region" aria-label={caption} tabIndex={0}>
      <table className="jp-Guardrails-table">
        <caption className="jp-Guardrails-srOnly">{caption}</caption>
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
  );
}
