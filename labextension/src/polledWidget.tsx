import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomRenderer } from '@jupyterlab/ui-components';
import { Message } from '@lumino/messaging';
import React from 'react';

import { TransProvider } from './components/translation';
import { PollModel } from './state/pollModel';

/** A part of the page that scrolls by itself and shows a model, which reads the server quickly only while the part can be seen. */
export abstract class PolledWidget<Model extends PollModel = PollModel> extends VDomRenderer<Model> {
  constructor(
    protected readonly polled: Model, // the base forgets its own before it is detached
    protected readonly trans: TranslationBundle
  ) {
    super(polled);
    this.addClass('jp-Guardrails-section');
    this.node.tabIndex = 0;
  }

  protected abstract view(): React.JSX.Element;

  protected override render(): React.JSX.Element {
    return <TransProvider value={this.trans}>{this.view()}</TransProvider>;
  }

  /** Called by Lumino with each message: after those of showing, hiding, attaching and detaching it can be seen, or can't any more. */
  override processMessage(message: Message): void {
    super.processMessage(message);
    if (this.polled.visible !== this.isVisible) {
      this.polled.visible = this.isVisible;
      this.update(); // what changed meanwhile was not drawn
    }
  }
}
