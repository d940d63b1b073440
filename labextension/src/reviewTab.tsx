import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { ReviewView } from './features/review/ReviewView';
import { PolledTab } from './polledTab';
import { DatasetModel } from './state/datasetModel';
import { ReviewModel } from './state/reviewModel';

/** The content of the Review tab; the server is read while it can be seen, and again when its window comes to the front. */
export class ReviewTab extends PolledTab<ReviewModel> {
  constructor(
    model: ReviewModel,
    private readonly datasets: DatasetModel,
    trans: TranslationBundle
  ) {
    super(model, trans);
    this.addClass('jp-Guardrails-review');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Review'));
    datasets.stateChanged.connect(() => this.update(), this);
    window.addEventListener('focus', this.onFocus);
  }

  override dispose(): void {
    window.removeEventListener('focus', this.onFocus);
    super.dispose();
  }

  protected view(): React.JSX.Element {
    return <ReviewView model={this.model} datasets={this.datasets} />;
  }

  /** Who comes back from a shell has decided there. */
  private readonly onFocus = (): void => {
    if (this.model.visible) {
      void this.model.refresh();
    }
  };
}
