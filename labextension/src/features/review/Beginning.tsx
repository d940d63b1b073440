import React from 'react';

import { upTo } from '../../components/text';

/** The beginning of what somebody wrote, where no button may be that shows the rest. */
export function Beginning({ text, most }: { text: string; most: number }): React.JSX.Element {
  return <bdi className="jp-Guardrails-said">{upTo(text, most)}</bdi>;
}
