import { NotebookPanel } from '@jupyterlab/notebook';
import { TranslationBundle } from '@jupyterlab/translation';
import { VDomRenderer } from '@jupyterlab/ui-components';
import { Message } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';
import React from 'react';

import { TransProvider } from './components/translation';
import { EndedCard } from './features/quotas/EndedCard';
import { NoticeCard } from './features/quotas/NoticeCard';
import { INotebooks } from './state/notebooks';
import { askedBy, QuotaModel } from './state/quotaModel';

export interface INotebookBarOptions {
  model: QuotaModel;
  notebooks: INotebooks;
  panel: NotebookPanel;
  /** The notebook's path in the workspace. */
  path: () => string;
  trans: TranslationBundle;
  /** Bring the limits to the front, with the form that asks for more. */
  onMore: () => void;
}

/** The notices of one notebook's kernel, above its cells: where it happens. As high as what it says; nothing when there is nothing. */
export class NotebookBar extends VDomRenderer<QuotaModel> {
  constructor(private readonly options: INotebookBarOptions) {
    super(options.model);
    this.addClass('jp-Guardrails-notebookBar');
    options.panel.sessionContext.kernelChanged.connect(() => this.update(), this);
  }

  override dispose(): void {
    Signal.disconnectReceiver(this);
    super.dispose();
  }

  protected override render(): React.JSX.Element | null {
    const { model, notebooks, panel, trans, onMore } = this.options;
    const kernelId = panel.sessionContext.session?.kernel?.id;
    const notices = model.notices.filter(({ kernel }) => kernel.id === kernelId);
    const ended = model.ended.find(one => one.notebook === this.options.path());
    if (notices.length === 0 && !ended) {
      return null;
    }
    return (
      <TransProvider value={trans}>
        <div className="jp-Guardrails-section" role="region" aria-label={trans.__('Limits of this notebook')}>
          {notices.map(({ kernel, notice }) => (
            <NoticeCard
              key={notice.kind}
              kernel={kernel}
              notice={notice}
              model={model}
              notebooks={notebooks}
              onMore={said => {
                model.asking = askedBy(said);
                onMore();
              }}
            />
          ))}
          {ended && <EndedCard ended={ended} model={model} title={trans.__('This kernel was ended')} />}
        </div>
      </TransProvider>
    );
  }

  protected override onUpdateRequest(message: Message): void {
    super.onUpdateRequest(message);
    void this.renderPromise?.then(() => this.fitToContent());
  }

  protected override onResize(message: Widget.ResizeMessage): void {
    super.onResize(message);
    this.fitToContent();
  }

  /** Lumino gives a widget the height that its style asks for. */
  private fitToContent(): void {
    const height = this.node.firstElementChild?.scrollHeight ?? 0;
    if (height !== this._height) {
      this._height = height;
      this.node.style.minHeight = `${height}px`;
      this.parent?.fit();
    }
  }

  private _height = 0;
}
