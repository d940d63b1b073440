import React from 'react';

import { IconKind, StatusIcon } from './StatusIcon';

export type Tone = 'good' | 'ask' | 'bad' | 'plain';

/** A short state: icon and word, colour only besides. */
export function Badge({
  tone,
  icon,
  children
}: {
  tone: Tone;
  icon?: IconKind;
  children: React.ReactNode;
}): React.JSX.Element {
  return (
    <span className="jp-Guardrails-badge" data-tone={tone}>
      {icon && <StatusIcon kind={icon} />}
      {children}
    </span>
  );
}
