import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator, TranslationBundle } from '@jupyterlab/translation';
import { VDomRenderer } from '@jupyterlab/ui-components';
import React from 'react';

import { DOMAIN, TransProvider } from '../components/translation';
import { foremost, LimitStatus } from '../features/quotas/LimitStatus';
import { MemoryStatus } from '../features/quotas/MemoryStatus';
import { QuotaModel } from '../state/quotaModel';
import { IGuardrails, IGuardrailsPanel } from '../tokens';

class MemoryStatusWidget extends VDomRenderer<QuotaModel> {
  constructor(
    model: QuotaModel,
    private readonly trans: TranslationBundle,
    private readonly onOpen: () => void
  ) {
    super(model);
  }

  protected override render(): React.JSX.Element | null {
    const kernel = this.model.current;
    return (
      kernel && (
        <TransProvider value={this.trans}>
          <MemoryStatus kernel={kernel} onOpen={this.onOpen} />
        </TransProvider>
      )
    );
  }
}

class LimitStatusWidget extends VDomRenderer<QuotaModel> {
  constructor(
    model: QuotaModel,
    private readonly trans: TranslationBundle,
    private readonly onOpen: () => void
  ) {
    super(model);
  }

  protected override render(): React.JSX.Element {
    return (
      <TransProvider value={this.trans}>
        <LimitStatus model={this.model} onOpen={this.onOpen} />
      </TransProvider>
    );
  }
}

/** Memory of the notebook in front, and a limit that comes near, at the foot of the window. */
export const statusbarPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-guardrails:statusbar',
  description: 'Memory of the notebook in front, and limits that come near, in the status bar.',
  autoStart: true,
  requires: [IGuardrails, IGuardrailsPanel, IStatusBar],
  optional: [ITranslator],
  activate: (
    _app: JupyterFrontEnd,
    { quotas }: IGuardrails,
    panel: IGuardrailsPanel,
    statusBar: IStatusBar,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const item = new MemoryStatusWidget(quotas, trans, () => panel.show('limits'));
    statusBar.registerStatusItem('jupyter-guardrails:memory', {
      item,
      align: 'left',
      rank: 20,
      isActive: () => quotas.current !== null,
      activeStateChanged: quotas.stateChanged
    });
    statusBar.registerStatusItem('jupyter-guardrails:limit', {
      item: new LimitStatusWidget(quotas, trans, () => panel.show('limits')),
      align: 'left',
      rank: 21,
      isActive: () => foremost(quotas) !== null,
      activeStateChanged: quotas.stateChanged
    });
  }
};
