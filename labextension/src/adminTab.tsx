import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { AdminView } from './features/admin/AdminView';
import { PolledTab } from './polledTab';
import { AdminModel } from './state/adminModel';

/** The content of the Admin tab; the server is read while it can be seen. */
export class AdminTab extends PolledTab<AdminModel> {
  constructor(
    model: AdminModel,
    trans: TranslationBundle,
    private readonly onReview: (() => void) | undefined
  ) {
    super(model, trans);
    this.addClass('jp-Guardrails-admin');
  }

  protected view(): React.JSX.Element {
    return <AdminView model={this.model} onReview={this.onReview} />;
  }
}
