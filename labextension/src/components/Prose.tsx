import React from 'react';

/** A sentence in which `code` between backticks looks like code. Text stays text: nothing in it is markup. */
export function Prose({ text }: { text: string }): React.JSX.Element {
  // Splitting at a group keeps the groups: every second part was between backticks.
  const parts = text.split(/`([^`]+)`/);
  return <>{parts.map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part))}</>;
}
