import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator, TranslationBundle } from '@jupyterlab/translation';
import { VDomRenderer } from '@jupyterlab/ui-components';
import { Widget } from '@lumino/widgets';
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

/** Notebook 7 has no status bar: there they stand at the right of the menus, before its own words about the kernel. */
const MENU_RANK = 9000;

/** Memory of the notebook in front, and a limit that comes near, at the foot of the window. */
export const statusbarPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-guardrails:statusbar',
  description: 'Memory of the notebook in front, and limits that come near, in the status bar.',
  autoStart: true,
  requires: [IGuardrails, IGuardrailsPanel],
  optional: [IStatusBar, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    { quotas }: IGuardrails,
    panel: IGuardrailsPanel,
    statusBar: IStatusBar | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const memory = new MemoryStatusWidget(quotas, trans, () => panel.enter('limits'));
    const limit = new LimitStatusWidget(quotas, trans, () => panel.enter('limits'));
    if (!statusBar) {
      [limit, memory].forEach((widget, place) => addToMenus(app, widget, place));
      return;
    }
    statusBar.registerStatusItem('jupyter-guardrails:memory', {
      item: memory,
      align: 'left',
      rank: 20,
      isActive: () => quotas.current !== null,
      activeStateChanged: quotas.stateChanged
    });
    statusBar.registerStatusItem('jupyter-guardrails:limit', {
      item: limit,
      align: 'left',
      rank: 21,
      isActive: () => foremost(quotas) !== null,
      activeStateChanged: quotas.stateChanged
    });
  }
};

function addToMenus(app: JupyterFrontEnd, widget: Widget, place: number): void {
  widget.id = `jupyter-guardrails-status-${place}`;
  app.shell.add(widget, 'menu', { rank: MENU_RANK + place });
}
