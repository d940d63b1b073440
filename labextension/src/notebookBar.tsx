import { NotebookPanel } from '@jupyterlab/notebook';
import { KernelMessage } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { VDomRenderer } from '@jupyterlab/ui-components';
import { Message } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';
import React from 'react';

import { keepFocus } from './components/keepFocus';
import { TransProvider } from './components/translation';
import { RefusedCard } from './features/datasets/RefusedCard';
import { EndedCard } from './features/quotas/EndedCard';
import { NoticeCard } from './features/quotas/NoticeCard';
import { PanelSettings } from './settings';
import { DatasetModel } from './state/datasetModel';
import { INotebooks } from './state/notebooks';
import { askedBy, QuotaModel } from './state/quotaModel';

/** Errors that a dataset which can't be read ends in. */
const REFUSALS: ReadonlySet<string> = new Set(['Refused', 'PermissionError', 'FileNotFoundError']);

export interface INotebookBarOptions {
  model: QuotaModel;
  datasets: DatasetModel;
  notebooks: INotebooks;
  settings: PanelSettings;
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
    options.settings.changed.connect(() => this.update(), this);
    const { sessionContext } = options.panel;
    sessionContext.kernelChanged.connect(() => this.update(), this);
    sessionContext.iopubMessage.connect((_, message) => {
      if (KernelMessage.isErrorMsg(message) && REFUSALS.has(message.content.ename)) {
        void options.model.refresh(); // a hint: what was refused, and why, the server knows
      }
    }, this);
    this.endKeeping = keepFocus(this.node, () => options.panel.activate());
  }

  override dispose(): void {
    this.endKeeping();
    this.observer.disconnect();
    Signal.disconnectReceiver(this);
    super.dispose();
  }

  protected override render(): React.JSX.Element | null {
    const { model, datasets, notebooks, settings, panel, trans, onMore } = this.options;
    const choice = settings.values.notices;
    const kernelId = panel.sessionContext.session?.kernel?.id;
    const ofKernel = model.notices.filter(({ kernel }) => kernel.id === kernelId);
    const notices = ofKernel.filter(
      ({ notice }) => choice === 'all' || (choice === 'ending' && notice.ends_at !== null)
    );
    const ended = choice === 'none' ? undefined : model.ended.find(one => one.notebook === this.options.path());
    const refused = kernelId && choice === 'all' ? model.refusedReads(kernelId) : [];
    if (notices.length + refused.length === 0 && !ended) {
      return null;
    }
    return (
      <TransProvider value={trans}>
        <div ref={this.follow}>
          {kernelId && refused.length > 0 && (
            <div className="jp-Guardrails-section" role="region" aria-label={trans.__('Data of this notebook')}>
              {refused.map(read => (
                <RefusedCard key={read.dataset} kernelId={kernelId} read={read} quotas={model} datasets={datasets} />
              ))}
            </div>
          )}
          {(notices.length > 0 || ended) && (
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
          )}
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

  /** A form that opens in a card makes the bar higher without an update of ours. */
  private readonly follow = (content: HTMLElement | null): void => {
    this.observer.disconnect();
    if (content) {
      this.observer.observe(content);
    }
  };

  private readonly observer = new ResizeObserver(() => this.fitToContent());
  private readonly endKeeping: () => void;
  private _height = 0;
}
