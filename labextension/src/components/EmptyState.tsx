import React from 'react';

/** What a list says when it has nothing to show, and what would change that. */
export function EmptyState({ title, children }: { title: string; children?: React.ReactNode }): React.JSX.Element {
  return (
    <div className="jp-Guardrails-empty">
      <p className="jp-Guardrails-emptyTitle">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}

/** Grey bars where a list will be; `label` is for screen readers. */
export function Loading({ label, lines = 3 }: { label: string; lines?: number }): React.JSX.Element {
  return (
    <div className="jp-Guardrails-loading" role="status" aria-label={label}>
      {Array.from({ length: lines }, (_, line) => (
        <div key={line} className="jp-Guardrails-bar" />
      ))}
    </div>
  );
}
