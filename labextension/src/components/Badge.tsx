import React from 'react';

import { IconKind, StatusIcon } from './StatusIcon';

export type Tone = 'good' | 'ask' | 'bad' | 'plain';

/** How a state looks: its tone, icon (not every state has one) and word. */
export type Look = [Tone, IconKind | null, string];

/** How a state looks; one that this page does not know is shown by its own name. */
export function known<S extends string>(looks: Readonly<Partial<Record<S, Look>>>, state: S): Look {
  return looks[state] ?? ['plain', 'info', state.replace(/_/g, ' ')];
}

/** A short state: icon and word, colour only besides. */
export function Badge({ look: [tone, icon, word] }: { look: Look }): React.JSX.Element {
  return (
    <span className="jp-Guardrails-badge" data-tone={tone}>
      {icon && <StatusIcon kind={icon} />}
      {word}
    </span>
  );
}

export interface IEntryProps {
  title: React.ReactNode;
  /** The whole of what the title may cut. */
  hint?: string;
  look?: Look;
  children: React.ReactNode;
}

/** One thing in a list: what it is, how it stands, and what there is to say of it. */
export function Entry({ title, hint, look, children }: IEntryProps): React.JSX.Element {
  return (
    <li className="jp-Guardrails-request">
      <div className="jp-Guardrails-datasetHead">
        <bdi className="jp-Guardrails-cardTitle" title={hint}>
          {title}
        </bdi>
        {look && <Badge look={look} />}
      </div>
      {children}
    </li>
  );
}
