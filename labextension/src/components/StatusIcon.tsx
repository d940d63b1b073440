import React from 'react';

export type IconKind =
  | 'passed'
  | 'failed'
  | 'warned'
  | 'running'
  | 'waiting'
  | 'not_checked'
  | 'locked'
  | 'ask'
  | 'broken'
  | 'info'
  | 'offline';

/** Strokes in a 16 x 16 field; shapes differ, so that no meaning hangs on colour alone. */
const SHAPES: Record<IconKind, string[]> = {
  passed: ['M14.2 8A6.2 6.2 0 1 1 1.8 8 6.2 6.2 0 0 1 14.2 8z', 'M5.2 8.200l2 2 3.6-4.2'],
  failed: ['M14.2 8A6.2 6.2 0 1 1 1.8 8 6.2 6.2 0 0 1 14.2 8z', 'M5.8 5.800l4.4 4.4', 'M10.2 5.800l-4.4 4.4'],
  warned: ['M8 2.200L14.5 13.600H1.500z', 'M8 6.400v3.2', 'M8 11.500v.3'],
  running: ['M8 1.800A6.2 6.2 0 0 1 14.2 8'],
  waiting: ['M14.2 8A6.2 6.2 0 1 1 1.8 8 6.2 6.2 0 0 1 14.2 8z'],
  not_checked: ['M14.2 8A6.2 6.2 0 1 1 1.8 8 6.2 6.2 0 0 1 14.2 8z', 'M5.2 8h5.6'],
  locked: ['M3.5 7.200h9v6.300h-9z', 'M5.3 7.200V5.100a2.7 2.7 0 0 1 5.4 0v2.1'],
  ask: ['M7.4 8a2.6 2.6 0 1 1-5.2 0 2.6 2.6 0 0 1 5.2 0z', 'M7.4 8h6.4', 'M11.9 8v2.5'],
  broken: ['M8.8 1.800L5.5 8h3.200l-1.5 6.200L11.8 6.500H8.400z'],
  info: ['M14.2 8A6.2 6.2 0 1 1 1.8 8 6.2 6.2 0 0 1 14.2 8z', 'M8 7.400v3.6', 'M8 4.900v.3'],
  offline: ['M2 6.200a9 9 0 0 1 12 0', 'M4.5 9a5.4 5.4 0 0 1 7 0', 'M8 12.300v.3', 'M2.5 2.500l11 11']
};

function shapeOf(kind: string): string[] {
  return new Map(Object.entries(SHAPES)).get(kind) ?? SHAPES.info; // a newer server's
}

/** A small drawing beside a word that says the same; hidden from screen readers. */
export function StatusIcon({ kind }: { kind: IconKind }): React.JSX.Element {
  return (
    <svg className="jp-Guardrails-icon" data-kind={kind} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      {shapeOf(kind).map(shape => (
        <path key={shape} d={shape} />
      ))}
    </svg>
  );
}
