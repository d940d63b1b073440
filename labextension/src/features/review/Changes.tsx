import React from 'react';

import type { ReviewChange } from '../../api/generated/openapi';
import { useTrans } from '../../components/translation';
import { ReviewModel } from '../../state/reviewModel';
import { Beginning } from './Beginning';
import { ReadContent } from './ReadContent';

const MOST_WHAT = 4000;

const OPENED = 20; // changes that are open at once: what is longer is a table of contents
const NAMES: Record<string, string> = { '+': 'add', '-': 'gone' };

/** What is not as it was in the version that was approved last. */
export function Changes({ model }: { model: ReviewModel }): React.JSX.Element {
  const trans = useTrans();
  const before = model.review?.before;
  return (
    <ReadContent model={model}>
      {({ changes }) => {
        if (!changes || !before) {
          return <p>{trans.__('No version was approved before this one: there is nothing to compare with.')}</p>;
        }
        return (
          <>
            <h3>{trans.__('Since version %1, which was approved', before.version)}</h3>
            {changes.length === 0 && <p>{trans.__('Nothing: what runs is the same, byte for byte.')}</p>}
            {changes.map((change, at) => (
              <Change key={`${at} ${change.what}`} change={change} opened={changes.length <= OPENED} />
            ))}
          </>
        );
      }}
    </ReadContent>
  );
}

function Change({ change, opened }: { change: ReviewChange; opened: boolean }): React.JSX.Element {
  return (
    <details className="jp-Guardrails-reviewChange" open={opened}>
      <summary>
        <Beginning text={change.what} most={MOST_WHAT} />
      </summary>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrolling region must be reachable by keyboard (WCAG 2.1.1) */}
      <pre tabIndex={0}>
        {change.lines.map((line, at) => (
          <span key={at} data-kind={NAMES[line.charAt(0)]}>
            {line}
            {'\n'}
          </span>
        ))}
      </pre>
    </details>
  );
}
