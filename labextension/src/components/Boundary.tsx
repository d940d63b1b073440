import React from 'react';

import { NextStep, Notice } from './Notice';
import { useTrans } from './translation';

interface IBoundaryState {
  failure: Error | null;
}

/** Shows its children, or a card in their place where an answer has a shape that they can't show. */
export class Boundary extends React.Component<React.PropsWithChildren, IBoundaryState> {
  override state: IBoundaryState = { failure: null };

  /** Called by React with what was thrown while the children were drawn. */
  static getDerivedStateFromError(reason: unknown): IBoundaryState {
    return { failure: reason instanceof Error ? reason : new Error(String(reason)) };
  }

  override render(): React.ReactNode {
    const { failure } = this.state;
    return failure ? (
      <Unshown message={failure.message} onRetry={() => this.setState({ failure: null })} />
    ) : (
      this.props.children
    );
  }
}

function Unshown({ message, onRetry }: { message: string; onRetry: () => void }): React.JSX.Element {
  const trans = useTrans();
  return (
    <Notice kind="error" title={trans.__('This part of the panel could not be shown')}>
      <p>{trans.__('The server answered something that this page does not know: %1', message)}</p>
      <NextStep text={trans.__('save your work and reload the page')} />
      <button type="button" className="jp-mod-styled jp-Guardrails-quiet" onClick={onRetry}>
        {trans.__('Try again')}
      </button>
    </Notice>
  );
}
