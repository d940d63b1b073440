import React from 'react';

import { upTo } from './text';

/** More than this is no sentence, characters. */
const MOST = 4000;

/** A sentence in which `code` between backticks looks like code. Text stays text, in its own direction: nothing in it is markup. */
export function Prose({ text }: { text: string }): React.JSX.Element {
  // Splitting at a group keeps the groups: every second part was between backticks.
  const parts = upTo(text, MOST).split(/`([^`]+)`/);
  return <bdi>{parts.map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part))}</bdi>;
}
